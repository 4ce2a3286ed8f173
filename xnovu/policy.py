"""What a stage is allowed to do, and what becomes of each message."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import ConfigDict, Field

from xnovu.errors import Expired, Paused, Permanent, Retryable, XNovuError, describe
from xnovu.events import Event, Failure

UNEXPECTED = "unexpected"
"""The code of an error that is none of ours: a bug."""
Count = Annotated[int, Field(ge=1, le=100_000)]
Batch = Annotated[int, Field(ge=1, le=10_000)]
"""More in one batch than a stage works on within its time-out, and a broker hands out."""
Slots = Annotated[int, Field(ge=1, le=256)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]

LEAST = 100
"""Messages that are worth taking together, however slowly the work goes."""
SPAN, MEASURED = 0.1, 0.25
"""Seconds: what a batch is to take, and over how many it is measured how fast the work goes."""


class Done(NamedTuple):
    """Finished. Its events are published before the message is acknowledged."""

    events: tuple[Event, ...] = ()

    @classmethod
    def then(cls, *events: Event) -> "Done":
        return cls(events)


@dataclass(frozen=True, slots=True)
class Retry:
    """Deliver it again, ``after`` seconds from now; as the same attempt if none was ``spent``."""

    after: float
    reason: str = ""
    code: str = "retry"
    spent: bool = True


@dataclass(frozen=True, slots=True)
class Dead:
    """Never deliver it again; :class:`~xnovu.events.Rejected` tells the world why."""

    reason: str
    code: str = "rejected"
    violations: tuple[str, ...] = ()

    def failure(self, stage: str, attempts: int, at: datetime) -> Failure:
        """What the world, and the row, are told of it."""
        return Failure(
            code=self.code,
            stage=stage,
            message=self.reason,
            attempts=attempts,
            at=at,
            violations=self.violations,
        )


@dataclass(frozen=True, slots=True)
class Hold:
    """Not decided yet: keep it in hand, and work on it again in ``after`` seconds (0: not told)."""

    after: float
    reason: str
    code: str


Result = Done | Exception
"""What a stage says of one message: what it caused, or why it failed."""

Fate = Done | Retry | Dead
"""What the policy makes of that, and what a source must settle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How often and how patiently one class of error (its ``code``) is tried again."""

    attempts: Count | None = None
    backoff: Seconds | None = None
    backoff_max: Seconds | None = None
    __pydantic_config__ = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """
    How much a stage takes at once, how long, and how often it tries.

    ``batch`` messages at most, or as many as come within ``linger`` seconds of the first;
    ``slots`` batches at a time, each under ``timeout`` seconds; ``attempts`` deliveries, with
    ``backoff`` seconds doubling up to ``backoff_max`` between them. ``rules`` overrides the last
    three for an error code. Work held because the other side is away is tried again when that
    side said, else after ``backoff`` seconds doubling up to ``pause_max``.
    """

    batch: Batch = 100
    linger: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = 0.002
    slots: Slots = 2
    timeout: Seconds = 30.0
    attempts: Count = 8
    backoff: Seconds = 1.0
    backoff_max: Seconds = 300.0
    pause_max: Seconds = 15.0
    rules: Mapping[str, Rule] = field(default_factory=dict[str, Rule])
    __pydantic_config__ = ConfigDict(extra="forbid")

    def judge(self, error: Exception, attempt: int) -> Retry | Dead | Hold:
        """The single place where a failure becomes a fate."""
        code = error.code if isinstance(error, XNovuError) else UNEXPECTED
        allowed = self._ruled(code)
        match error:
            case Expired() | Permanent():
                return Dead(str(error), code, getattr(error, "violations", ()))
            case Paused(after=after):
                return Hold(after or 0.0, str(error), code)
            case _ if attempt >= allowed.attempts and getattr(error, "bounded", True):
                return Dead(f"gave up after {attempt} attempts: {describe(error)}", "exhausted")
            case Retryable(after=after, bounded=bounded) if after is not None:
                return Retry(after, str(error), code, spent=bounded)
            case _:
                return Retry(allowed.delay(attempt), describe(error), code)

    def delay(self, attempt: int) -> float:
        """Seconds before the next try: exponential backoff with equal jitter."""
        return _spread(min(self.backoff_max, self.backoff * 2.0 ** min(attempt - 1, 60)))

    def pause(self, nth: int) -> float:
        """Seconds before held work is tried for the ``nth`` time again."""
        return _spread(min(self.pause_max, self.backoff * 2.0 ** min(nth - 1, 60)))

    def _ruled(self, code: str) -> "Policy":
        rule = self.rules.get(code)
        if rule is None:
            return self
        return replace(
            self,
            attempts=self.attempts if rule.attempts is None else rule.attempts,
            backoff=self.backoff if rule.backoff is None else rule.backoff,
            backoff_max=self.backoff_max if rule.backoff_max is None else rule.backoff_max,
        )


@dataclass(slots=True)
class Stride:
    """
    How many messages are worth taking at once, ``most`` of them at most.

    Large batches cost less for each message, and the others more time, who wait meanwhile. So what
    is taken at once is LEAST or, where the work goes faster, what was lately done in SPAN seconds;
    in whole LEASTs, or ``most``: as Novu takes its bulks, and what is over would go out one by one.
    """

    most: int
    _done: int = 0
    _since: float = 0.0
    _size: float = 0.0

    @property
    def size(self) -> int:
        return min(self.most, max(LEAST, int(self._size) // LEAST * LEAST))

    def done(self, messages: int, now: float) -> None:
        """Take note that so many are, at ``now`` (seconds)."""
        self._done += messages
        if (passed := now - self._since) >= MEASURED:
            self._size = SPAN * self._done / passed
            self._done, self._since = 0, now


def _spread(ceiling: float) -> float:
    return ceiling / 2 + random.uniform(0.0, ceiling / 2)  # noqa: S311 - spread, not secrecy
