"""The tables in memory: their rows, by the names of the columns, and what can be told of one."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from xnovu.desk import Failed, Limits
from xnovu.errors import Permanent
from xnovu.events import (
    Failure,
    Key,
    Notification,
    Retraction,
    Status,
    StatusChanged,
    Unconfirmed,
    Workflow,
)
from xnovu.store import Row

LONG_AGO = datetime.min.replace(tzinfo=UTC)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, UUID) else value


Text = Annotated[str, BeforeValidator(_plain)]


class Record(BaseModel):
    """One row of the table, by the names of its columns."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    id: int
    enterprise_id: Text
    name: str | None = None
    notification_workflow_id: str | None = None
    payload: dict[str, Any] = Field(default_factory=dict)
    recipients: tuple[Text, ...] = ()
    channels: tuple[str, ...] = ()
    overrides: dict[str, Any] | None = None
    tags: tuple[str, ...] = ()
    notification_status: Status = Status.PENDING
    transaction_id: Text | None = None
    scheduled_for: datetime | None = None
    processed_at: datetime | None = None
    retracted_at: datetime | None = None
    retraction_reason: str | None = None
    retraction_outcome: Retraction | None = None
    error_details: Failure | None = None
    workflow_version: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    generation: int = 0
    claims: int = 0
    claimed_until: datetime | None = None
    priority: int | None = None
    expires_at: datetime | None = None

    @property
    def key(self) -> Key:
        return Key(self.enterprise_id, self.id, self.generation, self.claims)


class Transition(BaseModel):
    """One line of the audit."""

    notification_id: int
    enterprise_id: str
    generation: int
    claims: int
    from_status: Status
    to_status: Status
    at: datetime
    actor: str
    details: dict[str, Any] | None = None


def falls_due(record: Record) -> datetime | None:
    """When a row falls due, or fell due; None if it never will."""
    if record.notification_status is Status.PROCESSING:
        return record.claimed_until
    if record.notification_status is Status.PENDING:
        return record.scheduled_for or record.created_at or LONG_AGO
    return None


def owners(rows: Iterable[Record]) -> Mapping[str, int]:
    """Which row each transaction id is: the one that was sent under it, else the first."""
    named: dict[str, tuple[bool, int]] = {}
    for row in rows:
        if name := row.transaction_id:
            rank = (row.notification_status is not Status.SENT, row.id)
            named[name] = min(rank, named.get(name, rank))
    return {name: number for name, (_, number) in named.items()}


def as_row(
    key: Key, record: Record, workflow: Workflow | None, owns: Mapping[str, int], limits: Limits
) -> Row | Permanent:
    """A row with its workflow, as the stages are given it, if no other has its transaction id."""
    if owns.get(record.transaction_id or "", record.id) != record.id:
        message = "another notification has the same transaction_id"
        return Permanent(message, code="transaction_id_taken")
    columns = record.model_dump(exclude={"notification_workflow_id"})
    reference = record.notification_workflow_id or ""
    named = {"workflow_key": reference, "transaction_id": name_at_provider(record)}
    notification = Notification.model_validate({**columns, **named})
    return Row(key, notification, workflow, limits.recipient_prefix, limits.overrides_allowed)


def says(record: Record, limits: Limits, notification: Notification) -> bool:
    """
    Whether the row goes to whom, by what and under which name a message about it says.

    Also whether its enterprise may override what the message does.
    """
    allowed = limits.overrides_allowed
    if allowed is not None and set(notification.overrides or ()) - set(allowed):
        return False
    named = (name_at_provider(record), record.notification_workflow_id or "", record.recipients)
    return named == (
        notification.transaction_id,
        notification.workflow_key,
        notification.recipients,
    )


def as_history(
    record: Record, workflow: Workflow | None, trail: Sequence[Transition]
) -> Mapping[str, Any]:
    """All that is known of a row."""
    return {
        "notification": record.model_dump(mode="json"),
        "workflow": workflow.model_dump(mode="json") if workflow else None,
        "transitions": [transition.model_dump(mode="json") for transition in trail],
    }


def told_of(failure: Failure | None) -> dict[str, Any] | None:
    """What the audit keeps of a failure."""
    return failure.model_dump(mode="json", exclude_defaults=True) if failure else None


def as_failed(record: Record) -> Failed:
    """A row that failed, as the desk tells it."""
    code = record.error_details.code if record.error_details else ""
    return Failed(record.key, code, record.processed_at or record.updated_at or LONG_AGO)


def name_at_provider(record: Record) -> str:
    """Its own transaction id, or what the SQL function of that name says, too."""
    if record.transaction_id:
        return record.transaction_id
    name = f"{record.enterprise_id}/{record.id}/{record.generation}"
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16])
    marked = number & ~(0xF << 76) & ~(3 << 62) | 8 << 76 | 2 << 62  # version 8, RFC 9562
    return str(UUID(int=marked))


def as_recorded(record: Record) -> StatusChanged | Unconfirmed:
    """A row of which it was told that it has ended, as the world is told."""
    if record.notification_status is Status.PROCESSING:
        return Unconfirmed(record.key)
    return StatusChanged(
        **record.key._asdict(),
        status=record.notification_status,
        previous=Status.PROCESSING,
        at=record.processed_at or LONG_AGO,
        transaction_id=record.transaction_id,
        failure=record.error_details,
    )


def refusal(error: ValidationError) -> Permanent:
    """Why a row cannot be inserted: names the column, never the value."""
    problem = error.errors(include_input=False)[0]
    column = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        known = ", ".join(Record.model_fields)
        message = f'there is no column "{column}"; there are: {known}'
    else:
        message = f'column "{column}" cannot hold the value given'
    return Permanent(message, code="invalid_row")


def transition(
    record: Record, before: Status, actor: str, details: dict[str, Any] | None
) -> Transition:
    """The line of the audit for what a row has just become."""
    return Transition(
        **record.key._asdict(),
        from_status=before,
        to_status=record.notification_status,
        at=record.updated_at or LONG_AGO,
        actor=actor,
        details=details,
    )
