"""Retracted rows in memory: what the database's trigger and functions make of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from xnovu.adapters.memory.records import Record, Transition, name_at_provider
from xnovu.events import Retraction, RetractRequested, Status, StatusChanged
from xnovu.retraction import Retracted
from xnovu.sending import SendTimes


def take_back(record: Record, reason: str | None, now: datetime) -> dict[str, Any]:
    """Mark a row as the trigger does, before its status changes; returns the audit's details."""
    never_claimed = record.notification_status is Status.PENDING and record.claims == 0
    record.retracted_at, record.retraction_reason = now, reason
    record.retraction_outcome = Retraction.STOPPED if never_claimed else None
    return details(record)


def details(record: Record) -> dict[str, Any]:
    """What the audit says of a retraction."""
    outcome = record.retraction_outcome
    return {"reason": record.retraction_reason, **({"outcome": outcome.value} if outcome else {})}


def since(record: Record) -> datetime | None:
    """When a retraction fell due, or will again; None if it is told, or if there is none."""
    return record.claimed_until if record.notification_status is Status.RETRACTED else None


def requested(record: Record, transaction_id: str) -> RetractRequested:
    """What whoever is to cancel it has to know."""
    return RetractRequested(
        **record.key._asdict(),
        transaction_id=transaction_id,
        recipients=len(record.recipients),
    )


def stands(
    record: Record,
    trail: Sequence[Transition],
    shown_after: float | None,
    now: datetime,
    times: SendTimes,
) -> Retracted:
    """Where it stands; ``shown_after`` is what its send record says."""
    previous, outcome = _taken(trail).from_status, record.retraction_outcome
    went = (name_at_provider(record), len(record.recipients))
    if previous is Status.SENT:
        sent = max(t.at for t in trail if t.to_status is Status.SENT)
        seconds = times.settle - (now - sent).total_seconds()
        return Retracted(previous, max(0.0, seconds), outcome, *went)
    if shown_after is None:
        return Retracted(previous, 0.0, outcome or Retraction.STOPPED, *went)
    return Retracted(previous, shown_after, outcome, *went)


def changed(record: Record, trail: Sequence[Transition]) -> StatusChanged:
    """The same fact, whoever states it."""
    taken = _taken(trail)
    return StatusChanged(
        **record.key._asdict(),
        status=Status.RETRACTED,
        previous=taken.from_status,
        at=taken.at,
        transaction_id=record.transaction_id,
        retraction=record.retraction_outcome,
    )


def _taken(trail: Sequence[Transition]) -> Transition:
    """The transition that took it back."""
    moves = [t for t in trail if t.to_status != t.from_status]
    return [t for t in moves if t.to_status is Status.RETRACTED][-1]
