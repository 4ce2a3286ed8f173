"""How fast requests may go out: within the limits of Novu, shared with other processes."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

from aiolimiter import AsyncLimiter

from xnovu.adapters.novu.limits import Limit, part_of
from xnovu.errors import Paused
from xnovu.peers import Peers

WINDOW = 5.0
"""Seconds in which a whole window's tokens may be spent at once, as at Novu."""
RESERVE = 0.02
"""The part of the tokens that only cancels may spend, so that none waits behind triggers."""
LATELY = 1.0
"""Seconds that what we need is measured over."""
TELL_EVERY = 0.25
"""Seconds at least between two times that we say so, and at most while we need something."""
GLANCE = 0.05
"""Seconds between two looks whether there are tokens."""
IN_A_ROW = 4
"""So many times the tokens of who waits longest may be spent on what goes first."""
LISTEN = 0.6
"""Seconds in which a process that begins to spend hears of all others that do."""


class Rank(Enum):
    """Who goes before whom."""

    CANCEL = auto()
    EXPRESS = auto()
    USUAL = auto()


@dataclass(slots=True)
class _Needs:
    """Tokens per second that this process needs: what it has spent lately, or whatever it gets."""

    waited: float = float("-inf")
    spent: deque[tuple[float, float]] = field(default_factory=deque[tuple[float, float]])

    def now(self, now: float) -> float:
        while self.spent and self.spent[0][0] < now - LATELY:
            self.spent.popleft()
        if now - self.waited < LATELY:
            return float("inf")
        return sum(cost for _, cost in self.spent) / LATELY


class Pace:
    """
    A share of the tokens, and a gate that a 429 closes for a while.

    ``rate`` bounds the tokens per second of all processes together; without it (0) Novu's own limit
    does, once an answer has told of it. Waiting here is no part of a request's time, and ends at
    a moment the caller names. Lives on one event loop.
    """

    def __init__(self, rate: float, peers: Peers) -> None:
        self._peers = peers
        self._configured = Limit(rate, max(rate * WINDOW, 1.0)) if rate else None
        self._limit = self._configured
        self._needs = _Needs()
        self._told = float("-inf")
        self._active = float("-inf")
        self._debt = 0.0
        self._level, self._leveled = 0.0, 0.0
        self._queue = {rank: asyncio.Lock() for rank in Rank}
        self._waits = 0.0
        self._ahead = 0.0
        self._opens = 0.0
        self._fill(0.0)

    @property
    def most(self) -> float:
        """The tokens that one request may cost."""
        return self._bucket.max_rate * self._share() if self._bucket else float("inf")

    def learn(self, policy: str) -> bool:
        """Heed what an answer says of the limit; False if it is of other calls."""
        if not (limit := Limit.of(policy)):
            return False
        if own := self._configured:
            limit = Limit(min(limit.rate, own.rate), min(limit.burst, own.burst))
        if limit != self._limit:
            self._limit, self._active = limit, float("-inf")
            self._fill(sum(cost for _, cost in self._needs.spent))
        return True

    async def admit(self, cost: float, until: float, rank: Rank = Rank.USUAL) -> Paused | None:
        """Wait for tokens and the gate; if ``until`` (loop time) comes first, say when to ask."""
        if late := self._late(until):
            return late
        try:
            async with asyncio.timeout_at(until):
                await self._pay(cost, rank)
                if (closed := self._closed()) > 0:
                    await asyncio.sleep(closed)
        except TimeoutError:
            return self._late(until) or _limited(cost / self._limit.rate if self._limit else 0.0)
        return None

    def close(self, seconds: float) -> None:
        """Let nobody pass for so many seconds."""
        self._opens = max(self._opens, _now() + seconds)

    def closed(self) -> Paused | None:
        """Why nobody may pass just now."""
        return _limited(self._closed()) if self._closed() > 0 else None

    async def _pay(self, cost: float, rank: Rank) -> None:
        async with self._queue[rank]:  # in turn: aiolimiter lets the cheapest go first
            if not await self._at_once(cost, rank):
                await self._begin()
                await self._taken(cost, rank)
        self._needs.spent.append((_now(), cost))
        await self._tell()

    async def _at_once(self, cost: float, rank: Rank) -> bool:
        """Whether the reserve has it: for cancels, and where nothing else has gone out lately."""
        if rank is Rank.CANCEL:
            while self._waiting(Rank.EXPRESS, Rank.USUAL):
                if await self._reserved(cost):
                    return True
                await asyncio.sleep(GLANCE)
            return False
        return self._idle() and await self._reserved(cost)

    def _idle(self) -> bool:
        return _now() - self._active > LISTEN + LATELY and self._peers.reachable

    async def _begin(self) -> None:
        """Who has spent nothing for a while hears first of whoever does, and begins with less."""
        idle, self._active = self._idle(), _now()
        if not idle:
            return
        self._needs.waited = self._active
        await self._tell()
        if self._limit:
            await asyncio.sleep(LISTEN)
            used = min(sum(self._peers.others()) / self._limit.rate, 1.0)
            self._fill(max(used * self._limit.burst, self._debt, self._left()))

    async def _taken(self, cost: float, rank: Rank) -> None:
        """Wait for the tokens."""
        while bucket := self._bucket:
            debt, self._debt = min(self._debt, bucket.max_rate), 0.0
            await bucket.acquire(debt)  # at once: the bucket is new then
            price = self._price(cost)
            if self._is_next(cost, rank) and bucket.has_capacity(price):
                await bucket.acquire(price)
                self._level, self._leveled = self._left() + price, _now()
                break
            self._needs.waited = self._active = _now()
            await self._tell()
            await asyncio.sleep(GLANCE)
        self._ahead = 0.0 if rank is Rank.USUAL else self._ahead + cost

    def _left(self) -> float:
        """What Novu has not given back yet of the tokens that were spent from here."""
        rate = self._limit.rate * (1 - RESERVE) if self._limit else 0.0
        return max(0.0, self._level - rate * (_now() - self._leveled))

    def _is_next(self, cost: float, rank: Rank) -> bool:
        """What is express goes first, until it has had so much that the others have their turn."""
        if rank is Rank.USUAL:
            self._waits = cost
            return not self._waiting(Rank.EXPRESS) or self._ahead > IN_A_ROW * cost
        return not self._waiting(Rank.USUAL) or self._ahead <= IN_A_ROW * self._waits

    def _waiting(self, *ranks: Rank) -> bool:
        return any(self._queue[rank].locked() for rank in ranks)

    async def _reserved(self, cost: float) -> bool:
        price = cost / self._share()
        if not self._reserve or not self._reserve.has_capacity(price):
            return False
        await self._reserve.acquire(price)
        return True

    async def _tell(self) -> None:
        now = _now()
        if now - self._told >= TELL_EVERY:
            self._told = now
            await self._peers.tell(self._needs.now(now))

    def _fill(self, spent: float) -> None:
        """New buckets; of what is in the large one so much is spent already."""
        self._bucket = self._reserve = None
        if self._limit:
            rate, burst = self._limit.rate, self._limit.burst
            self._bucket = AsyncLimiter(burst, burst / (rate * (1 - RESERVE)))
            self._reserve = AsyncLimiter(burst * RESERVE, burst / rate)
            self._debt = spent

    def _price(self, cost: float) -> float:
        """What so many tokens are of everybody's bucket, of which only a part is ours."""
        most = self._bucket.max_rate if self._bucket else cost
        return min(cost / self._share(), most)

    def _share(self) -> float:
        rate = self._limit.rate if self._limit else 1.0
        return max(part_of(rate, self._peers.others()) / rate, 1e-3)

    def _closed(self) -> float:
        return self._opens - _now()

    def _late(self, until: float) -> Paused | None:
        return _limited(self._closed()) if self._opens >= until else None


def _now() -> float:
    return asyncio.get_running_loop().time()


def _limited(after: float) -> Paused:
    return Paused("waiting for the rate limit", code="rate_limited", after=after)
