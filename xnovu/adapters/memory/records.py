"""The tables in memory: their rows, by the names of the columns."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from xnovu.events import Failure, Key, Status

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
    error_details: Failure | None = None
    workflow_version: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    generation: int = 0
    claims: int = 0
    claimed_until: datetime | None = None
    priority: int = 0
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
