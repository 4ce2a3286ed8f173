"""A database of record in dictionaries: what the store's contract means, in plain Python."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from pydantic import ValidationError

from xnovu.adapters.memory import retractions
from xnovu.adapters.memory.records import (
    Record,
    Transition,
    as_failed,
    as_history,
    as_recorded,
    as_row,
    falls_due,
    name_at_provider,
    owners,
    refusal,
    says,
    told_of,
    transition,
)
from xnovu.adapters.memory.sends import DIFFERS, SendRecords
from xnovu.adapters.memory.turns import busy, next_ones
from xnovu.adapters.memory.waiting import Limited
from xnovu.desk import Failed, Search
from xnovu.errors import Permanent
from xnovu.events import (
    Captured,
    Key,
    Notification,
    Retraction,
    RetractRequested,
    Status,
    StatusChanged,
    Unconfirmed,
    Workflow,
)
from xnovu.retraction import Retracted
from xnovu.sending import Sending, SendTimes
from xnovu.store import NOTHING, Claim, Outcome, Row


class MemoryStore(Limited):
    """
    ``Store`` and ``Desk`` in memory, for one process and its life. ``now`` tells the time.

    ``records`` is the table, by id; ``workflows`` the other one, by enterprise and key; ``book``
    has the limits of enterprises. With an ``enterprise_id`` the store is that enterprise's only;
    :meth:`only` makes such a one.
    """

    def __init__(
        self,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        enterprise_id: str | None = None,
    ) -> None:
        super().__init__(now, enterprise_id)
        self.transitions: list[Transition] = []
        self.operations: list[Mapping[str, Any]] = []
        self.sends = SendRecords()
        self._served: str | None = None

    def only(self, enterprise_id: str) -> "MemoryStore":
        """A store of one enterprise upon the same tables."""
        store = MemoryStore(self._now, enterprise_id)
        store.records, store.workflows, store.book = self.records, self.workflows, self.book
        store.transitions, store.operations = self.transitions, self.operations
        store.sends = self.sends
        return store

    def register(self, workflow: Workflow) -> None:
        """Add a workflow, or replace it."""
        self.workflows[workflow.enterprise_id, workflow.workflow_key] = workflow

    async def claim(self, limit: int, lease: float, *, idle_only: bool = False) -> Sequence[Claim]:
        now = self._now()
        allowed = partial(self.book.allowed, everybody=self.records.values(), now=now)
        due = self._due(idle_only=idle_only)
        turns = next_ones(due, limit, self._served, self.book.weight, allowed)
        if turns.records and not idle_only:
            self._served = turns.records[-1].enterprise_id
        self.book.spend(turns.records, now)
        express = partial(turns.express, idle_only=idle_only)
        return [self._claim(record, lease, express(record)) for record in turns.records]

    async def claim_retractions(self, limit: int, lease: float) -> Sequence[RetractRequested]:
        now = self._now()
        times = ((retractions.since(record), record) for record in self._ours())
        due = sorted((since, r.id, r) for since, r in times if since and since <= now)
        for _, _, record in due[:limit]:
            record.claims += 1
            record.claimed_until = now + timedelta(seconds=lease)
        return [retractions.requested(r, name_at_provider(r)) for _, _, r in due[:limit]]

    def handed_over(self, keys: Sequence[Key]) -> None:
        """Nobody outlives this store."""

    async def release(self, keys: Sequence[Key]) -> None:
        now = self._now()
        retracted = (r for r in self._claimed(keys, Status.RETRACTED) if r.claimed_until)
        for record in (*self._claimed(keys), *retracted):
            record.claimed_until = now

    async def next_due(self) -> float | None:
        times = (falls_due(record) or retractions.since(record) for record in self._ours())
        due = min(filter(None, times), default=None)
        return None if due is None else max(0.0, (due - self._now()).total_seconds())

    async def load(
        self, keys: Sequence[Key], most_bytes: int | None = None
    ) -> Mapping[Key, Row | Permanent]:
        del most_bytes
        found = ((key, self._find(key)) for key in keys)
        owns = owners(self.records.values())
        workflow, limits = self._workflow, self.book.limits_of
        return {key: as_row(key, r, workflow(r), owns, limits(r)) for key, r in found if r}

    async def begin_send(
        self, keys: Sequence[Key], times: SendTimes, said: Mapping[Key, Notification] = NOTHING
    ) -> Sending:
        now, token, rows = self._now(), str(uuid4()), list(self._claimed(dict.fromkeys(keys)))
        limits = self.book.limits_of
        agreeing = [r for r in rows if r.key not in said or says(r, limits(r), said[r.key])]
        self._keep(agreeing, times)
        begun = {row.key: self.sends.begin(row, token, now, times) for row in agreeing}
        return Sending(token, {row.key: DIFFERS for row in rows} | begun)

    async def end_send(
        self, sending: Sending, unsent: Sequence[Key], unclear: Sequence[Key]
    ) -> None:
        for keys, is_unclear in ((unsent, False), (unclear, True)):
            ids = [key.notification_id for key in keys if self._find(key)]
            self.sends.end(ids, sending.token, self._now(), unclear=is_unclear)

    async def begin_retraction(
        self, keys: Sequence[Key], times: SendTimes
    ) -> Mapping[Key, Retracted]:
        now, found = self._now(), list(self._claimed(keys, Status.RETRACTED))
        self._keep(found, times)
        shown = [(r, self.sends.shown_after(r, now, times)) for r in found]
        return {r.key: retractions.stands(r, self._trail(r), s, now, times) for r, s in shown}

    async def record_retractions(
        self, outcomes: Mapping[Key, Retraction]
    ) -> Sequence[StatusChanged]:
        told = list(self._claimed(outcomes, Status.RETRACTED))
        for record in told:
            if record.retraction_outcome is None:
                record.retraction_outcome = outcomes[record.key]
                self._note(record, Status.RETRACTED, "retract", retractions.details(record))
            record.claimed_until = None
            self.sends.of.pop(record.id, None)
        return [retractions.changed(record, self._trail(record)) for record in told]

    async def record(self, outcomes: Sequence[Outcome]) -> Sequence[StatusChanged | Unconfirmed]:
        """As the port says; a returned event carries the row's ``claims``, whoever stated it."""
        told = sorted(outcomes, key=lambda outcome: outcome.failure is not None)  # SENT wins
        held = [record for outcome in told if (record := self._record(outcome))]
        return [as_recorded(record) for record in {record.id: record for record in held}.values()]

    async def failed(self, search: Search, limit: int) -> Sequence[Failed]:
        failed = (r for r in self._ours() if r.notification_status is Status.FAILED)
        found = sorted(map(as_failed, failed), key=lambda each: (each.at, each.key.notification_id))
        return [each for each in found if search.includes(each)][:limit]

    async def redrive(
        self,
        keys: Sequence[Key],
        *,
        who: str | None = None,
        payloads: Mapping[Key, Mapping[str, Any]] = MappingProxyType({}),
    ) -> Sequence[Key]:
        # One by one: a key given twice finds its row of another generation the second time.
        found = ((key, self._find(key, key.generation)) for key in keys)
        return [
            self._redrive(record, who or "redrive", payloads.get(key))
            for key, record in found
            if record and record.notification_status is Status.FAILED
        ]

    async def note_operation(
        self, who: str, what: str, count: int, details: Mapping[str, Any]
    ) -> None:
        self.operations.append({"actor": who, "operation": what, "count": count, **details})

    async def retract(self, keys: Sequence[Key], reason: str | None = None) -> Sequence[Key]:
        retracted: list[Key] = []
        for record in (record for key in keys if (record := self._find(key))):
            if record.notification_status is not Status.RETRACTED:
                now = self._now()
                details = retractions.take_back(record, reason, now)
                self._move(record, Status.RETRACTED, "retract", details)
                record.claimed_until = now
                retracted.append(record.key)
        return retracted

    async def insert(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[int]:
        records = [self._read(row, place) for place, row in enumerate(rows, 1)]
        if strangers := [record for record in records if not self._is_ours(record)]:
            message = f"{len(strangers)} notifications are another enterprise's"
            raise Permanent(message, code="invalid_row")
        self.records.update((record.id, record) for record in records)
        return [record.id for record in records]

    async def history(self, notification_id: int) -> Mapping[str, Any] | None:
        record = self.records.get(notification_id)
        if record is None or not self._is_ours(record):
            return None
        return as_history(record, self._workflow(record), self._trail(record))

    def _due(self, *, idle_only: bool) -> Sequence[Record]:
        """Rows that are due, first come first; of idle enterprises only, if that is asked."""
        now = self._now()
        times = ((falls_due(record), record) for record in self._ours())
        found = sorted((due, record.id, record) for due, record in times if due and due <= now)
        others = busy(self.records.values()) if idle_only else frozenset[str]()
        return [record for _, _, record in found if record.enterprise_id not in others]

    def _find(self, key: Key, generation: int | None = None) -> Record | None:
        """The row, if it is this enterprise's, and of this generation where one is given."""
        record = self.records.get(key.notification_id)
        if not record or record.enterprise_id != key.enterprise_id or not self._is_ours(record):
            return None
        return record if generation in (None, record.generation) else None

    def _claimed(self, keys: Iterable[Key], status: Status = Status.PROCESSING) -> Iterator[Record]:
        for key in keys:
            record = self._find(key)
            if record and record.notification_status is status and record.key == key:
                yield record

    def _keep(self, rows: Iterable[Record], times: SendTimes) -> None:
        """Keep their claims, if they would lapse before that."""
        kept = self._now() + timedelta(seconds=times.hold)
        for row in rows:
            row.claimed_until = row.claimed_until and max(row.claimed_until, kept)

    def _trail(self, record: Record) -> Sequence[Transition]:
        return [t for t in self.transitions if t.notification_id == record.id]

    def _claim(self, record: Record, lease: float, express: bool) -> Claim:
        record.claims += 1
        record.claimed_until = self._now() + timedelta(seconds=lease)
        record.transaction_id = name_at_provider(record)
        before, record.notification_status = record.notification_status, Status.PROCESSING
        self._note(record, before, "ingest", None)
        captured = Captured(**record.key._asdict(), transaction_id=record.transaction_id)
        return Claim(captured, express and before is Status.PENDING)

    def _record(self, outcome: Outcome) -> Record | None:
        """Write it if it may still be written; the row, if it is now as told or unconfirmed."""
        key, failure = outcome.key, outcome.failure
        record = self._find(key, key.generation)
        if record is None or (failure and record.claims != key.claims):
            return None
        status = Status.FAILED if failure else Status.SENT
        if record.notification_status is Status.PROCESSING:
            if not failure and not self.sends.has_begun(record):
                return record
            record.processed_at, record.error_details = self._now(), failure
            self._move(record, status, "status", told_of(failure))
        return record if record.notification_status is status else None

    def _redrive(self, record: Record, who: str, payload: Mapping[str, Any] | None) -> Key:
        record.payload = record.payload if payload is None else dict(payload)
        record.generation += 1
        record.claims = 0
        record.processed_at = record.error_details = record.transaction_id = None
        record.transaction_id = name_at_provider(record)
        self._move(record, Status.PENDING, who, None)
        return record.key

    def _move(self, record: Record, to: Status, actor: str, details: dict[str, Any] | None) -> None:
        before, record.notification_status = record.notification_status, to
        record.claimed_until = None
        if to is Status.SENT:
            self.sends.of.pop(record.id, None)
        self._note(record, before, actor, details)

    def _note(
        self, record: Record, before: Status, actor: str, details: dict[str, Any] | None
    ) -> None:
        record.updated_at = self._now()
        self.transitions.append(transition(record, before, actor, details))

    def _read(self, row: Mapping[str, Any], place: int) -> Record:
        made = {"id": max(self.records, default=0) + place, "created_at": self._now()}
        try:
            record = Record.model_validate({**made, **row})
        except ValidationError as error:
            raise refusal(error) from None
        return self.book.prioritised(record)
