"""What happens to a notification: the domain, and the facts that stages exchange."""

import re
from datetime import datetime
from enum import StrEnum
from functools import cache, cached_property
from typing import Any, ClassVar, NamedTuple, Self
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict


class Status(StrEnum):
    """Where a notification stands; the values are the database's."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    SENT = "SENT"
    FAILED = "FAILED"
    RETRACTED = "RETRACTED"


class Retraction(StrEnum):
    """What taking a notification back has achieved; the values are the database's."""

    STOPPED = "stopped"
    """It was not sent."""
    CANCELLED = "cancelled"
    """The provider had it, and nobody has it, or has it any more."""
    PARTLY = "partly"
    """Some people, or some channels, have it for good; the rest was cancelled or taken back."""
    TOO_LATE = "too_late"
    """People have it."""


class Key(NamedTuple):
    """
    One claim of one row: what every fact about a notification is about.

    ``generation`` counts an operator's re-drives, ``claims`` how often ingest took the row;
    a copy whose ``claims`` is not the row's is stale.
    """

    enterprise_id: str
    notification_id: int
    generation: int = 0
    claims: int = 1

    def __str__(self) -> str:
        enterprise = self.enterprise_id.replace("%", "%25").replace("/", "%2F")
        return f"{enterprise}/{self.notification_id}/{self.generation}/{self.claims}"

    @classmethod
    def parse(cls, text: str) -> "Key":
        """Read what ``str()`` wrote. Raises ValueError for anything else."""
        enterprise, notification, generation, claims = text.split("/")[:4]
        return cls(unquote(enterprise), int(notification), int(generation), int(claims))


class Locked(NamedTuple):
    """A row that another session holds locked just now: nothing was written of it."""

    key: Key


class Unconfirmed(NamedTuple):
    """A row that was told to be sent, and of which no send record says that anybody began to."""

    key: Key


UNCONFIRMED = "unconfirmed"
"""The code of a message of which its row says otherwise: it ends no row."""

TRANSACTION_ID = "1 to 255 of A-Z a-z 0-9 . _ : -, with a letter or digit among them"
"""What a transaction id is, in words: safe in a header and as one step of a URL's path."""

_TRANSACTION_ID = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9._:-]{1,255}", re.ASCII)


def is_transaction_id(text: str) -> bool:
    """Whether a provider can be asked about it."""
    return _TRANSACTION_ID.fullmatch(text) is not None


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Workflow(_Frozen):
    """A Novu workflow as the platform registered it for one enterprise."""

    workflow_key: str
    enterprise_id: str
    name: str | None = None
    payload_schema: dict[str, Any] | bool | None = None
    default_channels: tuple[str, ...] = ()
    version: str | None = None
    deactivated: bool = False


class Notification(_Frozen):
    """One row of ``notify.ent_notification``, complete enough to hand to the provider."""

    id: int
    enterprise_id: str
    name: str | None = None
    workflow_key: str
    transaction_id: str
    recipients: tuple[str, ...]
    payload: dict[str, Any]
    overrides: dict[str, Any] | None = None
    channels: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    workflow_version: str | None = None

    @property
    def row(self) -> tuple[str, int]:
        """Its enterprise's id and its own."""
        return self.enterprise_id, self.id

    def is_sent_as(self, other: "Notification") -> bool:
        """Whether both go to the same people, by the same workflow, under the same name."""
        return (self.transaction_id, self.workflow_key, self.recipients) == (
            other.transaction_id,
            other.workflow_key,
            other.recipients,
        )


class Failure(_Frozen):
    """Why a stage gave a notification up; this is the row's ``error_details``."""

    code: str
    stage: str
    message: str
    attempts: int
    at: datetime
    violations: tuple[str, ...] = ()


class Event(_Frozen):
    """
    A fact about one notification. ``kind`` names it on the wire, and its subject.

    ``past`` says that it tells how something ended: nothing is left to do but to write it down.
    """

    kind: ClassVar[str] = ""
    past: ClassVar[bool] = False
    notification_id: int
    enterprise_id: str
    generation: int = 0
    claims: int = 1

    @classmethod
    def of_json(cls, text: bytes) -> Self:
        """As ``model_validate_json``, a third cheaper for one as small. Raises ValueError."""
        return cls.__pydantic_validator__.validate_json(text)

    def to_json(self) -> bytes:
        """As ``model_dump_json(exclude_none=True)``, in bytes, likewise."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)

    @cached_property
    def key(self) -> Key:
        return Key(self.enterprise_id, self.notification_id, self.generation, self.claims)

    @property
    def identity(self) -> str:
        """The same fact always has the same name, whoever states it and however often."""
        return str(self.key)


class Captured(Event):
    """Ingest has claimed a row that is due."""

    kind = "ingest"
    transaction_id: str


class Hydrated(Event):
    """Everything needed to send has been gathered and checked."""

    kind = "hydrate"
    notification: Notification


class Triggered(Event):
    """The provider accepted the notification, in one call or several."""

    kind = "trigger"
    past = True
    transaction_id: str
    calls: int = 1


class RetractRequested(Event):
    """Someone has taken the notification back; what was sent of it is to be cancelled."""

    kind = "retract"
    transaction_id: str
    recipients: int


class StatusChanged(Event):
    """The row has reached a new status, and the database has it."""

    kind = "status"
    past = True
    status: Status
    previous: Status
    at: datetime
    transaction_id: str | None = None
    failure: Failure | None = None
    retraction: Retraction | None = None

    @property
    def identity(self) -> str:
        return f"{self.key}/{self.status}"


Recorded = StatusChanged | Locked | Unconfirmed
"""What a store says of a row of which it was told that it has ended."""


class Rejected(Event):
    """
    A stage gave the notification up; this is also the dead letter, with the original bytes.

    It may be ``nameless``: what was given up named no row, and its own numbers mean nothing; the
    ``digest`` of the message tells it from others. A letter about what its row does not confirm is
    not the one that may end that row.
    """

    kind = "dead"
    past = True
    failure: Failure
    nameless: bool = False
    digest: str | None = None
    original: str | None = None
    original_id: str | None = None

    @property
    def identity(self) -> str:
        kept_apart = f"/{UNCONFIRMED}" if self.failure.code == UNCONFIRMED else ""
        told_apart = f"/{self.digest}" if self.digest else ""
        return f"{self.key}/{self.failure.stage}{kept_apart}{told_apart}"


KINDS: dict[str, type[Event]] = {
    event.kind: event
    for event in (Captured, Hydrated, Triggered, RetractRequested, StatusChanged, Rejected)
}

_STAGE = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_OTHERS = frozenset({*KINDS, "retry", "later", "advisory", "peers", "all", "analytics"})
"""Words that mean something else in a subject, or to the command."""


@cache
def hydrated_by(stage: str) -> type[Hydrated]:
    """
    What a stage of one's own tells, between hydrate and trigger: its name is the event's kind.

    From then on this process can read it. Raises ValueError for a name that no such stage can have.
    """
    if not _STAGE.fullmatch(stage) or stage in _OTHERS:
        raise ValueError(
            f"{stage!r} can be no stage's name: up to 32 of a-z 0-9 _, with a letter first, and"
            f" none of {', '.join(sorted(_OTHERS))}"
        )

    class HydratedBy(Hydrated):
        """Everything needed to send has been gathered; a stage of one's own has added to it."""

        kind = stage

    HydratedBy.__name__ = HydratedBy.__qualname__ = f"HydratedBy_{stage}"
    KINDS[stage] = HydratedBy
    return HydratedBy
