"""What all requests to Novu share: the wire, the places on it, and the pace."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from xnovu.adapters.novu.answers import unavailable
from xnovu.adapters.novu.options import NovuOptions
from xnovu.adapters.novu.pace import Pace, Rank
from xnovu.adapters.novu.places import Places
from xnovu.adapters.novu.wire import LOOK_UPS, Wire
from xnovu.errors import Paused, XNovuError
from xnovu.peers import Peers


@dataclass(slots=True)
class Link:
    """The wire, the places on it, the pace; whether its limits are known, and there are any."""

    options: NovuOptions
    wire: Wire
    pace: Pace
    places: Places
    look_ups: Places
    first: Places
    met: bool = False
    limited: bool = False

    @classmethod
    def over(cls, wire: Wire, options: NovuOptions, peers: Peers) -> "Link":
        places, look_ups, first = Places(options.concurrency), Places(LOOK_UPS), Places(1)
        pace = Pace(options.rate, peers)
        link = cls(options, wire, pace, places, look_ups, first, met=options.rate > 0)
        wire.on_answer = link.heard
        return link

    @property
    def pays(self) -> float:
        """From how many events on one bulk is better than singles."""
        if self.options.bulk == "never" or self.options.bulk_cost > self.pace.most:
            return float("inf")
        return self.options.bulk_cost if self.options.bulk == "auto" and self.limited else 2

    @asynccontextmanager
    async def turn(
        self, cost: int, until: float, rank: Rank = Rank.USUAL
    ) -> AsyncGenerator[XNovuError | None]:
        """A place for a request of the category "trigger"; an error if it cannot begin in time."""
        express = rank is Rank.EXPRESS
        async with self._introduced(until) as early:
            if late := early or await self.pace.admit(cost, until, rank):
                yield late
                return
            async with self.place(self.places, until, express=express) as busy:
                yield busy or self.pace.closed()

    @asynccontextmanager
    async def _introduced(self, until: float) -> AsyncGenerator[XNovuError | None]:
        """Until an answer has told of the limits, or that there are none, one request at a time."""
        if not self.met:
            async with self.place(self.first, until) as late:
                if late or not self.met:
                    yield late
                    return
        yield None

    @asynccontextmanager
    async def place(
        self, places: Places, until: float, *, express: bool = False
    ) -> AsyncGenerator[XNovuError | None]:
        """A place among the requests under way; an error if none came free in time."""
        try:
            async with asyncio.timeout_at(until):
                await places.acquire(express=express)
        except TimeoutError:
            yield _busy()
            return
        try:
            yield _busy() if asyncio.get_running_loop().time() >= until else None
        finally:
            places.release()

    def heard(self, answer: httpx.Response) -> None:
        """Note what any answer says: that somebody is there, and what the limits are."""
        policy = answer.headers.get("ratelimit-policy")
        self.limited |= policy is not None
        self.met |= policy is None or self.pace.learn(policy)

    def heed(self, error: XNovuError | None) -> None:
        """Let nobody pass for as long as Novu asks for."""
        if isinstance(error, Paused) and error.code == "rate_limited":
            self.pace.close(error.after or 0.0)


def _busy() -> Paused:
    return unavailable("no free connection in time")
