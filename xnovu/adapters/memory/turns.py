"""Whose row is claimed next, in plain Python: what the SQL function ``claim`` says, too."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import accumulate, groupby

from xnovu.adapters.memory.records import LONG_AGO, Record
from xnovu.events import Status

HOUR = 3600.0
STEP = 2
"""Hours that one step of priority is worth."""
NEVER = datetime.max.replace(tzinfo=UTC)
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

Order = tuple[float, datetime, datetime, int]


def fell_due(record: Record) -> datetime:
    """When a row fell due, or will: who schedules it for the past does not go before others."""
    return max(filter(None, (record.scheduled_for, record.created_at)), default=LONG_AGO)


@dataclass(frozen=True, slots=True)
class Turns:
    """
    What is claimed: of the ``sated`` enterprises all there is, while ``others_wait`` or not.

    ``urgent`` are the ids of those that go before others of their own enterprise.
    """

    records: Sequence[Record]
    sated: frozenset[str] = frozenset()
    others_wait: bool = False
    urgent: frozenset[int] = frozenset()

    def express(self, record: Record, *, idle_only: bool) -> bool:
        """Whether this one, if its claim is new, goes before all that wait."""
        first = record.enterprise_id in self.sated and (idle_only or self.others_wait)
        return first or record.id in self.urgent


def busy(records: Iterable[Record]) -> frozenset[str]:
    """The enterprises that have something in hand."""
    return frozenset(
        record.enterprise_id
        for record in records
        if record.notification_status is Status.PROCESSING
    )


def next_ones(
    due: Sequence[Record],
    limit: int,
    after: str | None,
    weight: Callable[[str], int],
    allowed: Callable[[Iterable[Record]], Iterable[Record]],
) -> Turns:
    """Those whose claim has lapsed, but no more than half if others wait, and who is next."""
    lapsed = [record for record in due if record.notification_status is Status.PROCESSING]
    waiting = [record for record in due if record.notification_status is Status.PENDING]
    ordered = sorted(waiting, key=lambda record: (record.enterprise_id, order(record)))
    ready = list(allowed(ordered))
    first = lapsed[: limit - (limit // 2 if ready else 0)]
    turns = in_turn(ready, limit, after, weight)
    return replace(turns, records=[*first, *turns.records][:limit])


def in_turn(
    ordered: Sequence[Record], limit: int, after: str | None, weight: Callable[[str], int]
) -> Turns:
    """Twice round the enterprises at most, from the one after ``after``: each its next few rows."""
    rows = {each: list(found) for each, found in groupby(ordered, lambda r: r.enterprise_id)}
    ring = sorted(rows, key=lambda each: (after is not None and each <= after, each))
    weights = [weight(each) for each in ring[:limit]]
    turn = max(1, limit // max(1, sum(weights)))
    turns = [turn * each for each in weights]
    whole = max(1, sum(needed <= limit for needed in accumulate(turns)))
    served = dict(zip(ring, turns[:whole], strict=False))
    found = [
        row
        for nth in range(2 if len(served) == len(ring) else 1)
        for each, share in served.items()
        for row in rows[each][nth * share : (nth + 1) * share]
    ]
    shares = {each: min(limit, share) for each, share in served.items()}
    sated = frozenset(each for each, share in shares.items() if len(rows[each]) < share)
    urgent = _urgent([(rows[each][:share], share) for each, share in shares.items()], limit)
    return Turns(found[: sum(served.values())], sated, len(sated) < len(ring), urgent)


def _urgent(turns: Sequence[tuple[Sequence[Record], int]], limit: int) -> frozenset[int]:
    """Of each turn, and of all, the first one in twenty that go before its last by a whole step."""
    found = [
        (nth, place, row.id)
        for place, (rows, share) in enumerate(turns)
        for nth, row in enumerate(rows[: _few(share)])
        if order(rows[-1])[0] - order(row)[0] >= STEP
    ]
    return frozenset(row for _, _, row in sorted(found)[: _few(limit)])


def _few(rows: int) -> int:
    return max(1, rows // 20)


def order(record: Record) -> Order:
    """Its place among the rows of its enterprise: rank, deadline, first come, id."""
    due = fell_due(record)
    hour = 0 if due == LONG_AGO else (due - EPOCH).total_seconds() // HOUR
    rank = hour - STEP * min(max(record.priority or 0, -100), 100)
    return rank, record.expires_at or NEVER, due, record.id
