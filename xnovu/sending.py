"""
The send record tells whether a row may be sent now, and whether it may have been sent before.

The record stands in the database. It is written, and committed, before a request may begin, by the
only code that sends; nothing else tells whether a row was sent (an intent log).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from xnovu.events import Key


class Verdict(StrEnum):
    """What a worker may do with a row that it has in hand."""

    SEND = "send"
    """Nobody can have begun to send it."""
    CHECK = "check"
    """Somebody may have sent it, and has no more time: look it up first."""
    BUSY = "busy"
    """Somebody may be sending it at this moment."""
    LATE = "late"
    """It is past its deadline, and nobody can have begun to send it."""
    LATE_CHECK = "late_check"
    """It is past its deadline, but may have been sent before: look it up, and do not send it."""
    FORGOTTEN = "forgotten"
    """It may have been sent so long ago that the provider may not know of it: never send it."""
    DIFFERS = "differs"
    """Its row says otherwise: never send what is in hand. The row comes again as it is now."""


@dataclass(frozen=True, slots=True)
class SendTimes:
    """
    Seconds. For ``lease`` a row is one sender's alone: only then may its requests be begun.

    ``settle`` seconds after that, a look-up finds what became of them, if anything did; for
    ``remembered`` seconds after the request.
    """

    lease: float = 10.0
    settle: float = 30.0
    remembered: float = 72_000.0

    @property
    def hold(self) -> float:
        """For so long at least the row's claim is kept: nobody need claim it anew meanwhile."""
        return 3 * (self.lease + self.settle)


@dataclass(frozen=True, slots=True)
class Begun:
    """
    The verdict on one row, and its ``seconds``.

    Of BUSY: until the other sender's time is over. Of those that are looked up: until it is certain
    that what a look-up does not find was not sent (0: it is by now).
    """

    verdict: Verdict
    seconds: float = 0.0

    @property
    def looks_up(self) -> bool:
        return self.verdict in {Verdict.CHECK, Verdict.LATE_CHECK, Verdict.FORGOTTEN}

    @property
    def sends(self) -> bool:
        """Whether it may be sent, if a look-up, where one is needed, does not find it."""
        return self.verdict is Verdict.SEND or (self.verdict is Verdict.CHECK and not self.seconds)


@dataclass(frozen=True, slots=True)
class Sending:
    """
    What a worker was answered: the verdict on each row it may ask about.

    A row without a verdict is not PROCESSING under that claim. ``token`` fences the records: only
    who shows it may end them.
    """

    token: str
    verdicts: Mapping[Key, Begun]


def slept() -> float:
    """Seconds for which this machine was suspended so far; the event loop's time lacks them."""
    if clock := getattr(time, "CLOCK_BOOTTIME", None):
        return time.clock_gettime(clock) - time.monotonic()
    return 0.0
