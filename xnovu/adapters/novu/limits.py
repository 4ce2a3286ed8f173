"""What Novu allows, as it says itself, and each process's part of it."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

CATEGORY = '"trigger"'


@dataclass(frozen=True, slots=True)
class Limit:
    """A token bucket: so many tokens per second, and at most ``burst`` at once."""

    rate: float
    burst: float

    @classmethod
    def of(cls, policy: str) -> Self | None:
        """
        Read a ``RateLimit-Policy`` of Novu's; None if it is of other calls, or unreadable.

        Such as ``300;w=5;burst=330;comment="token bucket";category="trigger";cost="bulk"``: 300
        tokens in 5 seconds. The form is that of draft-ietf-httpapi-ratelimit-headers-07. What
        Novu lets through above that is left alone: it makes up for what is late on its way.
        """
        tokens, *rest = policy.split(";")
        fields = [part.strip().partition("=") for part in rest]
        said = {name: value for name, _, value in fields}
        try:
            limit = cls(float(tokens) / float(said["w"]), float(tokens))
        except (KeyError, ValueError, ZeroDivisionError):
            return None
        sane = math.isfinite(limit.rate) and limit.rate > 0 and said.get("category") == CATEGORY
        return limit if sane else None


def part_of(rate: float, others: Collection[float]) -> float:
    """
    What is left of a rate for one who needs all it can get, beside others with these needs.

    Max-min fair: nobody gets more than it needs, and what it leaves is shared by those that need
    more, to equal parts.
    """
    left = rate
    for count, need in zip(range(len(others) + 1, 1, -1), sorted(others), strict=True):
        left -= min(need, left / count)
    return left
