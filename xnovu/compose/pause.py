"""
A stage whose provider is away, stopped in every process at once.

Each process keeps what it has in hand and tries that again by itself. To take more would only mean
more that waits, in every slot of every process, and more knocking at a door that is closed.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from xnovu.errors import XNovuError
from xnovu.observer import Report
from xnovu.policy import Dead, Done, Hold
from xnovu.ports import Transport

log = structlog.stdlib.get_logger("xnovu")

ANSWERED = frozenset({"provider_auth", "provider_payment", "provider_address"})
"""Codes of what the provider has said itself: it is true for every process, for as long as held."""

UNREACHED = frozenset({"provider_unavailable"})
"""A code that may be one process's own trouble: it pauses the others once, not for ever."""

SECONDS = 30.0
"""How long a pause lasts that nobody renews: no longer does who died after it stop the others."""

Batch = asyncio.Task[Any] | None


@dataclass(slots=True)
class _Streak:
    """One stage's run of failures in this process, until it gets through."""

    hold: Hold
    batches: set[Batch] = field(default_factory=set[Batch])
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def holds_any(self) -> bool:
        """Whether a batch is held still; one whose task was killed says nothing of its end."""
        self.batches = {batch for batch in self.batches if batch and not batch.done()}
        return bool(self.batches)

    async def over_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.over.wait()
        return self.over.is_set()


class FleetPause:
    """
    An observer that pauses a stage's mailbox while its provider is away, and resumes it at once.

    A pause is made when the first batch is held, and renewed while one is. If somebody else has
    resumed the mailbox, he got through: the trouble is our own, and we pause no more until we get
    through ourselves. Call it from the task of the batch, as an actor does.
    """

    def __init__(self, transport: Transport, seconds: float = SECONDS) -> None:
        self._transport = transport
        self._seconds = seconds
        self._streaks: dict[str, _Streak] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def began(self, stage: str, size: int) -> None:
        """Do nothing: it may go well."""

    def held(self, stage: str, size: int, hold: Hold) -> None:
        if hold.code not in ANSWERED | UNREACHED:
            return
        if stage not in self._streaks:
            self._streaks[stage] = _Streak(hold)
            self._spawn(self._see_through(stage, self._streaks[stage]))
        self._streaks[stage].hold = hold
        self._streaks[stage].batches.add(asyncio.current_task())

    def finished(self, report: Report) -> None:
        streak, batch = self._streaks.get(report.stage), asyncio.current_task()
        if not streak or batch not in streak.batches:
            return
        streak.batches.discard(batch)
        got_through = any(isinstance(fate, Done | Dead) for _, fate in report.fates)
        if got_through or not streak.batches:  # who holds nothing does not try, either
            self._end(report.stage, streak)

    async def stop(self) -> None:
        """Renew nothing more; what is paused still is so for as long as it was said to be."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _end(self, stage: str, streak: _Streak) -> None:
        self._streaks.pop(stage, None)
        streak.over.set()

    async def _see_through(self, stage: str, streak: _Streak) -> None:
        with suppress(XNovuError):  # out of the broker's reach nobody takes anything anyway
            await self._pause(stage, streak)
            log.warning("paused in the whole fleet", stage=stage, code=streak.hold.code)
            await self._renew(stage, streak)
        await streak.over.wait()
        with suppress(TimeoutError):  # by then it has ended by itself
            async with asyncio.timeout(self._seconds):
                await self._resume(stage)

    async def _resume(self, stage: str) -> None:
        """As soon as the broker can be reached, unless this process pauses it anew."""
        while not await self._resumed(stage):
            await asyncio.sleep(self._seconds / 60)
            if stage in self._streaks:
                return
        log.warning("goes on in the whole fleet", stage=stage)

    async def _resumed(self, stage: str) -> bool:
        try:
            await self._transport.resume(stage)
        except XNovuError:
            return False
        return True

    async def _renew(self, stage: str, streak: _Streak) -> None:
        """Unless it was lifted before its time."""
        clock = asyncio.get_running_loop().time
        until = clock() + self._seconds
        while not await streak.over_within(self._seconds / 3):
            if not streak.holds_any():
                self._end(stage, streak)
            if streak.over.is_set() or streak.hold.code not in ANSWERED:
                continue
            if clock() < until and not await self._transport.paused(stage):
                return
            await self._pause(stage, streak)
            until = clock() + self._seconds

    async def _pause(self, stage: str, streak: _Streak) -> None:
        reason = f"{streak.hold.code}: {streak.hold.reason}"
        await self._transport.pause(stage, self._seconds, reason)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name="fleet-pause")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
