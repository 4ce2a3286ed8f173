"""The socket for the database, and what goes through it; ports have it among the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from xnovu.errors import Permanent
from xnovu.events import (
    Captured,
    Failure,
    Key,
    Notification,
    Recorded,
    StatusChanged,
    Workflow,
)
from xnovu.retraction import Retractions
from xnovu.sending import Sending, SendTimes

NOTHING: Mapping[Key, Notification] = MappingProxyType({})
HANDOVER = 10.0
"""Seconds within which claimed rows are handed over; after that their claimer is taken for dead."""


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
