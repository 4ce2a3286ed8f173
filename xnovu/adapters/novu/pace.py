"""How fast requests may go out: the configured rate, and what Novu asks for with a 429."""

import asyncio

from aiolimiter import AsyncLimiter

from xnovu.errors import Paused

WINDOW = 5.0
"""Seconds in which a whole window's tokens may be spent at once, as at Novu."""


class Pace:
    """
    Tokens per second, and a gate that a 429 closes for a while.

    Waiting here is no part of a request's time, and ends at a moment the caller names. Lives on
    one event loop.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self.most = max(rate * WINDOW, 1.0) if rate else float("inf")
        self._limiter = AsyncLimiter(self.most, self.most / rate) if rate else None
        self._opens = 0.0

    async def admit(self, cost: float, until: float) -> Paused | None:
        """Wait for tokens and the gate; if ``until`` (loop time) comes first, say when to ask."""
        if late := self._late(until):
            return late
        try:
            async with asyncio.timeout_at(until):
                if self._limiter:
                    await self._limiter.acquire(cost)
                if (closed := self._closed()) > 0:
                    await asyncio.sleep(closed)
        except TimeoutError:
            return self._late(until) or _limited(cost / self._rate if self._rate else 0.0)
        return None

    def close(self, seconds: float) -> None:
        """Let nobody pass for so many seconds."""
        self._opens = max(self._opens, _now() + seconds)

    def closed(self) -> Paused | None:
        """Why nobody may pass just now."""
        return _limited(self._closed()) if self._closed() > 0 else None

    def _closed(self) -> float:
        return self._opens - _now()

    def _late(self, until: float) -> Paused | None:
        return _limited(self._closed()) if self._opens >= until else None


def _now() -> float:
    return asyncio.get_running_loop().time()


def _limited(after: float) -> Paused:
    return Paused("waiting for the rate limit", code="rate_limited", after=after)
