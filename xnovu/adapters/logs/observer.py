"""What becomes of messages, told in a few lines however many there are."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from xnovu.adapters.logs.speech import logger
from xnovu.envelope import NOBODY
from xnovu.events import Key
from xnovu.observer import Report, outcome
from xnovu.policy import UNEXPECTED, Dead, Hold, Retry

INTERVAL = 5.0
"""Seconds that are summed up together."""

LINES = 20
"""Lines at most for single enterprises in one interval; the rest of them share one per outcome."""

EXAMPLES = 3
"""Dead messages of a stage, in one interval, that are told of one by one; and as many bugs."""

_LEVELS = {"dead": logging.ERROR, "retry": logging.WARNING, "done": logging.INFO}


@dataclass(frozen=True, slots=True)
class _Group:
    """Messages that one line can stand for."""

    stage: str
    outcome: str
    code: str
    enterprise: str


@dataclass(slots=True)
class _Sum:
    """What such a line says; ``notification`` is one of them, for an example."""

    notification: int | None = None
    count: int = 0
    batches: int = 0
    seconds: float = 0.0
    slowest: float = 0.0

    def add(self, count: int, seconds: float) -> None:
        self.count += count
        self.batches += 1
        self.seconds += seconds
        self.slowest = max(self.slowest, seconds)


@dataclass(slots=True)
class _Holding:
    """The batches that a stage holds, and what has been said of it: ``code``, and when last."""

    batches: set[asyncio.Task[Any] | None] = field(default_factory=set[asyncio.Task[Any] | None])
    code: str | None = None
    since: float = 0.0
    said: float = float("-inf")


class LogObserver:
    """
    An observer that logs sums: one line for each stage, enterprise and outcome in an interval.

    An interval begins with the first message after the last one, so an idle process logs nothing.
    Call it from the task of the batch, as an actor does; ``flush`` when the process ends.
    """

    def __init__(
        self, interval: float = INTERVAL, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = interval
        self._clock = clock
        self._log = logger()
        self._timer: asyncio.TimerHandle | None = None
        self._sums: dict[_Group, _Sum] = {}
        self._examples: Counter[tuple[str, str]] = Counter()
        self._holdings: dict[str, _Holding] = {}

    def began(self, stage: str, size: int) -> None:
        """Say nothing: its end tells more."""

    def held(self, stage: str, size: int, hold: Hold) -> None:
        """Tell when a stage begins to hold work, at most once in an interval."""
        holding = self._holdings.setdefault(stage, _Holding())
        if not holding.batches:
            holding.since = self._clock()
        holding.batches.add(asyncio.current_task())
        if hold.code != holding.code and self._clock() - holding.said >= self._interval:
            holding.code, holding.said = hold.code, self._clock()
            self._log.warning(
                "holding work", stage=stage, code=hold.code, reason=hold.reason, count=size
            )

    def finished(self, report: Report) -> None:
        self._let_go(report.stage)
        counts: Counter[tuple[str, str, str]] = Counter()
        for key, fate in report.fates:
            what = (*outcome(fate), key.enterprise_id if key else NOBODY)
            counts[what] += 1
            if counts[what] == 1:
                self._sums.setdefault(_Group(report.stage, *what), _Sum(_number(key)))
            if isinstance(fate, Dead) or (isinstance(fate, Retry) and fate.code == UNEXPECTED):
                self._give_example(report.stage, key, fate)
        for what, count in counts.items():
            self._sums[_Group(report.stage, *what)].add(count, report.seconds)
        if counts and not self._timer:
            self._timer = asyncio.get_running_loop().call_later(self._interval, self.flush)

    def flush(self) -> None:
        """Log what has been summed up since the last time; nothing if there was nothing."""
        if self._timer:
            self._timer.cancel()
        sums = sorted(self._sums.items(), key=_weight)
        self._timer, self._sums = None, {}
        self._examples.clear()
        for group, total in sums[:LINES]:
            self._tell(group, total)
        self._tell_others(sums[LINES:])

    def _give_example(self, stage: str, key: Key | None, fate: Dead | Retry) -> None:
        event = "dead" if isinstance(fate, Dead) else UNEXPECTED
        self._examples[stage, event] += 1
        if self._examples[stage, event] <= EXAMPLES:
            self._log.error(
                event,
                stage=stage,
                enterprise=key.enterprise_id if key else NOBODY,
                notification=_number(key),
                code=fate.code,
                reason=fate.reason,
            )

    def _tell(self, group: _Group, total: _Sum) -> None:
        self._log.log(
            _LEVELS[group.outcome],
            "batch",
            stage=group.stage,
            enterprise=group.enterprise,
            outcome=group.outcome,
            **({"code": group.code} if group.code else {}),
            count=total.count,
            notification=total.notification,
            batches=total.batches,
            seconds=round(total.seconds, 3),
            slowest=round(total.slowest, 3),
        )

    def _tell_others(self, sums: Iterable[tuple[_Group, _Sum]]) -> None:
        enterprises: dict[tuple[str, str], set[str]] = {}
        counts: Counter[tuple[str, str]] = Counter()
        for group, total in sums:
            what = (group.stage, group.outcome)
            enterprises.setdefault(what, set()).add(group.enterprise)
            counts[what] += total.count
        for (stage, became), names in enterprises.items():
            self._log.log(
                _LEVELS[became],
                "batch, other enterprises",
                stage=stage,
                outcome=became,
                enterprises=len(names),
                count=counts[stage, became],
            )

    def _let_go(self, stage: str) -> None:
        """Tell when the last held batch of a stage is over, if its begin was told."""
        if not (holding := self._holdings.get(stage)):
            return
        current = asyncio.current_task()
        holding.batches = {
            task for task in holding.batches if task is not current and not (task and task.done())
        }
        if holding.code and not holding.batches:
            held_for = round(self._clock() - holding.since, 3)
            self._log.info("no longer holding", stage=stage, code=holding.code, seconds=held_for)
            holding.code = None


def _number(key: Key | None) -> int | None:
    return key.notification_id if key else None


def _weight(item: tuple[_Group, _Sum]) -> tuple[int, int]:
    """The worst first, then the most."""
    group, total = item
    return -_LEVELS[group.outcome], -total.count
