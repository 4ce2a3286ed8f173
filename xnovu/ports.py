"""The sockets in the wall: everything outside the house plugs in here."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple, Protocol

from xnovu.connection import Connection
from xnovu.envelope import Address, Envelope
from xnovu.errors import Permanent, XNovuError
from xnovu.events import (
    Captured,
    Event,
    Failure,
    Key,
    Notification,
    Recorded,
    StatusChanged,
    Workflow,
)
from xnovu.policy import Fate, Policy
from xnovu.retraction import Recaller, Retractions
from xnovu.sending import Sending, SendTimes

NOTHING: Mapping[Key, Notification] = MappingProxyType({})
HANDOVER = 10.0
"""Seconds within which claimed rows are handed over; after that their claimer is taken for dead."""


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
class Row:
    """
    A row and its workflow as the database has them; ``workflow`` is None if there is none.

    Its enterprise is restricted to recipients that begin with ``recipient_prefix`` and to the keys
    ``overrides_allowed`` in overrides; None: it is not.
    """

    key: Key
    notification: Notification
    workflow: Workflow | None
    recipient_prefix: str | None = None
    overrides_allowed: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a notification ended: SENT, or FAILED where there is a ``failure``."""

    key: Key
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """
    A row that ingest has just taken.

    It may go before others, ``express``, where its enterprise has less than a turn's rows waiting
    and others have more, or where it is urgent among those of its own.
    """

    captured: Captured
    express: bool = False


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
        whose answer was lost is due again with this store's next claim, or in HANDOVER seconds.
        """
        ...

    def handed_over(self, keys: Sequence[Key]) -> None:
        """
        Say, with the next call, that these are on their way: all that one claim has taken.

        If that is not said within HANDOVER seconds, the rows are due again: their claimer is dead.
        """
        ...

    async def untold(self, limit: int) -> Sequence[StatusChanged]:
        """
        Rows that ended within a claim, since the database refuses them, by turns of enterprises.

        They are returned again until they are :meth:`told`.
        """
        ...

    async def told(self, keys: Sequence[Key]) -> None:
        """Take note that the events of these are out, or can never be."""
        ...

    async def release(self, keys: Sequence[Key]) -> None:
        """Give claimed rows back at once: they are due again."""
        ...

    async def next_due(self) -> float | None:
        """Seconds until a row or retraction can be claimed, or an end told; 0: now, None: never."""
        ...

    async def load(
        self, keys: Sequence[Key], most_bytes: int | None = None
    ) -> Mapping[Key, Row | Permanent]:
        """
        Read claimed rows with their workflows. A row that is gone or not ours is left out.

        Permanent is what no row can be read of: one of more than ``most_bytes`` as it is stored
        (``too_large``), of lists in lists or of types that do not fit (``invalid_row``), or with
        the transaction id of another one (``transaction_id_taken``).
        """
        ...

    async def begin_send(
        self, keys: Sequence[Key], times: SendTimes, said: Mapping[Key, Notification] = NOTHING
    ) -> Sending:
        """
        Ask what may be done with rows in hand, and write who is about to send which.

        Where the row goes otherwise than is ``said`` of it (to whom, by which workflow, under which
        transaction id) it DIFFERS, and nothing is written of it.

        What is given to this call is nobody else's for ``times.lease`` seconds from before it:
        only then may it be sent. Claims are kept for ``times.hold`` seconds at least. Deadlines go
        by the database's clock. If the answer is lost, a later call of this store is given the
        same rows.
        """
        ...

    async def end_send(
        self, sending: Sending, unsent: Sequence[Key], unclear: Sequence[Key]
    ) -> None:
        """
        Give up what :meth:`begin_send` gave; what is another sender's by now is left alone.

        ``unsent`` was surely not sent by this call; ``unclear`` may have been, and no request of
        it is under way any more.
        """
        ...

    async def record(self, outcomes: Sequence[Outcome]) -> Sequence[Recorded]:
        """
        Write how notifications ended, by compare-and-set; return what is now so.

        SENT needs the row PROCESSING in the same generation, and its send record, without which it
        is Unconfirmed; FAILED needs the row PROCESSING under the same claim.
        Told again what it has already written, it writes nothing and returns the same event, so
        that a crash between the two cannot swallow it. A row that has ended otherwise is left out.
        No lock is waited for: what is told as Locked is to be told again. What the database refuses
        to write of a row (a constraint, a trigger) sets that row aside.
        """
        ...


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
