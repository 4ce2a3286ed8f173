"""What is sent to Novu, byte for byte, and under which idempotency key."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from xnovu.errors import Permanent
from xnovu.events import TRANSACTION_ID, Notification, is_transaction_id
from xnovu.ports import Trigger

TRIGGER = "/v1/events/trigger"
BULK = "/v1/events/trigger/bulk"
MAX_RECIPIENTS = 100
MAX_EVENTS = 100
MAX_KEY = 255
"""Characters of an Idempotency-Key."""
MAX_BYTES = 20_000_000
"""Most bytes of a bulk body; proxies and Novu's own parser refuse much larger ones."""


@dataclass(frozen=True, slots=True)
class Event:
    """A call ready to be sent. Serialised once, so that a repeat has the very same bytes."""

    call: Trigger
    body: bytes

    @property
    def id(self) -> str:
        return self.call.transaction_id


def event_of(call: Trigger, metadata: str) -> Event | Permanent:
    """A call as Novu's TriggerEventRequestDto; what it is made of goes unchanged."""
    if len(call.recipients) > MAX_RECIPIENTS:
        reason = f"{len(call.recipients)} recipients in one call; Novu takes {MAX_RECIPIENTS}"
        return Permanent(reason, code="too_many_recipients")
    if not is_transaction_id(call.transaction_id):
        return Permanent(f"transaction_id is not {TRANSACTION_ID}", code="invalid_row")
    notification = call.notification
    fields: dict[str, Any] = {
        "name": notification.workflow_key,
        "to": call.recipients,
        "payload": _payload(notification, metadata),
    }
    if notification.overrides is not None:
        fields["overrides"] = notification.overrides
    try:
        return Event(call, to_json({**fields, "transactionId": call.transaction_id}))
    except Exception:  # noqa: BLE001 - no cause: the vendor's message quotes the value
        return Permanent("payload or overrides cannot be written as JSON", code="payload_invalid")


def _payload(notification: Notification, metadata: str) -> dict[str, Any]:
    """With our own word on whose it is, which nobody's payload can replace."""
    if not metadata:
        return notification.payload
    shown = {
        "id": notification.id,
        "enterprise_id": notification.enterprise_id,
        "name": notification.name,
        "channels": notification.channels,
        "tags": notification.tags,
        "workflow_version": notification.workflow_version,
    }
    return {**notification.payload, metadata: {name: each for name, each in shown.items() if each}}


def bulk_body(events: Sequence[Event]) -> bytes:
    """Events as Novu's BulkTriggerEventDto, made of the bytes they already are."""
    return b'{"events":[' + b",".join(event.body for event in events) + b"]}"


def single_key(environment: str, event: Event, generation: int) -> str:
    """The Idempotency-Key of one event; a new generation follows a replayed error."""
    end = f":{generation}" if generation else ""
    key = f"{environment}:{event.id}{end}"
    if len(key) <= MAX_KEY:
        return key
    return f"{environment}:long:{hashlib.sha256(event.id.encode()).hexdigest()}{end}"


def bulk_key(environment: str, body: bytes) -> str:
    """The Idempotency-Key of a bulk: Novu holds a key to the very same body."""
    return f"{environment}:bulk:{hashlib.sha256(body).hexdigest()}"


def parts(events: Sequence[Event], pays: float) -> Iterator[list[Event]]:
    """Events as requests of their own: bulks where at least ``pays`` go together, or singles."""
    for chunk in _chunks(events):
        if len(chunk) >= max(pays, 2):
            yield chunk
        else:
            yield from ([event] for event in chunk)


def _chunks(events: Sequence[Event]) -> Iterator[list[Event]]:
    chunk: list[Event] = []
    size = 0
    for event in events:
        if chunk and (len(chunk) == MAX_EVENTS or size + len(event.body) > MAX_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(event)
        size += len(event.body) + 1
    if chunk:
        yield chunk
