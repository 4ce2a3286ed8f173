"""What all requests to Novu share: the wire, the places on it, and the pace."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from xnovu.adapters.novu.answers import unavailable
from xnovu.adapters.novu.options import NovuOptions
from xnovu.adapters.novu.pace import Pace
from xnovu.adapters.novu.wire import LOOK_UPS, Wire
from xnovu.errors import Paused, XNovuError


@dataclass(slots=True)
class Link:
    """The wire, the places on it, the pace, and whether Novu has shown limits."""

    options: NovuOptions
    wire: Wire
    pace: Pace
    places: asyncio.Semaphore
    look_ups: asyncio.Semaphore
    limited: bool = False

    @classmethod
    def over(cls, wire: Wire, options: NovuOptions) -> "Link":
        places = asyncio.Semaphore(options.concurrency)
        return cls(options, wire, Pace(options.rate), places, asyncio.Semaphore(LOOK_UPS))

    @property
    def pays(self) -> float:
        """From how many events on one bulk is better than singles."""
        if self.options.bulk == "never" or self.options.bulk_cost > self.pace.most:
            return float("inf")
        return self.options.bulk_cost if self.options.bulk == "auto" and self.limited else 2

    @asynccontextmanager
    async def turn(self, cost: int, until: float) -> AsyncGenerator[XNovuError | None]:
        """A place for a request of the category "trigger"; an error if it cannot begin in time."""
        if limited := await self.pace.admit(cost, until):
            yield limited
            return
        async with self.place(self.places, until) as late:
            yield late or self.pace.closed()

    @asynccontextmanager
    async def place(
        self, places: asyncio.Semaphore, until: float
    ) -> AsyncGenerator[XNovuError | None]:
        """A place among the requests under way; an error if none came free in time."""
        try:
            async with asyncio.timeout_at(until):
                await places.acquire()
        except TimeoutError:
            yield _busy()
            return
        try:
            yield _busy() if asyncio.get_running_loop().time() >= until else None
        finally:
            places.release()

    def heed(self, error: XNovuError | None) -> None:
        """Let nobody pass for as long as Novu asks for."""
        if isinstance(error, Paused) and error.code == "rate_limited":
            self.pace.close(error.after or 0.0)


def _busy() -> Paused:
    return unavailable("no free connection in time")
