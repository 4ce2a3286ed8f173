"""The local Novu itself, without HTTP: one object that holds all its state."""

from collections.abc import Iterable
from typing import Any, cast
from uuid import uuid4

from xnovu_local.faults import FaultScript

from .answers import RATE_EXCEEDED, Answer, Headers, Outcome, Problem, as_json, encoded
from .calls import Call
from .clock import Clock, LoopClock
from .faults import Fault
from .history import CHANNELS, history
from .idempotency import IdempotencyKeys
from .inbox import Inbox
from .ledger import Ledger
from .options import LocalNovuOptions
from .rates import RateLimits
from .triggers import Event, Unreadable, problem_of, subscribers_of
from .worker import Accepted, Worker
from .workflows import Workflow, Workflows


class LocalNovu:
    """A Novu in memory: hand it calls, script its faults, read what became of every transaction."""

    def __init__(
        self,
        options: LocalNovuOptions | None = None,
        *,
        workflows: Iterable[Workflow] = (),
        clock: Clock | None = None,
    ) -> None:
        self.options = options or LocalNovuOptions()
        self.clock = clock or LoopClock()
        self.workflows = Workflows(workflows)
        self.faults = FaultScript[Fault]()
        self.ledger = Ledger()
        self.inbox = Inbox(self.options.events_held, self.options.bytes_held)
        self._worker = Worker(self.clock, self.ledger, self.inbox)
        self._keys = IdempotencyKeys()
        self._limits = _limits(self.options)

    def change(self, **changes: Any) -> LocalNovuOptions:
        """Changes options while running; raises pydantic's ValidationError on a wrong one."""
        before, self.options = self.options, self.options.changed(changes)
        self.inbox.bound(self.options.events_held, self.options.bytes_held)
        if self.options.rate != before.rate:
            self._limits = _limits(self.options)
        return self.options

    def script(self, *faults: Fault) -> None:
        """Adds faults to those still to come."""
        self.faults.script(*faults)

    def reset(self) -> None:
        """Forgets everything but the options and the workflows, and all that is under way."""
        self._worker.stop()
        self.faults.clear()
        self.inbox.clear()
        self.ledger = Ledger()
        self._worker = Worker(self.clock, self.ledger, self.inbox)
        self._keys = IdempotencyKeys()
        self._limits = _limits(self.options)

    def stop(self) -> None:
        """Calls off all deliveries still under way; the books stay readable."""
        self._worker.stop()

    async def handle(self, call: Call) -> Outcome:
        """One call from its arrival to what its client gets."""
        self.ledger.asked(call.named("transactionId"))
        if call.endpoint == "notifications":
            self.ledger.look_ups.update(call.transactions())
        held, fault = self.faults.strike(lambda fault: fault.fits(call))
        if fault is not None and not fault.accepts and fault.kind != "500":
            await self._pause(held)
            return fault.outcome(call, self.clock.now())
        answer = await self._admitted(call, held, fault)
        if fault is None or fault.kind == "500":
            return answer
        return fault.outcome(call, self.clock.now(), answer)

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            await self.clock.sleep(seconds)

    async def _admitted(self, call: Call, held: float, fault: Fault | None) -> Answer:
        """Past the key and the limits, in Novu's order."""
        now = self.clock.now()
        if not call.api_key or self.options.api_key not in (None, call.api_key):
            text = "API Key not found" if call.api_key else "Unauthorized"
            return Problem(401, text).answer(call.path, now)
        headers: Headers = ()
        if self._limits is not None:
            category = "global" if call.endpoint == "notifications" else "trigger"
            cost = "bulk" if call.endpoint == "bulk" else "single"
            verdict = self._limits.admit(call.api_key, category, cost, now)
            headers = verdict.headers
            if not verdict.allowed:
                return RATE_EXCEEDED.with_headers(headers)
        answer = await self._once(call, self.options.latency + held, fault)
        return answer.with_headers(headers)

    async def _once(self, call: Call, held: float, fault: Fault | None) -> Answer:
        """Carries a call out, or repeats the answer its idempotency key already got."""
        key = call.headers.get("idempotency-key", "") if call.idempotent else ""
        if not key or not self.options.idempotency or isinstance(call.document, Unreadable):
            await self._pause(held)
            return self._answer(call, fault)
        known = self._keys.begin(key, call.document, call.path, self.clock.now())
        if known is not None:
            return known
        await self._pause(held)
        return self._keys.finish(key, self._answer(call, fault), self.clock.now())

    def _answer(self, call: Call, fault: Fault | None) -> Answer:
        if fault is not None and fault.kind == "500":
            if fault.accepts:
                self.answer(call)
            return cast("Answer", fault.outcome(call, self.clock.now()))
        return self.answer(call)

    def answer(self, call: Call) -> Answer:
        """What Novu answers once a call is let in: no limits, no latency, no faults."""
        match call.endpoint:
            case "trigger" | "bulk":
                return self._trigger(call)
            case "cancel":
                return as_json({"data": self._cancel(call.transaction or "")})
            case "notifications":
                return history(self.ledger, self.workflows, self.inbox, call, self.clock.now())
            case "messages":
                return self._take_back(call)

    def _trigger(self, call: Call) -> Answer:
        bulk = call.endpoint == "bulk"
        problem = problem_of(call.document, len(call.body), bulk)
        if problem is not None:
            return problem.answer(call.path, self.clock.now())
        events = cast("list[Event]", call.events())
        share = len(call.body) // len(events)
        batch: list[Accepted] = []
        results = [self._process(event, share, batch) for event in events]
        if batch:
            self._worker.enqueue(batch, self.options.fan_out_delay, self.options.dedupe_gap)
        if bulk:
            return _created(b",".join(map(_bulk_item, results)), bulk)
        match results[0]:
            case Problem() as refused:
                return refused.answer(call.path, self.clock.now())
            case body:
                return _created(body, bulk)

    def _process(self, event: Event, share: int, batch: list[Accepted]) -> bytes | Problem:
        """One event; accepted ones go to the batch."""
        workflow = self.workflows.find(event["name"])
        if workflow is None:
            return Problem(422, "workflow_not_found")
        payload: dict[str, Any] = event.get("payload") or {}
        subscribers = subscribers_of(event["to"])
        refused = _refusal(workflow, subscribers, payload)
        if refused is not None:
            return refused
        transaction = event.get("transactionId") or self._new_transaction()
        kept = payload if self.inbox.remembers else {}
        batch.append(Accepted(transaction, workflow, subscribers, kept, share))
        self.ledger.accepted(transaction)
        return _processed(transaction)

    def _new_transaction(self) -> str:
        transaction = str(uuid4())
        self.ledger.asked([transaction])
        return transaction

    def _cancel(self, transaction: str) -> bool:
        cancelled = self._worker.cancel(transaction)
        if cancelled:
            self.ledger.cancelled(transaction)
        return cancelled

    def _take_back(self, call: Call) -> Answer:
        channel = next(iter(call.query.get("channel", [])), None)
        if channel is not None and channel not in CHANNELS:
            text = f"channel must be one of the following values: {', '.join(CHANNELS)}"
            return Problem(400, text).answer(call.path, self.clock.now())
        self.inbox.take_back(call.transaction or "", channel)
        return Answer(204)


def _limits(options: LocalNovuOptions) -> RateLimits | None:
    return None if options.rate is None else RateLimits(options.rate)


def _refusal(
    workflow: Workflow, subscribers: tuple[str, ...], payload: dict[str, Any]
) -> bytes | Problem | None:
    """The answer to an event that is not accepted."""
    if workflow.refusal == "error":
        return Problem(400, workflow.error)
    if workflow.refusal is not None:
        return encoded({"acknowledged": True, "status": workflow.refusal})
    if not subscribers:
        return encoded({"acknowledged": True, "status": "invalid_recipients"})
    errors = workflow.payload_errors(payload)
    if not errors:
        return None
    more = {
        "type": "PAYLOAD_VALIDATION_ERROR",
        "errors": errors,
        "schema": workflow.payload_schema,
    }
    return Problem(400, "Payload validation failed", more)


def _processed(transaction: str) -> bytes:
    accepted = b'{"acknowledged":true,"status":"processed","transactionId":%b}'
    return accepted % encoded(transaction)


def _bulk_item(result: bytes | Problem) -> bytes:
    if isinstance(result, bytes):
        return result
    return encoded({"acknowledged": True, "status": "error", "error": [result.message]})


def _created(body: bytes, bulk: bool) -> Answer:
    return Answer(201, b'{"data":[%b]}' % body if bulk else b'{"data":%b}' % body)
