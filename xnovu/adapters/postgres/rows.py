"""What the database's functions take and give, as the pipeline's own types, and back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg.abc import Buffer
from psycopg.adapt import Loader
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json, to_json

from xnovu.errors import Permanent
from xnovu.events import Captured, Failure, Key, Notification, Status, StatusChanged, Workflow
from xnovu.ports import Claim, Outcome, Row

Record = Mapping[str, Any]
"""One row that a function returned, by column; JSON still as bytes."""


class RawJson(Loader):
    """JSON left as it came: a batch often carries one workflow a hundred times over."""

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


def keys_json(keys: Iterable[Key]) -> str:
    """Keys as the functions take them."""
    return to_json([_fields(key) for key in keys]).decode()


def outcomes_json(outcomes: Iterable[Outcome]) -> str:
    """Outcomes as `notify.record` takes them."""
    told = ({**_fields(o.key), "error_details": _details(o.failure)} for o in outcomes)
    return to_json(list(told)).decode()


def columns_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """
    Rows to insert, as `notify.enqueue` takes them.

    Raises:
        Permanent: ``invalid_row``: a value that JSON cannot express; names its column.
    """
    try:
        return to_json([dict(row) for row in rows]).decode()
    except (PydanticSerializationError, ValueError):
        culprit = next((name for row in rows for name in row if not _fits(row[name])), "?")
        message = f'the value of column "{culprit}" cannot be written as JSON'
        raise Permanent(message, code="invalid_row") from None


def key(record: Record) -> Key:
    """Which claim of which row a record is about."""
    return Key(record["enterprise_id"], record["id"], record["generation"], record["claims"])


def claim(record: Record) -> Claim:
    """What `notify.claim` says of a row."""
    captured = Captured(notification_id=record["id"], **_shared(record))
    return Claim(captured, record["expires_at"], record["claimed_before"])


def rows(records: Iterable[Record]) -> Mapping[Key, Row]:
    """What `notify.load` returned; each distinct workflow is read once."""
    workflows: dict[bytes | None, Workflow | None] = {None: None}
    loaded: dict[Key, Row] = {}
    for record in records:
        raw = record["workflow"]
        if raw not in workflows:
            workflows[raw] = _workflow(record, raw)
        which = key(record)
        loaded[which] = Row(which, _notification(record), workflows[raw], record["expires_at"])
    return loaded


def change(record: Record) -> StatusChanged:
    """What `notify.record` says is now so."""
    return StatusChanged(
        notification_id=record["id"],
        status=Status(record["status"]),
        previous=Status(record["previous"]),
        at=record["at"],
        failure=_failure(record["error_details"]),
        **_shared(record),
    )


def _fields(which: Key) -> dict[str, Any]:
    return {
        "id": which.notification_id,
        "enterprise_id": which.enterprise_id,
        "generation": which.generation,
        "claims": which.claims,
    }


def _shared(record: Record) -> dict[str, Any]:
    names = ("enterprise_id", "generation", "claims", "transaction_id")
    return {name: record[name] for name in names}


def _details(failure: Failure | None) -> dict[str, Any] | None:
    return failure.model_dump(mode="json", exclude_defaults=True) if failure else None


def _failure(raw: bytes | None) -> Failure | None:
    """The reason of a failure; None for one in other words than ours."""
    try:
        return Failure.model_validate_json(raw) if raw else None
    except ValidationError:
        return None


def _notification(record: Record) -> Notification:
    complete = {**record, **{name: _json(record, name) for name in ("payload", "overrides")}}
    try:
        return Notification.model_validate(complete)
    except ValidationError as error:
        raise _misfit(f"notification {record['id']}", error) from None


def _json(record: Record, column: str) -> Any:
    try:
        return from_json(record[column]) if record[column] else None
    except ValueError:  # nested too deeply
        message = f"notification {record['id']} has an unusable {column}"
        raise Permanent(message, code="invalid_row") from None


def _workflow(record: Record, raw: bytes) -> Workflow:
    try:
        return Workflow.model_validate_json(raw)
    except ValidationError as error:
        raise _misfit(f"the workflow of notification {record['id']}", error) from None


def _misfit(what: str, error: ValidationError) -> Permanent:
    columns = sorted({str(next(iter(problem["loc"]), "JSON")) for problem in error.errors()})
    return Permanent(f"{what} has an unusable {', '.join(columns)}", code="invalid_row")


def _fits(value: object) -> bool:
    try:
        return bool(to_json(value))
    except (PydanticSerializationError, ValueError):
        return False
