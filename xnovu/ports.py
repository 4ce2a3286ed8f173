"""The sockets in the wall: everything outside the house plugs in here."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, NamedTuple, Protocol

from xnovu.connection import Connection
from xnovu.envelope import Envelope
from xnovu.errors import XNovuError
from xnovu.events import Captured, Event, Failure, Key, Notification, StatusChanged, Workflow
from xnovu.policy import Fate, Policy
from xnovu.retraction import HOLD, Recaller, Retractions

LATE = 60.0
"""Seconds in which a claim whose answer was lost may still be on its way to the database."""


class Lease(Protocol):
    """Whether a delivery in hand is still ours. Ask it before working on what was held."""

    @property
    def shaken(self) -> bool:
        """Whether somebody else may have it, too: the broker was out of reach meanwhile."""
        ...

    @property
    def lapsed(self) -> bool:
        """Whether it is somebody else's by now, or about to be: leave it alone."""
        ...


@dataclass(frozen=True, slots=True)
class Unending:
    """The lease of a source that gives nothing to anybody else."""

    shaken: bool = False
    lapsed: bool = False


UNENDING: Lease = Unending()


class Delivery(NamedTuple):
    """
    One message as it arrived, still sealed. ``attempt`` counts from 1.

    ``suspect`` is True where it may have been delivered before, whatever the count says.
    """

    headers: Mapping[str, str]
    body: bytes
    attempt: int
    suspect: bool = False
    lease: Lease = UNENDING


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
    raises, nothing in that batch is settled and all of it comes again. What comes again is
    ``suspect``, and waits beside the mailbox: it holds nobody up, for however long it waits. A
    delivery whose lease has lapsed comes again by itself, whatever else than its end was its fate.
    """

    features: ClassVar[Features]

    def subscribe(self, name: str, kinds: Sequence[str], policy: Policy, handler: Handler) -> None:
        """Register before :meth:`start`. One ``name`` is one durable mailbox."""
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
class Row:
    """A row and its workflow as the database has them; ``workflow`` is None if there is none."""

    key: Key
    notification: Notification
    workflow: Workflow | None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a notification ended: SENT, or FAILED where there is a ``failure``."""

    key: Key
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """
    A row that ingest has just taken; ``claimed_before`` tells a lapsed lease from a new row.

    It may go before others, ``express``, where its enterprise has less than a turn's rows waiting
    and others have more, or where it is urgent among those of its own.
    """

    captured: Captured
    expires_at: datetime | None = None
    claimed_before: bool = False
    express: bool = False


SETTLE = 30.0
"""Seconds until a look-up at a provider surely finds what it has just accepted."""


class Store(Retractions, Protocol):
    """
    The database of record, scoped by enterprise in every statement.

    A store for one enterprise sees, claims and changes no row of another.

    Raises Paused when the database cannot be reached, Retryable for what may pass (a deadlock).
    Whatever raised may be asked again: nothing is then done twice, or lost.
    """

    async def claim(self, limit: int, lease: float, *, idle_only: bool = False) -> Sequence[Claim]:
        """
        Take up to ``limit`` due rows, for ``lease`` seconds. No row is given out twice.

        ``idle_only``: of those enterprises only that have nothing PROCESSING. What a call has taken
        whose answer was lost, a later call of this store returns: for LATE seconds it looks.
        """
        ...

    async def release(self, keys: Sequence[Key]) -> None:
        """Give claimed rows back at once: they are due again."""
        ...

    async def next_due(self) -> float | None:
        """Seconds until a row or a retraction is due, and is claimed; 0: now, None: never."""
        ...

    async def load(self, keys: Sequence[Key]) -> Mapping[Key, Row]:
        """Read claimed rows with their workflows. A row that is gone or not ours is left out."""
        ...

    async def still_wanted(
        self, keys: Sequence[Key], hold: float = HOLD, alone: float = 0.0
    ) -> frozenset[Key]:
        """
        Those still PROCESSING under this very claim and not past ``expires_at``.

        Their claims hold for ``hold`` seconds more at the least: nobody else is to begin while they
        are being sent, nor before a look-up would find them. And for ``alone`` seconds nobody else
        is given them: what another call of anybody's was given so is left out.
        """
        ...

    async def being_sent(self, keys: Sequence[Key]) -> Mapping[Key, float]:
        """Those PROCESSING under this very claim that somebody was given alone: seconds left."""
        ...

    async def let_go(self, keys: Sequence[Key], seconds: float = 0.0) -> None:
        """End that early: these were not sent, or it will show within so many ``seconds``."""
        ...

    async def overdue(self, keys: Sequence[Key]) -> Mapping[Key, float]:
        """Those PROCESSING under this very claim past ``expires_at``, and for how many seconds."""
        ...

    async def record(self, outcomes: Sequence[Outcome]) -> Sequence[StatusChanged]:
        """
        Write how notifications ended, by compare-and-set; return what is now so.

        SENT needs the row PROCESSING in the same generation, FAILED also under the same claim.
        Told again what it has already written, it writes nothing and returns the same event, so
        that a crash between the two cannot swallow it. A row that has ended otherwise is left out.
        """
        ...


@dataclass(frozen=True, slots=True)
class Trigger:
    """
    One call to the provider: one notification for up to 100 recipients.

    ``transaction_id`` is unique per call. ``suspect`` is True where this call may already have
    been made: the provider looks it up before it sends again. ``overdue`` is True where it may no
    longer be made: it is only looked up. ``express`` ones go before others that wait.
    """

    transaction_id: str
    notification: Notification
    recipients: tuple[str, ...]
    suspect: bool = False
    overdue: bool = False
    express: bool = False


class Provider(Recaller, Protocol):
    """The service that reaches people (Novu)."""

    async def trigger(self, calls: Sequence[Trigger]) -> Sequence[XNovuError | None]:
        """
        Make each call once, however often it is asked; say of each, in order, if it was accepted.

        None is accepted. Permanent: refused. Expired: overdue, and it was not made. Retryable: try
        again, or unclear (``after`` is the time to let it settle). Paused: not its fault.
        """
        ...
