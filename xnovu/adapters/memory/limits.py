"""What enterprises may have, in plain Python: what the SQL functions say, too."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from xnovu.adapters.memory.records import Record
from xnovu.desk import Limits
from xnovu.events import Status

AHEAD = 1000
"""How far a claim looks for rows whose workflow may have more."""

Workflow = tuple[str, str | None]


@dataclass(slots=True)
class Bucket:
    """Rows that an enterprise with a rate might have claimed at once, when it last did."""

    tokens: float
    since: datetime

    def now(self, rate: float, now: datetime) -> float:
        grown = self.tokens + rate * max(0.0, (now - self.since).total_seconds())
        return min(max(1.0, rate), grown)


@dataclass(slots=True)
class Book:
    """The limits of all enterprises and their workflows."""

    lines: dict[Workflow, Limits] = field(default_factory=dict[Workflow, Limits])
    buckets: dict[str, Bucket] = field(default_factory=dict[str, Bucket])

    def of(self, enterprise_id: str, workflow_key: str | None = None) -> Limits:
        nothing = Limits(enterprise_id=enterprise_id, workflow_key=workflow_key)
        return self.lines.get((enterprise_id, workflow_key), nothing)

    def limits_of(self, record: Record) -> Limits:
        """Those of the row's enterprise."""
        return self.of(record.enterprise_id)

    def weight(self, enterprise_id: str) -> int:
        return self.of(enterprise_id).weight or 1

    def prioritised(self, record: Record) -> Record:
        """The row with its workflow's priority, if it states none."""
        if record.priority is None:
            kind = record.notification_workflow_id or ""
            record.priority = self.of(record.enterprise_id, kind).priority or 0
        return record

    def change(
        self, enterprise_id: str, changes: Mapping[str, Any], workflow_key: str | None
    ) -> None:
        line = replace(self.of(enterprise_id, workflow_key), **changes)
        if workflow_key is None:
            line = replace(line, weight=line.weight or 1)
            if "rate" in changes:
                self.buckets.pop(enterprise_id, None)
        self.lines[enterprise_id, workflow_key] = line
        nothing = Limits(enterprise_id=enterprise_id, workflow_key=workflow_key)
        if replace(line, weight=None, priority=line.priority or None) == nothing and (
            line.weight in (None, 1)
        ):
            del self.lines[enterprise_id, workflow_key]

    def allowed(
        self, ready: Iterable[Record], everybody: Iterable[Record], now: datetime
    ) -> Iterator[Record]:
        """Those of the rows that are ready, in their order, that may be claimed now."""
        in_hand = [r for r in everybody if r.notification_status is Status.PROCESSING]
        taken = Counter[Workflow]((r.enterprise_id, None) for r in in_hand)
        taken.update((r.enterprise_id, r.notification_workflow_id or "") for r in in_hand)
        claimed, looked = Counter[str](), Counter[str]()
        for record in ready:
            whole = (record.enterprise_id, None)
            part = (record.enterprise_id, record.notification_workflow_id or "")
            looked[record.enterprise_id] += 1
            if looked[record.enterprise_id] > AHEAD or not all(
                taken[each] < (self.of(*each).concurrency or float("inf")) for each in (whole, part)
            ):
                continue
            if claimed[record.enterprise_id] + 1 > self.tokens(record.enterprise_id, now):
                continue
            claimed[record.enterprise_id] += 1
            taken.update((whole, part))
            yield record

    def tokens(self, enterprise_id: str, now: datetime) -> float:
        """How many rows of it may be claimed now, as far as its rate goes."""
        if (rate := self.of(enterprise_id).rate) is None:
            return float("inf")
        bucket = self.buckets.get(enterprise_id)
        return bucket.now(rate, now) if bucket else max(1.0, rate)

    def spend(self, claimed: Sequence[Record], now: datetime) -> None:
        """Take note of what is about to be claimed: of what was ready, not of what had lapsed."""
        ready = (r for r in claimed if r.notification_status is Status.PENDING)
        for enterprise_id, rows in Counter(record.enterprise_id for record in ready).items():
            if self.of(enterprise_id).rate is not None:
                left = self.tokens(enterprise_id, now) - rows
                self.buckets[enterprise_id] = Bucket(left, now)
