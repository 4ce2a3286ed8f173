"""What may befall a Realtime, and the words that wake-ups must have for it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from xnovu_local.supabase.realtime import LocalRealtime
from xnovu_local.supabase.realtime.faults import What

Deed = Callable[[LocalRealtime], None]

CODES = (1000, 1001, 1006, 1008, 1011, 1012, 4000)
"""With which a connection may end, if with any: RFC 6455, 7.4.1; 4000 and up are anybody's."""


def _nothing(_: LocalRealtime) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeFault:
    """
    One thing that goes wrong, until it is mended; nothing to mend: it is over at once.

    ``says`` stands in the reason that is told. ``patience``: what makes it be noticed soon.
    """

    name: str
    says: str
    strike: Deed
    mend: Deed = _nothing
    patience: Mapping[str, float] = field(default_factory=dict[str, float])

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed(RealtimeFault):
    """Nobody is let in while it lasts; the server's log shows each of ``attempts`` to get in."""

    shows: What
    attempts: int = 6

    def tried(self, realtime: LocalRealtime) -> Callable[[], bool]:
        """Whether, from now on, it was tried in vain so often."""
        before = realtime.log.count(self.shows)
        return lambda: realtime.log.count(self.shows) > before + self.attempts


def _away(realtime: LocalRealtime) -> None:
    realtime.outage(math.inf)


def _back(realtime: LocalRealtime) -> None:
    realtime.outage(0)


def _set(realtime: LocalRealtime, *, drop: bool = False, **faults: object) -> None:
    for name, value in faults.items():
        setattr(realtime.faults, name, value)
    if drop:
        realtime.drop()


BRIEF = (
    *(
        RealtimeFault(
            name=f"closed with {code}",
            says=f"({code})",
            strike=partial(LocalRealtime.drop, code=code),
        )
        for code in CODES
    ),
    RealtimeFault(
        name="half-open",
        says="no heartbeat was answered for 0.5 s",
        strike=LocalRealtime.fall_silent,
        patience={"answer": 0.5},
    ),
    RealtimeFault(
        name="token expired",
        says="the server refuses: Token has expired",
        strike=LocalRealtime.expire,
    ),
    RealtimeFault(
        name="channel ended",
        says="the server refuses: Too many messages per second",
        strike=partial(LocalRealtime.shut_down, message="Too many messages per second"),
    ),
)
"""The connection, or a channel, is of no use any more; another can be had."""

LASTING = (
    # Twelve attempts: the client itself would have given up, for ever, after five.
    Closed(
        name="away",
        says="cannot connect",
        strike=_away,
        mend=_back,
        shows="refused",
        attempts=12,
    ),
    Closed(
        name="join refused",
        says="the server refuses: Unauthorized …",
        strike=partial(_set, drop=True, refuse_joins="Unauthorized: not for ada@example.org"),
        mend=partial(_set, refuse_joins=""),
        shows="join_refused",
    ),
    Closed(
        name="never confirmed",
        says="not subscribed within 1 s",
        strike=partial(_set, drop=True, late_system=math.inf),
        mend=partial(_set, late_system=0.05),
        patience={"ready": 1.0},
        shows="joined",
        attempts=1,
    ),
)
"""No connection can be had."""

DEAF = (
    RealtimeFault(
        name="mute",
        says="rows came and nothing was told of them for 0.05 s",
        strike=partial(_set, mute=True),
        mend=partial(_set, mute=False),
        patience={"mute": 0.05},
    ),
    RealtimeFault(
        name="changes skipped",
        says="rows came and nothing was told of them for 0.05 s",
        strike=partial(_set, skip=1_000_000),
        mend=partial(_set, skip=0),
        patience={"mute": 0.05},
    ),
)
"""Connections can be had, and nothing is heard of the rows that come."""

UNAUTHORIZED = RealtimeFault(
    name="error 401 instead of rows",
    says="the server may not show notify.ent_notification to this key or token",
    strike=partial(_set, unauthorized=True),
    mend=partial(_set, unauthorized=False),
)

TEXT_OVER_1_MIB = "x" * 1_200_000
"""A row that holds it is told without its larger values."""
