"""Shows a notification: where it is, why, and everything that happened to it."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.text import Text

from xnovu.cli.console import Cell, colored, err, out, print_json, print_table
from xnovu.cli.waiting import paused_stages, reason_of
from xnovu.compose.kit import opened_store
from xnovu.compose.settings import load
from xnovu.errors import ConfigurationError

PRIVATE = ("payload", "overrides", "recipients")
"""Shown only on request: whoever looks at an operator's screen is not their recipient."""

FIRST = (
    *("id", "name", "notification_status", "error_details", "retraction_outcome"),
    *("enterprise_id", "notification_workflow_id", "transaction_id"),
    *("created_at", "scheduled_for", "expires_at", "processed_at"),
)
"""The columns that most people look for; the others follow by name."""
HEAD = ("at", "from", "to", "by", "claim", "why")
LARGEST = 2**63 - 1
"""As a notification's id is a bigint."""


async def tell(notification: int, *, as_json: bool, private: bool) -> int:
    """Print it; the exit code is 1 if there is none."""
    require_id(notification)
    settings = load()
    async with opened_store(settings, "show") as store:
        history = await store.history(notification)
        waits = await store.waiting(notification)
    if history is None:
        err.print(f"no notification {notification} in notify.ent_notification")
        return 1
    waits = waits and {**waits, "paused": await paused_stages(settings, waits["for"])}
    row = _shown(history["notification"], private=private)
    history = {**history, "notification": row, "waiting": waits}
    if as_json:
        print_json(history)
    else:
        _print(history)
    return 0


def require_id(number: int) -> None:
    """Raises ConfigurationError for what can be no notification's id."""
    if not -LARGEST - 1 <= number <= LARGEST:
        raise ConfigurationError(f"{number} is no notification's id: {LARGEST} at the most")


def _shown(row: Mapping[str, Any], *, private: bool) -> Mapping[str, Any]:
    """The row without what is private, and how much of it there is."""
    if private:
        return row
    hidden = {name: _size(row[name]) for name in PRIVATE if row.get(name) is not None}
    return {**row, **hidden}


def _size(value: Any) -> str:
    entries = f"{len(value)} {'entry' if len(value) == 1 else 'entries'}"
    return f"{entries}, hidden: --payload shows them"


def _print(history: Mapping[str, Any]) -> None:
    row = history["notification"]
    names = [*FIRST, *sorted(row.keys() - set(FIRST))]
    given = [name for name in names if row.get(name) not in (None, [], {})]
    print_table((), [(Text(name, "dim"), _text(name, row[name])) for name in given])
    if history["waiting"]:
        out.print(f"\nwaits for {reason_of(history['waiting'])}")
    out.print(_workflow(history["workflow"]))
    if history["transitions"]:
        out.print("\nwhat happened to it")
        print_table(HEAD, _transitions(history["transitions"]))
        out.print(_by_whom(history["transitions"]))
    else:
        out.print("\nnothing has happened to it yet")


def _text(name: str, value: Any) -> Text | str:
    if name == "notification_status":
        return colored(value)
    if isinstance(value, str):
        return value
    return json.dumps(value, indent=2 if isinstance(value, dict) else None, default=str)


def _workflow(workflow: Mapping[str, Any] | None) -> Text | str:
    if workflow is None:
        return Text("\nits workflow is not registered for this enterprise", "red")
    state = "deactivated" if workflow.get("deactivated") else "active"
    return f"\nworkflow {workflow['workflow_key']} ({state})"


def _by_whom(lines: Sequence[Mapping[str, Any]]) -> str:
    """Who is by their own word in the lines, by the database's."""
    found = dict.fromkeys(known for line in lines if (known := _known(line)))
    return f"as {', '.join(found)}, by the database's word" if found else ""


def _transitions(lines: Sequence[Mapping[str, Any]]) -> list[Sequence[Cell]]:
    several = len({_known(line) for line in lines}) > 1
    return [
        (
            f"{datetime.fromisoformat(line['at']):%Y-%m-%d %H:%M:%S}",
            colored(line["from_status"] or ""),
            colored(line["to_status"] or ""),
            _who(line) if several else line["actor"] or "",
            _claim(line, lines[0]["generation"]),
            _why(line["details"]),
        )
        for line in lines
    ]


def _who(line: Mapping[str, Any]) -> str:
    """The actor, by its own word, and where that differs the role or login, by the database's."""
    known, actor = _known(line), line["actor"] or ""
    return actor if known in (None, actor) else f"{actor} (as {known})"


def _known(line: Mapping[str, Any]) -> str | None:
    return line.get("role") or line.get("login")


def _claim(line: Mapping[str, Any], first: int) -> str:
    """Which claim of the row it was; after a re-drive, of which one, too."""
    nth = (line["generation"] or first) - first
    return f"{line['claims']}{f', re-drive {nth}' if nth else ''}"


def _why(details: Any) -> str:
    match details:
        case {"outcome": str(outcome), **more}:
            return ": ".join(filter(None, (outcome, more.get("reason"))))
        case {"code": str(why)} | {"reason": str(why)}:
            return why
        case _:
            return ""
