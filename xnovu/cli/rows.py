"""Notifications as people type them: what is wrong with one is said at once, and where."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from xnovu.errors import ConfigurationError, Permanent, XNovuError
from xnovu.sql.misfits import kind_of

Rows = Sequence[Mapping[str, Any]]

TIMES = ("scheduled_for", "expires_at")
OBJECTS = ("payload", "overrides")
LISTS = ("recipients", "tags", "channels")
NEEDED = ("enterprise_id", "notification_workflow_id", "recipients")
LONGEST = 255
SHOWN = 20
"""Faults that are told; more are counted."""
FLAGS = {
    "enterprise_id": "--enterprise",
    "notification_workflow_id": "--workflow",
    "recipients": "--recipient",
    "name": "--name",
    "payload": "--payload",
    "scheduled_for": "--at",
    "expires_at": "--expires",
    "tags": "--tag",
}
"""How a column is called on the command line."""


def checked(rows: Rows) -> Rows:
    """
    The rows, if each can be one; their values are shown nowhere.

    Raises:
        ConfigurationError: with every fault and its place: ``/1/recipients/0``.
    """
    found = [fault for at, row in enumerate(rows) for fault in _faults(row, f"/{at}")]
    if found:
        more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        raise ConfigurationError("\n  ".join(("nothing was sent:", *found[:SHOWN], *more)))
    return rows


def explained(error: XNovuError, rows: Rows) -> XNovuError:
    """What the database says of rows, with the places that it may mean."""
    if not isinstance(error, Permanent) or error.code != "invalid_row":
        return error
    said = str(error)
    column = next((name for name in _names(rows) if f'"{name}"' in said), None)
    ways = list(_ways(column, rows)) if column else []
    missing = "(23502)" in said
    if missing and not ways:
        ways = [_missing(said)]
    return ConfigurationError("\n  ".join((f"nothing was sent: {said}", *ways)))


def _names(rows: Rows) -> Sequence[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _missing(said: str) -> str:
    column = said.partition('column "')[2].partition('"')[0]
    flag = f" ({FLAGS[column]})" if column in FLAGS else ""
    return f"column {column} must be given{flag}: it is NOT NULL, and has no default"


def _ways(column: str, rows: Rows) -> Iterator[str]:
    match column:
        case "recipients" | "enterprise_id":
            for at, row in enumerate(rows):
                yield from _not_uuids(row.get(column), f"/{at}/{column}")
        case "notification_workflow_id":
            yield (
                "this database has the workflow's id there, a number, and not its key:"
                " SELECT id, workflow_key FROM notify.ent_notification_workflow"
            )
        case _:
            return


def _not_uuids(value: object, place: str) -> Iterator[str]:
    if isinstance(value, list):
        for at, each in enumerate(cast("list[object]", value)):
            yield from _not_uuids(each, f"{place}/{at}")
    elif not _is_uuid(value):
        yield f"{place}: no UUID"


def _is_uuid(value: object) -> bool:
    try:
        return bool(UUID(str(value)))
    except ValueError:
        return False


def _faults(row: Mapping[str, Any], place: str) -> Iterator[str]:
    for column in NEEDED:
        if row.get(column) in (None, "", []):
            yield f"{place}/{column}: must be given"
    for column in TIMES:
        if fault := _time_fault(row.get(column)):
            yield f"{place}/{column}: {fault}"
    for column in OBJECTS:
        if not isinstance(value := row.get(column), Mapping | None):
            yield f"{place}/{column}: must be an object, and is {kind_of(value)}"
    for column in LISTS:
        yield from _list_faults(row.get(column), f"{place}/{column}")


def _time_fault(value: object) -> str | None:
    if value is None:
        return None
    example = "such as 2026-01-31T12:00:00Z"
    if not isinstance(value, str):
        return f"must be a time, {example}, and is {kind_of(value)}"
    if value in ("infinity", "-infinity"):
        return None
    try:
        return None if datetime.fromisoformat(value).tzinfo else f"needs a zone, {example}"
    except ValueError:
        return f"must be a time (ISO 8601) with a zone, {example}"


def _list_faults(value: object, place: str) -> Iterator[str]:
    if value is None:
        return
    if not isinstance(value, list):
        yield f"{place}: must be a list, and is {kind_of(value)}"
        return
    members = cast("list[object]", value)
    first: dict[str, int] = {}
    for at, member in enumerate(members):
        if not isinstance(member, str):
            yield f"{place}/{at}: must be a text, and is {kind_of(member)}"
        elif place.endswith("/recipients"):
            if not _well_formed(member):
                yield f"{place}/{at}: no subscriber id (1 to {LONGEST} characters, no blanks)"
            elif first.setdefault(member, at) != at:
                yield f"{place}/{at}: the same as {place}/{first[member]}"


def _well_formed(recipient: str) -> bool:
    return (
        0 < len(recipient) <= LONGEST
        and recipient.isprintable()
        and not any(map(str.isspace, recipient))
    )


def read_rows(text: str) -> Rows:
    """
    A JSON list, one JSON object, or one object a line.

    Raises:
        ConfigurationError: it is none of these; with the line and column.
    """
    try:
        parsed: object = json.loads(text)
    except json.JSONDecodeError as error:
        lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
        if len(lines) < 2 or not lines[0][1].lstrip().startswith("{"):
            raise not_json("--json", error) from None
        parsed = [read_json(line, "--json", n) for n, line in lines]
    rows = cast("list[object]", parsed) if isinstance(parsed, list) else [parsed]
    wrong = [f"/{n} is {kind_of(row)}" for n, row in enumerate(rows) if not isinstance(row, dict)]
    if not rows or wrong:
        found = ", ".join(wrong[:SHOWN]) or "the list is empty"
        raise ConfigurationError(
            f"--json takes objects with the columns of notify.ent_notification: {found}"
        )
    return cast("Rows", rows)


def read_json(text: str, what: str, line: int | None = None) -> Any:
    """Read JSON. Raises ConfigurationError with the place of what is none."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise not_json(what, error, line) from None


def not_json(what: str, error: json.JSONDecodeError, line: int | None = None) -> ConfigurationError:
    """What to tell of a text that is no JSON: nothing of it, but where."""
    place = f"line {line or error.lineno}, column {error.colno}"
    return ConfigurationError(f"{what} is not JSON: {error.msg} ({place})")
