"""What the database's functions take and give, as the pipeline's own types, and back."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from xnovu.desk import Aside, Failed
from xnovu.errors import Permanent
from xnovu.events import (
    Captured,
    Failure,
    Key,
    Locked,
    Notification,
    Retraction,
    RetractRequested,
    Status,
    StatusChanged,
    Unconfirmed,
    Workflow,
)
from xnovu.retraction import Retracted
from xnovu.sending import Begun, Verdict
from xnovu.sql.misfits import misfit
from xnovu.store import Claim, Outcome, Row

LOCKED, UNBEGUN = "LOCKED", "UNCONFIRMED"
"""What the functions say of a row that another session has locked, and of one nobody has begun."""
EPOCH = datetime.fromtimestamp(0, UTC)

Record = Mapping[str, Any]
"""
One row that a function returned, by column.

JSON may still be bytes (a batch often carries one workflow a hundred times over), and a time still
text, where the way to the database is JSON itself.
"""


def keys(wanted: Iterable[Key]) -> list[dict[str, Any]]:
    """Keys as the functions take them."""
    return [_fields(key) for key in wanted]


def in_hand(wanted: Iterable[Key], said: Mapping[Key, Notification]) -> list[dict[str, Any]]:
    """Keys as `notify.begin_send` takes them, each with what is said of its row."""
    return [{**_fields(key), **(_said(said[key]) if key in said else {})} for key in wanted]


def outcomes(told: Iterable[Outcome]) -> list[dict[str, Any]]:
    """Outcomes as `notify.record` takes them."""
    return [{**_fields(o.key), "error_details": _details(o.failure)} for o in told]


def retractions(told: Mapping[Key, Retraction]) -> list[dict[str, Any]]:
    """Outcomes as `notify.record_retractions` takes them."""
    return [{**_fields(key), "outcome": outcome.value} for key, outcome in told.items()]


def columns(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """
    Rows to insert, as `notify.enqueue` takes them.

    Raises:
        Permanent: ``invalid_row``: a value that JSON cannot express; names its column.
    """
    try:
        return from_json(to_json([dict(row) for row in rows]))
    except (PydanticSerializationError, ValueError):
        culprit = next((name for row in rows for name in row if not _fits(row[name])), "?")
        message = f'column "{culprit}": expected a value that JSON has, found one that it has not'
        raise Permanent(message, code="invalid_row") from None


def key(record: Record) -> Key:
    """Which claim of which row a record is about."""
    return Key(record["enterprise_id"], record["id"], record["generation"], record["claims"])


def claim(record: Record) -> Claim:
    """What `notify.claim` says of a row."""
    captured = Captured(notification_id=record["id"], **_shared(record))
    return Claim(captured, record["express"])


def retraction(record: Record) -> RetractRequested:
    """What `notify.claim_retractions` says of a row."""
    recipients = record["recipients"]
    return RetractRequested(notification_id=record["id"], recipients=recipients, **_shared(record))


def retracted(record: Record) -> Retracted:
    """What `notify.begin_retraction` says of a row."""
    outcome = Retraction(record["outcome"]) if record["outcome"] else None
    previous, seconds = Status(record["previous"]), record["seconds"]
    return Retracted(previous, seconds, outcome, record["transaction_id"], record["recipients"])


def begun(record: Record) -> Begun:
    """What `notify.begin_send` says of a row."""
    return Begun(Verdict(record["verdict"]), record["seconds"])


def rows(records: Iterable[Record]) -> Mapping[Key, Row | Permanent]:
    """What `notify.load_rows` returned; each distinct workflow is read once."""
    workflows: dict[bytes, Workflow | None] = {}
    return {key(record): _row(record, workflows) for record in records}


def recorded(record: Record) -> StatusChanged | Locked | Unconfirmed:
    """What `notify.record` says is now so."""
    return Unconfirmed(key(record)) if record["status"] == UNBEGUN else retold(record)


def retold(record: Record) -> StatusChanged | Locked:
    """What `notify.record_retractions` says is now so."""
    return Locked(key(record)) if record["status"] == LOCKED else changed(record)


def aside(record: Record) -> Aside:
    """What `notify.aside` says of a row."""
    return Aside(
        record["id"],
        record["enterprise_id"],
        _time(record["since"]) or EPOCH,
        record["tries"],
        record["said"],
    )


def _row(record: Record, workflows: dict[bytes, Workflow | None]) -> Row | Permanent:
    raw = record["workflow"]
    try:
        if record["unusable"]:
            raise _unusable(record)
        if isinstance(raw, bytes) and raw not in workflows:
            workflows[raw] = _workflow(record, raw)
        workflow = workflows[raw] if isinstance(raw, bytes) else _workflow(record, raw)
        restricted = record.get("recipient_prefix"), record.get("overrides_allowed")
        return Row(key(record), _notification(record), workflow, *restricted)
    except Permanent as error:
        return error


def _unusable(record: Record) -> Permanent:
    match record["unusable"]:
        case "too_large":
            return Permanent("the row is larger than rows.max_bytes allows", code="too_large")
        case "transaction_id_taken":
            message = "another notification has the same transaction_id"
            return Permanent(message, code="transaction_id_taken")
        case column:
            message = f"{column}: expected a list, found a list of lists"
            return Permanent(message, code="invalid_row")


def changed(record: Record) -> StatusChanged:
    """What the functions say that a row has come to."""
    return StatusChanged(
        notification_id=record["id"],
        status=Status(record["status"]),
        previous=Status(record["previous"]),
        at=_time(record["at"]) or EPOCH,
        failure=_failure(record.get("error_details")),
        retraction=record.get("retraction"),
        **_shared(record),
    )


def failed(record: Record) -> Failed:
    """What `notify.failed` says of a row."""
    return Failed(key(record), record["code"] or "", _time(record["at"]) or EPOCH)


def json_of(value: Any) -> Any:
    """
    JSON as Python has it, whether it came as bytes or was read on its way.

    Raises:
        ValueError: nested too deeply.
    """
    return from_json(value) if isinstance(value, bytes) else value


def _fields(which: Key) -> dict[str, Any]:
    return {
        "id": which.notification_id,
        "enterprise_id": which.enterprise_id,
        "generation": which.generation,
        "claims": which.claims,
    }


def _said(notification: Notification) -> dict[str, Any]:
    names = {"transaction_id", "recipients", "workflow_key"}
    overridden = list(notification.overrides or ())
    return {**notification.model_dump(mode="json", include=names), "overridden": overridden}


def _shared(record: Record) -> dict[str, Any]:
    names = ("enterprise_id", "generation", "claims", "transaction_id")
    return {name: record[name] for name in names}


def _details(failure: Failure | None) -> dict[str, Any] | None:
    return failure.model_dump(mode="json", exclude_defaults=True) if failure else None


def _time(value: str | datetime | None) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _failure(raw: Any) -> Failure | None:
    """The reason of a failure; None for one in other words than ours."""
    try:
        return Failure.model_validate(json_of(raw)) if raw else None
    except ValueError:
        return None


def _notification(record: Record) -> Notification:
    complete = {**record, **{name: _json(record, name) for name in ("payload", "overrides")}}
    try:
        return Notification.model_validate(complete)
    except ValidationError as error:
        raise Permanent(misfit(error), code="invalid_row") from None


def _json(record: Record, column: str) -> Any:
    try:
        return json_of(record[column])
    except ValueError:  # nested too deeply
        message = f"{column}: expected JSON that can be read, found it nested too deeply"
        raise Permanent(message, code="invalid_row") from None


def _workflow(record: Record, raw: Any) -> Workflow | None:
    if raw is None:
        return None
    try:
        read = Workflow.model_validate_json if isinstance(raw, bytes) else Workflow.model_validate
        return read(raw)
    except ValidationError as error:
        schema = any(each["loc"][:1] == ("payload_schema",) for each in error.errors())
        code = "schema_invalid" if schema else "invalid_row"
        told = f"its workflow in notify.ent_notification_workflow: {misfit(error)}"
        raise Permanent(told, code=code) from None


def _fits(value: object) -> bool:
    try:
        return bool(to_json(value))
    except (PydanticSerializationError, ValueError):
        return False
