"""Taking a notification back: what was sent of it, what became of that, and what it comes to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import NAMESPACE_OID, uuid5

from xnovu.errors import XNovuError
from xnovu.events import Key, Locked, Retraction, RetractRequested, Status, StatusChanged
from xnovu.sending import SendTimes

RECIPIENTS = 100
"""Recipients at the most in one call to the provider (Novu's event API)."""


def parts(transaction_id: str, recipients: int) -> Iterator[tuple[str, range]]:
    """
    The calls in which a notification for so many people is sent, each with those it is for.

    The first has the row's own transaction id, the others a name derived from it.
    """
    for part, at in enumerate(range(0, recipients, RECIPIENTS)):
        name = str(uuid5(NAMESPACE_OID, f"{transaction_id}/{part}")) if part else transaction_id
        yield name, range(at, min(at + RECIPIENTS, recipients))


@dataclass(frozen=True, slots=True)
class Recall:
    """One call to be taken back, and for how many people it was."""

    transaction_id: str
    people: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """
    How far a call has got that was to be taken back.

    ``there``: the provider knows it. ``settled``: all of its people are there and nothing is under
    way, so asking again would tell the same. ``sent``: somebody has something, or is about to,
    that cannot be taken back. ``spared``: something was cancelled or taken back.
    """

    there: bool = False
    settled: bool = False
    sent: bool = False
    spared: bool = False


def came_to(previous: Status, recalled: Sequence[Recalled]) -> Retraction:
    """What taking back a notification's calls has achieved, as far as is known of them."""
    there = [call for call in recalled if call.there]
    if not there:  # the provider may have forgotten what it had accepted long ago
        return Retraction.TOO_LATE if previous is Status.SENT else Retraction.STOPPED
    spared = any(call.spared for call in there) or len(there) < len(recalled)
    if not any(call.sent for call in there):
        return Retraction.CANCELLED
    return Retraction.PARTLY if spared else Retraction.TOO_LATE


@dataclass(frozen=True, slots=True)
class Retracted:
    """
    Where a retracted row stands.

    ``previous`` is its status when it was taken back, ``seconds`` how long it takes until all that
    was sent of it surely shows (0: it does by now), ``outcome`` what the retraction achieved, if
    that is known: what nobody has begun to send is stopped. It went to so many ``recipients``.
    """

    previous: Status
    seconds: float
    outcome: Retraction | None = None
    transaction_id: str = ""
    recipients: int = 0


class Retractions(Protocol):
    """The retracted rows of a store, until it is known what became of each."""

    async def claim_retractions(self, limit: int, lease: float) -> Sequence[RetractRequested]:
        """
        Take up to ``limit`` retractions whose outcome is not told yet, for ``lease`` seconds.

        What a call has taken whose answer was lost, the next call of this store returns.
        """
        ...

    async def begin_retraction(
        self, keys: Sequence[Key], times: SendTimes
    ) -> Mapping[Key, Retracted]:
        """
        Where they stand; one that another claim has by now, or that is gone, is left out.

        From then on nobody begins to send them. Their claims are kept for ``times.hold`` seconds.
        """
        ...

    async def record_retractions(
        self, outcomes: Mapping[Key, Retraction]
    ) -> Sequence[StatusChanged | Locked]:
        """
        Write what became of retractions, each under its claim; return what is now so.

        What is known already stays, and is returned: told again, it says the same. What is Locked
        is to be told again.
        """
        ...


class Recaller(Protocol):
    """Takes back what was sent."""

    async def cancel(self, calls: Sequence[Recall]) -> Sequence[Recalled | XNovuError]:
        """
        Cancel what still waits of each call, take back what can be; say of each what it came to.

        Retryable: unclear, or busy. Paused: it cannot be asked just now. Harmless to repeat.
        """
        ...
