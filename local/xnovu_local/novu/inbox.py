"""What subscribers would have received lately: a bounded memory for the page."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from .answers import timestamp


@dataclass(slots=True)
class Received:
    """One delivery: the same message to one or more subscribers over some channels."""

    number: int
    at: float
    workflow: str
    transaction: str
    subscribers: tuple[str, ...]
    channels: tuple[str, ...]
    payload: dict[str, Any]
    size: int
    taken_back: tuple[str, ...] = ()

    def shown(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "at": timestamp(self.at),
            "workflow": self.workflow,
            "transactionId": self.transaction,
            "subscribers": list(self.subscribers),
            "channels": list(self.channels),
            "payload": self.payload,
            "takenBack": list(self.taken_back),
        }


class Inbox:
    """The latest deliveries, bounded in number and (by the size of requests) in bytes."""

    __slots__ = ("_bytes", "_max_bytes", "_max_events", "_received", "_total")

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._received: deque[Received] = deque()
        self._bytes = 0
        self._total = 0
        self.bound(max_events, max_bytes)

    def bound(self, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._trim()

    @property
    def remembers(self) -> bool:
        """Whether anything is kept at all."""
        return self._max_events > 0 and self._max_bytes > 0

    def add(self, received: Received) -> None:
        """Remembers a delivery and gives it its number."""
        self._total += 1
        if not self.remembers:
            return
        received.number = self._total
        self._received.append(received)
        self._bytes += received.size
        self._trim()

    def latest(self, limit: int, after: int = 0, subscriber: str = "") -> list[Received]:
        """The newest first: those numbered above `after` whose subscribers contain a text."""
        return list(islice(self._matching(after, subscriber.casefold()), limit))

    def take_back(self, transaction: str, channel: str | None) -> None:
        """Marks the messages of a transaction as taken back (None: on all channels)."""
        for received in self._received:
            if received.transaction == transaction:
                gone = received.channels if channel is None else (channel,)
                lost = (one for one in gone if one in received.channels)
                received.taken_back = tuple(dict.fromkeys((*received.taken_back, *lost)))

    def clear(self) -> None:
        self._received.clear()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._received)

    def _matching(self, after: int, text: str) -> Iterator[Received]:
        for received in reversed(self._received):
            if received.number <= after:
                return
            if not text or any(text in name.casefold() for name in received.subscribers):
                yield received

    def _trim(self) -> None:
        held = self._received
        while held and (len(held) > self._max_events or self._bytes > self._max_bytes):
            self._bytes -= held.popleft().size
