"""How a long-lived connection fares, for whoever asks."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

log = logging.getLogger(__name__)


class Link(StrEnum):
    """What can be said of a connection at any moment."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Connection:
    """
    Its state, since when, when it last told something, and how often it was lost.

    ``reason`` says in words why it is not connected; empty while it is, and safe to show.
    """

    state: Link
    since: datetime
    last_event: datetime | None = None
    reconnects: int = 0
    reason: str = ""


class Line:
    """
    Keeps a :class:`Connection` true: its owner tells what happens, anyone reads ``now``.

    ``name`` is what the log calls it when it is lost and when it is back.
    """

    def __init__(
        self, name: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._name = name
        self._clock = clock
        self._level = logging.WARNING
        self.now = Connection(Link.CONNECTING, clock())

    def connected(self) -> None:
        """It works from now on."""
        if self.now.reason:
            log.log(self._level, "%s: connected again", self._name)
        self._become(Link.CONNECTED)

    def lost(self, reason: str, *, planned: bool = False) -> None:
        """
        It no longer works, or still does not; it is being made anew.

        What was ``planned`` is no loss: nobody is warned of it, and it does not count.
        """
        self._level = logging.INFO if planned else logging.WARNING
        if reason != self.now.reason:
            log.log(self._level, "%s: %s", self._name, reason)
        was_up = self.now.state is Link.CONNECTED and not planned
        first_try = self.now.state is Link.CONNECTING
        self._become(Link.CONNECTING if first_try else Link.RECONNECTING, reason)
        if was_up:
            self.now = replace(self.now, reconnects=self.now.reconnects + 1)

    def heard(self) -> None:
        """It has told something."""
        self.now = replace(self.now, last_event=self._clock())

    def stopped(self) -> None:
        """It is no longer wanted."""
        self._become(Link.STOPPED)

    def _become(self, state: Link, reason: str = "") -> None:
        since = self.now.since if state is self.now.state else self._clock()
        self.now = replace(self.now, state=state, since=since, reason=reason)
