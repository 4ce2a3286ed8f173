"""
The part of Novu behind the 201: takes accepted events up, drops duplicates, delivers.

The look for an earlier copy of a transaction and the moment its own delivery can be seen lie
`dedupe_gap` seconds apart, and nothing is locked in between.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from .clock import Clock
from .inbox import Inbox, Received
from .ledger import Ledger
from .workflows import Stage, Workflow


@dataclass(frozen=True, slots=True)
class Accepted:
    """An event that was answered `processed`; `size` is its share of the request in bytes."""

    transaction: str
    workflow: Workflow
    subscribers: tuple[str, ...]
    payload: dict[str, Any]
    size: int


class _Due:
    """Messages waiting for their delay to pass; until then they can be cancelled."""

    __slots__ = ("accepted", "cancelled", "stage")

    def __init__(self, accepted: Accepted, stage: Stage) -> None:
        self.accepted = accepted
        self.stage = stage
        self.cancelled = False


class Worker:
    """Delivers in the background, one timer for each request and not for each event."""

    __slots__ = ("_clock", "_due", "_inbox", "_ledger", "_life")

    def __init__(self, clock: Clock, ledger: Ledger, inbox: Inbox) -> None:
        self._clock = clock
        self._ledger = ledger
        self._inbox = inbox
        self._due: defaultdict[str, list[_Due]] = defaultdict(list)
        self._life = 0

    def enqueue(self, batch: list[Accepted], delay: float, gap: float) -> None:
        """Takes the events of one request to be fanned out `delay` seconds from now."""
        self._clock.later(delay, partial(self._look_up, batch, gap, self._life))

    def stop(self) -> None:
        """Forgets all that is under way."""
        self._life += 1
        self._due.clear()

    def cancel(self, transaction: str) -> bool:
        """Calls off the messages still waiting; False if there are none (not yet or no more)."""
        waiting = self._due.pop(transaction, [])
        for due in waiting:
            due.cancelled = True
        return bool(waiting)

    def _look_up(self, batch: list[Accepted], gap: float, life: int) -> None:
        if life != self._life:
            return
        if gap == 0:
            self._deliver(self._fresh(batch))
            return
        fresh = list(self._fresh(batch))  # looked up now, seen by others only after the gap
        self._clock.later(gap, lambda: self._deliver(fresh) if life == self._life else None)

    def _fresh(self, batch: list[Accepted]) -> Iterable[Accepted]:
        for accepted in batch:
            if self._ledger.delivered(accepted.transaction):
                self._ledger.dropped(accepted.transaction)
            else:
                yield accepted

    def _deliver(self, batch: Iterable[Accepted]) -> None:
        now = self._clock.now()
        later: defaultdict[float, list[_Due]] = defaultdict(list)
        for accepted in batch:
            self._ledger.fanned_out(
                accepted.transaction, accepted.workflow.key, accepted.subscribers, now
            )
            for stage in accepted.workflow.stages:
                if stage.at:
                    later[stage.at].append(self._wait(accepted, stage))
                else:
                    self._send(accepted, stage, now)
        for delay, dues in later.items():
            self._clock.later(delay, partial(self._send_due, dues, self._life))

    def _wait(self, accepted: Accepted, stage: Stage) -> _Due:
        due = _Due(accepted, stage)
        self._due[accepted.transaction].append(due)
        return due

    def _send_due(self, dues: list[_Due], life: int) -> None:
        if life != self._life:
            return
        now = self._clock.now()
        for due in dues:
            if not due.cancelled:
                self._settle(due)
                self._send(due.accepted, due.stage, now)

    def _settle(self, due: _Due) -> None:
        transaction = due.accepted.transaction
        self._due[transaction].remove(due)
        if not self._due[transaction]:
            del self._due[transaction]

    def _send(self, accepted: Accepted, stage: Stage, now: float) -> None:
        self._ledger.went_out(accepted.transaction, accepted.workflow.stages.index(stage) + 1)
        if stage is accepted.workflow.stages[0]:
            self._ledger.notified(accepted.transaction, accepted.subscribers)
        if self._inbox.remembers:
            self._inbox.add(_received(accepted, stage, now))


def _received(accepted: Accepted, stage: Stage, now: float) -> Received:
    return Received(
        0,
        now,
        accepted.workflow.key,
        accepted.transaction,
        accepted.subscribers,
        stage.channels,
        accepted.payload,
        accepted.size,
    )
