"""Things to test with. Every argument has a default; name only what the test is about."""

from datetime import datetime
from typing import Any

from xnovu.envelope import Envelope
from xnovu.events import (
    Captured,
    Event,
    Failure,
    Hydrated,
    Notification,
    Rejected,
    Status,
    StatusChanged,
    Triggered,
)
from xnovu.stage import utc_now

ENTERPRISE = "acme"
WORKFLOW = "welcome"


def a_row(**columns: Any) -> dict[str, Any]:
    """A row as it is inserted, by the names of the table's columns."""
    row = {"enterprise_id": ENTERPRISE, "notification_workflow_id": WORKFLOW}
    return {**row, "recipients": ["someone"], **columns}


def a_notification(id: int = 1, **overrides: Any) -> Notification:
    """The row as a stage has it after hydrate."""
    fields: dict[str, Any] = {
        "enterprise_id": ENTERPRISE,
        "workflow_key": WORKFLOW,
        "transaction_id": f"transaction-{id}",
        "recipients": ("someone",),
        "payload": {},
    }
    return Notification.model_validate({"id": id, **fields, **overrides})


def captured(id: int = 1, *, trace: str = "", **overrides: Any) -> Envelope[Event]:
    """What ingest says of row ``id``; give ``generation`` or ``claims`` to say it anew."""
    fields = {"transaction_id": f"transaction-{id}", **overrides}
    return Envelope(Captured.model_validate(_about(id, fields)), trace)


def hydrated(id: int = 1, **overrides: Any) -> Envelope[Hydrated]:
    """What hydrate says of row ``id``; ``overrides`` are its notification's."""
    notification = a_notification(id, **overrides)
    fields = {"enterprise_id": notification.enterprise_id, "notification": notification}
    return Envelope(Hydrated.model_validate(_about(id, fields)))


def triggered(id: int = 1, **overrides: Any) -> Envelope[Triggered]:
    """What trigger says of row ``id``: the provider has accepted it."""
    fields = {"transaction_id": f"transaction-{id}", **overrides}
    return Envelope(Triggered.model_validate(_about(id, fields)))


def changed(id: int = 1, **overrides: Any) -> Envelope[StatusChanged]:
    """What status says of row ``id``: that it was sent, unless ``status`` says otherwise."""
    fields = {"status": Status.SENT, "previous": Status.PROCESSING, "at": utc_now(), **overrides}
    return Envelope(StatusChanged.model_validate(_about(id, fields)))


def rejected(id: int = 1, *, code: str = "refused", stage: str = "trigger") -> Envelope[Rejected]:
    """The dead letter by which ``stage`` gives row ``id`` up."""
    failure = a_failure(code=code, stage=stage)
    return Envelope(Rejected.model_validate(_about(id, {"failure": failure})))


def a_failure(code: str = "refused", stage: str = "trigger", at: datetime | None = None) -> Failure:
    """Why a stage gave a notification up."""
    return Failure(code=code, stage=stage, message="no", attempts=1, at=at or utc_now())


def _about(id: int, fields: dict[str, Any]) -> dict[str, Any]:
    return {"notification_id": id, "enterprise_id": ENTERPRISE, **fields}
