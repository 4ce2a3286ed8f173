"""The time the local Novu lives by: the real one, or one a test winds forward by hand."""

import asyncio
import heapq
import time
from collections.abc import Callable
from itertools import count
from typing import Protocol


class Clock(Protocol):
    """Tells the time and does things later; all times in seconds."""

    def now(self) -> float: ...
    def later(self, seconds: float, action: Callable[[], None]) -> None: ...
    async def sleep(self, seconds: float) -> None: ...


class LoopClock:
    """The real time, on the running event loop."""

    __slots__ = ()

    def now(self) -> float:
        return time.time()

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, action)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that stands still until `advance` is called: tests with it never wait."""

    __slots__ = ("_due", "_now", "_order")

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def now(self) -> float:
        return self._now

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self._now + seconds, next(self._order), action))

    async def sleep(self, seconds: float) -> None:
        awake = asyncio.Event()
        self.later(seconds, awake.set)
        await awake.wait()

    def advance(self, seconds: float = 0.0) -> None:
        """Moves time on and does, in order, all that falls due on the way."""
        until = self._now + seconds
        while self._due and self._due[0][0] <= until:
            self._now, _, action = heapq.heappop(self._due)
            action()
        self._now = until
