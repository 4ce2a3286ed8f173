"""Things to test with. Every argument has a default; name only what the test is about."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from xnovu.envelope import Envelope
from xnovu.events import Captured, Event, Notification
from xnovu.ports import Outcome, Store
from xnovu.sending import SendTimes

ENTERPRISE = "acme"


def a_notification(id: int = 1, **overrides: Any) -> Notification:
    fields: dict[str, Any] = {
        "enterprise_id": ENTERPRISE,
        "workflow_key": "welcome",
        "transaction_id": f"transaction-{id}",
        "recipients": ("someone",),
        "payload": {},
    }
    return Notification.model_validate({"id": id, **fields, **overrides})


def captured(id: int = 1, *, trace: str = "", **overrides: Any) -> Envelope[Event]:
    """What ingest says of row ``id``; give ``generation`` or ``claims`` to say it anew."""
    fields: dict[str, Any] = {"enterprise_id": ENTERPRISE, "transaction_id": f"transaction-{id}"}
    event = Captured.model_validate({"notification_id": id, **fields, **overrides})
    return Envelope(event, trace)


def namespace() -> dict[str, str]:
    """Subjects and streams that nobody else has."""
    return {"prefix": f"t{uuid4().hex[:8]}"}


async def recorded(store: Store, outcomes: Sequence[Outcome]) -> Sequence[Any]:
    """What the store says of outcomes, where what is SENT was begun, as it is by those who send."""
    if sent := [outcome.key for outcome in outcomes if not outcome.failure]:
        await store.begin_send(sent, SendTimes())
    return await store.record(outcomes)
