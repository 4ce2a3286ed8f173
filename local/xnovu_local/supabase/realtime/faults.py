"""What goes wrong on purpose, and what has happened."""

import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True)
class Faults:
    """
    What goes wrong from now on, until it is set back; nothing at first.

    mute: heartbeats are answered, changes are not told.
    refuse_joins: the reason with which every join is refused.
    unauthorized: of every change comes an error 401 instead.
    skip: so many changes are taken from the log and dropped, as over the plan's rate limit.
    late_system: seconds until a channel is told that the database listens for it; None: the option.
    away_until: until then (of the event loop's clock) no connection is let in.
    """

    mute: bool = False
    refuse_joins: str = ""
    unauthorized: bool = False
    skip: int = 0
    late_system: float | None = None
    away_until: float = 0.0

    def skips(self) -> bool:
        """Whether the next change is dropped; counts it."""
        if self.skip == 0:
            return False
        self.skip -= 1
        return True


KEPT = 10_000
What = Literal[
    "refused",
    "connected",
    "disconnected",
    "heartbeat",
    "joined",
    "join_refused",
    "subscribed",
    "not_subscribed",
    "left",
    "access_token",
    "change",
    "told",
    "skipped",
    "shut_down",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened; ``at`` is in seconds since 1970. Nothing private is in it."""

    what: What
    topic: str = ""
    detail: str = ""
    at: float = field(default_factory=time.time)


class Log:
    """What has happened, in order: the counts of all of it, and the last thousands themselves."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._counts: Counter[What] = Counter()

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def note(self, what: What, topic: str = "", detail: str = "") -> None:
        self._entries.append(Entry(what, topic, detail))
        self._counts[what] += 1

    def count(self, what: What) -> int:
        """How often this has happened."""
        return self._counts[what]

    def clear(self) -> None:
        self._entries.clear()
        self._counts.clear()
