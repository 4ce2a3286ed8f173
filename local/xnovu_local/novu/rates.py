"""
Novu's rate limits: a token bucket for each key and category of calls.

The arithmetic is Novu's: a window of 5 s, 10 % burst, and no refill until a call finds too few
tokens left. A call once refused is refused until the time the refusal named, without a look at
the bucket.
"""

import math
from dataclasses import dataclass
from typing import Literal

from .answers import Headers

Category = Literal["trigger", "global"]
Cost = Literal["single", "bulk"]

WINDOW = 5
BURST = 1.1
COSTS: dict[Cost, int] = {"single": 1, "bulk": 100}
TOKENS_PER_SECOND: dict[str, dict[Category, float]] = {
    "free": {"trigger": 60, "global": 30},
    "pro": {"trigger": 240, "global": 120},
    "team": {"trigger": 600, "global": 300},
    "enterprise": {"trigger": 6000, "global": 3000},
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a call is let in, and the headers that say so."""

    allowed: bool
    headers: Headers


class TokenBucket:
    """The tokens of one key and category; times in seconds."""

    __slots__ = ("_blocked", "_expires", "_refilled", "_tokens", "capacity", "interval")

    def __init__(self, capacity: int, interval: float) -> None:
        self.capacity = capacity
        self.interval = interval
        self._tokens = 0
        self._refilled = 0.0
        self._expires = -math.inf
        self._blocked: dict[int, float] = {}

    def take(self, cost: int, now: float) -> tuple[int, float]:
        """Takes tokens; gives those left (negative: refused) and when to come again."""
        blocked = self._blocked.get(cost, 0.0)
        if blocked > now:
            return -1, blocked
        remaining, reset = self._evaluate(cost, now)
        if remaining < 0:
            self._blocked[cost] = reset
        return remaining, reset

    def _evaluate(self, cost: int, now: float) -> tuple[int, float]:
        if now >= self._expires:
            self._refill(self.capacity, now, now)
        elif self._tokens < cost:
            added = math.floor((now - self._refilled) / self.interval + 1e-6)
            filled = min(self.capacity, self._tokens + added)
            if filled < cost:
                return filled - cost, self._after(cost - self._tokens)
            self._refill(filled, self._refilled + added * self.interval, now)
        self._tokens -= cost
        return self._tokens, self._after(max(cost - self._tokens, 0) or cost)

    def _refill(self, tokens: int, at: float, now: float) -> None:
        self._tokens = tokens
        self._refilled = at
        self._expires = now + WINDOW * 2

    def _after(self, tokens: int) -> float:
        return self._refilled + tokens * self.interval


class RateLimits:
    """The buckets of one service level, or of so many tokens per second."""

    __slots__ = ("_buckets", "_level", "_speeds")

    def __init__(self, rate: str | float) -> None:
        custom: dict[Category, float] = {}
        if isinstance(rate, str):
            custom = TOKENS_PER_SECOND[rate]
        else:
            custom = {"trigger": rate, "global": rate / 2}
        self._level = rate if isinstance(rate, str) else "custom"
        self._speeds = custom
        self._buckets: dict[tuple[str, Category], TokenBucket] = {}

    def admit(self, key: str, category: Category, cost: Cost, now: float) -> Verdict:
        bucket = self._buckets.get((key, category)) or self._bucket(key, category)
        remaining, reset = bucket.take(COSTS[cost], now)
        wait = str(max(math.ceil(reset - now - 1e-6), 0))
        return Verdict(
            remaining >= 0,
            (
                ("RateLimit-Remaining", str(max(remaining, 0))),
                ("RateLimit-Limit", str(self._window(category))),
                ("RateLimit-Reset", wait),
                ("RateLimit-Policy", self._policy(category, cost, bucket.capacity)),
                *(() if remaining >= 0 else (("Retry-After", wait),)),
            ),
        )

    def _bucket(self, key: str, category: Category) -> TokenBucket:
        window = self._window(category)
        bucket = TokenBucket(math.floor(window * BURST + 1e-6), WINDOW / window)
        return self._buckets.setdefault((key, category), bucket)

    def _window(self, category: Category) -> int:
        return max(round(self._speeds[category] * WINDOW), 1)

    def _policy(self, category: Category, cost: Cost, burst: int) -> str:
        return (
            f'{self._window(category)};w={WINDOW};burst={burst};comment="token bucket"'
            f';category="{category}";cost="{cost}";serviceLevel="{self._level}"'
        )
