"""What a notification waits for, in plain Python."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from xnovu.adapters.memory.limits import AHEAD, Book
from xnovu.adapters.memory.records import Record
from xnovu.adapters.memory.turns import order
from xnovu.desk import Aside, Limits, Registered
from xnovu.events import Key, Status, StatusChanged, Workflow


class Limited:
    """The part that is about waiting; see :class:`MemoryStore`. Nothing refuses a row here."""

    def __init__(self, now: Callable[[], datetime], enterprise_id: str | None) -> None:
        self.enterprise_id = enterprise_id
        self.records: dict[int, Record] = {}
        self.workflows: dict[tuple[str, str], Workflow] = {}
        self.book = Book()
        self._now = now

    async def waiting(self, notification_id: int) -> Mapping[str, Any] | None:
        record = self.records.get(notification_id)
        if record is None or self.enterprise_id not in (None, record.enterprise_id):
            return None
        everybody = list(self.records.values())
        return waits_for(record, everybody, self.book, self._now())

    async def aside(self, most: int = 20) -> Sequence[Aside]:
        return ()[:most]

    async def untold(self, limit: int) -> Sequence[StatusChanged]:
        return ()[:limit]

    async def told(self, keys: Sequence[Key]) -> None: ...

    async def registered(self, enterprise_id: str | None = None) -> Sequence[Registered]:
        whose = self.enterprise_id or enterprise_id
        used = (of for of in self.workflows.values() if not of.deactivated)
        return [
            Registered(of.enterprise_id, of.workflow_key, of.payload_schema)
            for of in sorted(used, key=lambda of: (of.enterprise_id, of.workflow_key))
            if whose in (None, of.enterprise_id)
        ]

    async def limits(self, enterprise_id: str | None = None) -> Sequence[Limits]:
        whose = self.enterprise_id or enterprise_id
        lines = [line for line in self.book.lines.values() if whose in (None, line.enterprise_id)]
        return sorted(lines, key=lambda line: (line.enterprise_id, line.workflow_key or ""))

    async def limit(
        self, enterprise_id: str, changes: Mapping[str, Any], workflow_key: str | None = None
    ) -> bool:
        if workflow_key is not None and (enterprise_id, workflow_key) not in self.workflows:
            return False
        self.book.change(enterprise_id, changes, workflow_key)
        return True

    def _is_ours(self, record: Record) -> bool:
        return self.enterprise_id in (None, record.enterprise_id)

    def _ours(self) -> Iterator[Record]:
        return filter(self._is_ours, self.records.values())

    def _workflow(self, record: Record) -> Workflow | None:
        return self.workflows.get((record.enterprise_id, record.notification_workflow_id or ""))


def waits_for(
    record: Record, everybody: Sequence[Record], book: Book, now: datetime
) -> Mapping[str, Any] | None:
    """See :meth:`xnovu.desk.Desk.waiting`."""
    match record.notification_status:
        case Status.PROCESSING:
            return {"for": "stages", "since": record.updated_at}
        case Status.RETRACTED if record.retraction_outcome is None:
            return {"for": "retraction", "since": record.retracted_at}
        case Status.PENDING if record.scheduled_for and record.scheduled_for > now:
            seconds = (record.scheduled_for - now).total_seconds()
            return {"for": "schedule", "until": record.scheduled_for, "seconds": seconds}
        case Status.PENDING:
            return _its_turn(record, everybody, book, now)
        case _:
            return None


def _its_turn(
    record: Record, everybody: Sequence[Record], book: Book, now: datetime
) -> Mapping[str, Any]:
    ready = [r for r in everybody if r.notification_status is Status.PENDING and _due(r, now)]
    of_it = [r for r in everybody if r.enterprise_id == record.enterprise_id]
    in_hand = [r for r in of_it if r.notification_status is Status.PROCESSING]
    workflow = record.notification_workflow_id or ""
    alike = [r for r in in_hand if (r.notification_workflow_id or "") == workflow]
    own, kind = book.of(record.enterprise_id), book.of(record.enterprise_id, workflow)
    before = [r for r in of_it if r in ready and order(r) < order(record)]
    ahead = min(len(before), AHEAD)
    told = {"ahead": ahead, "seconds": None}
    tokens = book.tokens(record.enterprise_id, now)
    if own.concurrency and len(in_hand) >= own.concurrency:
        return {**told, "for": "concurrency", "most": own.concurrency, "in_hand": len(in_hand)}
    if kind.concurrency and len(alike) >= kind.concurrency:
        return {**told, "for": "workflow", "most": kind.concurrency, "in_hand": len(alike)}
    if own.rate and tokens < ahead + 1:
        seconds = (ahead + 1 - tokens) / own.rate
        return {**told, "for": "rate", "rate": own.rate, "seconds": seconds}
    enterprises = len({r.enterprise_id for r in ready})
    return {**told, "for": "turn", "weight": own.weight or 1, "enterprises": enterprises}


def _due(record: Record, now: datetime) -> bool:
    return record.scheduled_for is None or record.scheduled_for <= now
