"""
The stages of version 0.1 that ask the database and the provider, with the calls they made.

During a rolling upgrade they work beside this version's, on this version's schema. What is here is
what they did then: the same functions by the same arguments, in the same order.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from psycopg import AsyncConnection
from psycopg.errors import DeadlockDetected, UndefinedFunction
from psycopg.rows import dict_row

from xnovu.errors import Expired, Missing, Paused, Permanent, Retryable, Unclear, XNovuError
from xnovu.events import Captured, Hydrated, Key, Retraction, RetractRequested, Status, Triggered
from xnovu.policy import Done, Result
from xnovu.ports import Provider
from xnovu.ports import Trigger as Call
from xnovu.retraction import Recall, Recalled, came_to, parts
from xnovu.sql import rows as read
from xnovu.store import Row

Record = Mapping[str, Any]


@dataclass
class OldStore:
    """What version 0.1 asked of the database, over one connection that keeps its statements."""

    connection: AsyncConnection[dict[str, Any]]

    @classmethod
    async def open(cls, dsn: str) -> "OldStore":
        """Every statement is prepared at once, so that whoever migrates finds it prepared."""
        connection = await AsyncConnection.connect(
            dsn, autocommit=True, prepare_threshold=0, row_factory=dict_row
        )
        return cls(connection)

    async def close(self) -> None:
        await self.connection.close()

    async def call(self, function: str, **arguments: Any) -> list[dict[str, Any]]:
        """
        Paused, as it was then, where another one was in the way, or a migration.

        A function that is at work when it is replaced goes on as it was; what it calls may be gone.
        """
        names = ", ".join(f"{name} => %({name})s" for name in arguments)
        query = f"SELECT * FROM notify.{function}({names})"
        given = {name: _json(value) for name, value in arguments.items()}
        try:
            return await (await self.connection.execute(query.encode(), given)).fetchall()
        except (DeadlockDetected, UndefinedFunction) as error:
            raise Paused(type(error).__name__, code="store_busy") from error

    async def claim(self, limit: int, lease: float) -> list[Captured]:
        found = await self.call(
            "claim",
            max_rows=limit,
            lease_seconds=lease,
            token=str(uuid4()),
            of_enterprise=None,
            after=None,
            idle_only=False,
        )
        return [read.claim(record).captured for record in found]

    async def claim_retractions(self, limit: int, lease: float) -> list[RetractRequested]:
        found = await self.call(
            "claim_retractions",
            max_rows=limit,
            lease_seconds=lease,
            token=str(uuid4()),
            of_enterprise=None,
            again=False,
        )
        return [read.retraction(record) for record in found]

    async def next_due(self) -> float | None:
        [record] = await self.call("next_due", of_enterprise=None)
        return record["next_due"]

    async def load(self, keys: Sequence[Key]) -> Mapping[Key, Row]:
        found = await self.call("load", keys=read.keys(keys))
        rows = read.rows({"unusable": None, **record} for record in found)
        return {key: row for key, row in rows.items() if isinstance(row, Row)}

    async def still_wanted(
        self, keys: Sequence[Key], hold: float, alone: float, lost: Sequence[str] = ()
    ) -> frozenset[Key]:
        found = await self.call(
            "still_wanted",
            keys=read.keys(keys),
            hold_seconds=hold,
            alone_seconds=alone,
            tokens=[str(uuid4()), *lost],
        )
        return frozenset(map(read.key, found))

    async def being_sent(self, keys: Sequence[Key]) -> Mapping[Key, float]:
        return _seconds(await self.call("being_sent", keys=read.keys(keys)))

    async def overdue(self, keys: Sequence[Key]) -> Mapping[Key, float]:
        return _seconds(await self.call("overdue", keys=read.keys(keys)))

    async def let_go(self, keys: Collection[Key], seconds: float = 0.0) -> None:
        await self.call("let_go", keys=read.keys(keys), seconds=seconds)

    async def record(self, keys: Sequence[Key]) -> list[Key]:
        """Write that these are SENT."""
        told = [{**entry, "error_details": None} for entry in read.keys(keys)]
        return [read.recorded(record).key for record in await self.call("record", outcomes=told)]

    async def retracted(self, keys: Sequence[Key], hold: float) -> Mapping[Key, Record]:
        found = await self.call("retracted", keys=read.keys(keys), hold_seconds=hold)
        return {read.key(record): record for record in found}

    async def record_retractions(self, outcomes: Mapping[Key, Retraction]) -> list[Key]:
        told = read.retractions(outcomes)
        found = await self.call("record_retractions", outcomes=told)
        return [read.recorded(record).key for record in found]


@dataclass(frozen=True)
class OldDelivery:
    """A message for the old trigger: whether this very one may have been handled before."""

    event: Hydrated
    redelivered: bool = False

    @property
    def doubtful(self) -> bool:
        return self.redelivered or self.event.claims > 1


@dataclass
class OldTrigger:
    """
    Version 0.1's trigger stage.

    For ``quiet`` seconds nobody else was given what it was about to send, and ``settle`` seconds
    after the provider had accepted something, a look-up found it.
    """

    store: OldStore
    provider: Provider
    quiet: float
    settle: float
    timeout: float
    lost: list[str] = field(default_factory=list[str])

    async def handle(self, batch: Sequence[OldDelivery]) -> Sequence[Result]:
        unique = _unique(batch)
        ours = await self.store.still_wanted(list(unique), 2 * self.quiet, self.quiet, self.lost)
        results, late = await self._left_alone([key for key in unique if key not in ours])
        asked = [
            one for key, one in unique.items() if key in ours or (key in late and one.doubtful)
        ]
        sent = await self._send(asked, late)
        for seconds, keys in _not_sent({key: sent[key] for key in ours}).items():
            await self.store.let_go(keys, seconds)
        results |= sent  # the first copy in a batch stands for all
        return [results.pop(one.event.key, Done()) for one in batch]

    async def _left_alone(
        self, keys: Sequence[Key]
    ) -> tuple[dict[Key, Result], Mapping[Key, float]]:
        if not keys:
            return {}, {}
        late = await self.store.overdue(keys)
        busy = await self.store.being_sent([key for key in keys if key not in late])
        results: dict[Key, Result] = {key: Expired("its deadline has passed") for key in late}
        return results | {key: _being_sent(seconds) for key, seconds in busy.items()}, late

    async def _send(
        self, asked: Sequence[OldDelivery], late: Mapping[Key, float]
    ) -> dict[Key, Result]:
        calls = [_call(one, overdue=one.event.key in late) for one in asked]
        answers = await self.provider.trigger(calls, _now() + self.timeout) if calls else ()
        return {
            one.event.key: self._result(one.event, answer, late.get(one.event.key))
            for one, answer in zip(asked, answers, strict=True)
        }

    def _result(self, event: Hydrated, answer: XNovuError | None, late: float | None) -> Result:
        match answer:
            case None:
                return Done.then(_triggered(event))
            case Unclear():
                return Retryable(str(answer), code=answer.code, after=self.settle)
            case Missing() if late is not None and late < self.quiet:
                wait = self.quiet - late
                return Retryable(str(answer), code=answer.code, after=wait, bounded=False)
            case Missing():
                return Expired(str(answer))
            case _:
                return answer


@dataclass
class OldRetract:
    """Version 0.1's retract stage: ``quiet`` seconds after a stage had it, all is known."""

    store: OldStore
    provider: Provider
    quiet: float

    async def handle(self, events: Sequence[RetractRequested]) -> list[RetractRequested]:
        """Write what became of them; returns those that are open yet."""
        requested = {event.key: event for event in events}
        standing = await self.store.retracted(list(requested), 2 * self.quiet)
        outcomes = {key: await self._outcome(requested[key], row) for key, row in standing.items()}
        known = {key: outcome for key, outcome in outcomes.items() if outcome}
        await self.store.record_retractions(known)
        return [requested[key] for key, outcome in outcomes.items() if not outcome]

    async def _outcome(self, event: RetractRequested, row: Record) -> Retraction | None:
        if row["outcome"]:
            return Retraction(row["outcome"])
        named = parts(event.transaction_id, event.recipients)
        answers = await self.provider.cancel([Recall(name, len(each)) for name, each in named])
        recalled = [answer for answer in answers if isinstance(answer, Recalled)]
        if len(recalled) < len(answers):
            return None
        if row["quiet"] >= self.quiet or all(each.settled for each in recalled):
            return came_to(Status(row["previous"]), recalled)
        return None


def _json(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value


def _seconds(records: Sequence[Record]) -> dict[Key, float]:
    return {read.key(record): record["seconds"] for record in records}


def _unique(batch: Sequence[OldDelivery]) -> dict[Key, OldDelivery]:
    """One copy of each; of two, the one that may have been sent before."""
    copies: dict[Key, OldDelivery] = {}
    for one in batch:
        if one.redelivered or one.event.key not in copies:
            copies[one.event.key] = one
    return copies


def _being_sent(seconds: float) -> Retryable:
    what = "another worker may be sending it"
    return Retryable(what, code="being_sent", after=seconds, bounded=False)


def _not_sent(sent: Mapping[Key, Result]) -> Mapping[float, Sequence[Key]]:
    """What is to be tried again, by the seconds until a look-up tells; 0: surely not sent."""
    waits: dict[float, list[Key]] = defaultdict(list)
    for key, result in sent.items():
        match result:
            case Retryable(after=after):
                waits[after or 0.0].append(key)
            case Paused():
                waits[0.0].append(key)
            case Permanent() | Done() | Exception():
                pass
    return waits


def _call(one: OldDelivery, *, overdue: bool) -> Call:
    notification = one.event.notification
    [(name, people)] = parts(notification.transaction_id, len(notification.recipients))
    recipients = notification.recipients[people.start : people.stop]
    return Call(name, notification, recipients, one.doubtful or overdue, not overdue)


def _triggered(event: Hydrated) -> Triggered:
    return Triggered(
        notification_id=event.notification_id,
        enterprise_id=event.enterprise_id,
        generation=event.generation,
        claims=event.claims,
        transaction_id=event.notification.transaction_id,
        calls=1,
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
