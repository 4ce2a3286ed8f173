"""How much work may lie ready before the stages."""

from dataclasses import dataclass

from xnovu.policy import Stride

SPAN = 1.0
"""Seconds for which some of the work must have lain there untouched before there is less of it."""


@dataclass(slots=True)
class Window:
    """
    A bound for the rows that are claimed and that nobody has begun to work on, ``size`` of them.

    What lies ready goes before whatever is claimed after it, however urgent and whoever's it is. So
    there is to be as little of it as keeps every worker busy: it grows where the queue ran low
    while rows were held back, and shrinks by what was never touched. The rule is that of the Linux
    kernel's dynamic queue limits (https://lwn.net/Articles/454390/).
    """

    size: int
    most: int
    stride: Stride
    _queued: int = 0
    _beyond: int = 0
    _held_back: bool = False
    _untouched: float = float("inf")
    _since: float = 0.0

    def room(self) -> int:
        """How many rows may be claimed at once; a few are not worth a claim."""
        room = min(self.size - self._queued, self.stride.size)
        if room >= max(1, min(self.stride.size, self.size // 4)):
            self._beyond = 0
            return room
        self._held_back = True
        return 0

    def spare(self) -> int:
        """How many may be claimed beyond that, until there is room, of who has nothing in hand."""
        return self.stride.size - self._beyond

    def claimed_beyond(self, rows: int) -> None:
        """Take note that so many were, and lie there with the others."""
        self._beyond += rows
        self._queued += rows

    def claimed(self, rows: int, room: int, express: int = 0) -> None:
        """Take note that there were so many rows for that ``room``; express ones lie nowhere."""
        self._queued += rows - express
        self._held_back |= rows == room < self.stride.size

    def counted(self, queued: int, now: float) -> None:
        """Take note of how many lie there at ``now`` (seconds)."""
        taken = max(self._queued - queued, 0)
        self._queued = queued
        if self._held_back:
            self._judge(queued - min(taken, self.stride.size), now)
        else:
            self._begin(now)
        self._held_back = False

    def _judge(self, spare: int, now: float) -> None:
        """``spare`` is what would have been left, had nothing more been claimed for a while."""
        if spare < 0:
            self.size = min(self.most, self.size + max(-spare, self.size // 2))
            self._begin(now)
            return
        self._untouched = min(self._untouched, spare)
        if now - self._since >= SPAN:
            self.size = max(1, self.size - int(self._untouched) // 2)
            self._begin(now)

    def _begin(self, now: float) -> None:
        self._untouched, self._since = float("inf"), now
