"""The sockets in the wall: everything outside the house plugs in here."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal, NamedTuple, Protocol

from xnovu.connection import Connection
from xnovu.envelope import Address, Envelope
from xnovu.errors import XNovuError
from xnovu.events import Event, Notification
from xnovu.policy import Fate, Policy
from xnovu.retraction import Recaller


class Delivery(NamedTuple):
    """
    One message as it arrived, still sealed. ``attempt`` counts from 1.

    ``address`` is where it came in, for the message to agree with; None: there was none to choose.
    """

    headers: Mapping[str, str]
    body: bytes
    attempt: int
    address: Address | None = None


Start = Literal["all", "now"] | datetime
"""Where a mailbox begins that has not been there before: what is kept, what comes, or a time."""

Handler = Callable[[Sequence[Delivery]], Awaitable[Sequence[Fate]]]
"""Given a batch, says what becomes of each message: same length, same order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What an adapter promises; the contract suite tests exactly what is promised."""

    persistent: bool
    deduplicates: bool
    competing: bool


class Source(Protocol):
    """
    Where deliveries come from: a broker's subjects, or a table with rows that are due.

    Every delivery is settled by the fate its handler returned. If the handler
    raises, nothing in that batch is settled and all of it comes again. What comes again waits
    beside the mailbox: it holds nobody up, for however long it waits.
    """

    features: ClassVar[Features]

    def subscribe(
        self,
        name: str,
        kinds: Sequence[str],
        policy: Policy,
        handler: Handler,
        start: Start = "all",
    ) -> None:
        """Register before :meth:`start`. One ``name`` is a durable mailbox, which begins there."""
        ...

    async def start(self) -> None: ...

    async def stop(self) -> None:
        """Take no more; let batches in hand finish and settle."""
        ...

    async def ready(self) -> str | None:
        """What is wrong with the connection or the mailbox, in words; None if nothing is."""
        ...


class Publisher(Protocol):
    """Where envelopes go."""

    async def publish(self, envelopes: Sequence[Envelope[Event]]) -> Sequence[XNovuError | None]:
        """
        Publish all, and say of each, in order, whether it is safe (None) or why not.

        Permanent is what can never be published (too large); Retryable or Paused the rest.
        Publishing an envelope again is harmless.
        """
        ...


@dataclass(frozen=True, slots=True)
class Backlog:
    """Messages that are not settled yet; ``queued`` of them may be worked on, and nobody does."""

    unsettled: int = 0
    queued: int = 0

    def __add__(self, other: "Backlog") -> "Backlog":
        return Backlog(self.unsettled + other.unsettled, self.queued + other.queued)


class Transport(Source, Publisher, Protocol):
    """A message broker: both directions, one connection."""

    async def backlog(self, names: Sequence[str]) -> Backlog:
        """How much these mailboxes have not settled yet."""
        ...

    async def pause(self, name: str, seconds: float, reason: str) -> None:
        """
        Give out nothing more from this mailbox, in no process, for so long or until resumed.

        What is in hand stays so. ``reason`` is shown to whoever asks why. Paused again, it ends
        later. Raises Paused where the broker cannot be reached; so do the other two.
        """
        ...

    async def resume(self, name: str) -> None:
        """End a pause at once, whoever has made it."""
        ...

    async def paused(self, name: str) -> bool: ...


class Resource(Protocol):
    """What is opened before it is used, and closed in the end."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ready(self) -> str | None:
        """What is wrong with it, in words; None if nothing is."""
        ...


class WakeUps(Protocol):
    """Hints that rows may be due. They may come late, twice, for nothing, or never."""

    @property
    def connection(self) -> Connection:
        """How the hints come through just now."""
        ...

    async def start(self, wake: Callable[[], None]) -> None:
        """
        Begin, in the background; raises nothing, then or later, and reconnects for ever.

        ``wake`` is called for each hint and after every (re)connect, since hints may have been
        missed; it neither raises nor blocks.
        """
        ...

    def missed(self, rows: int) -> None:
        """Take note that so many rows were found of which no hint has told."""
        ...

    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Trigger:
    """
    One call to the provider: one notification for up to 100 recipients.

    ``transaction_id`` is unique per call. With ``look_up`` the provider looks for it first. Without
    ``send`` it does no more than that. ``express`` ones go before others that wait.
    """

    transaction_id: str
    notification: Notification
    recipients: tuple[str, ...]
    look_up: bool = False
    send: bool = True
    express: bool = False


class Provider(Recaller, Protocol):
    """The service that reaches people (Novu)."""

    async def trigger(self, calls: Sequence[Trigger], until: float) -> Sequence[XNovuError | None]:
        """
        Make each call once, however often it is asked; say of each, in order, if it was accepted.

        No request begins after ``until`` (the event loop's time, seconds). None is accepted.
        Permanent: refused. Unclear: it may have been accepted. Missing: a look-up did not find it,
        and it was not to be sent. Retryable: try again. Paused: not its fault. All but Unclear mean
        that this call was surely not sent now.
        """
        ...
