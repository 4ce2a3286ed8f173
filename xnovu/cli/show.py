"""Shows a notification: where it is, why, and everything that happened to it."""

import json
from collections.abc import Mapping
from typing import Any

from rich.table import Table

from xnovu.cli.console import COLORS, err, out
from xnovu.compose.kit import postgres_store
from xnovu.compose.settings import load

PRIVATE = ("payload", "overrides", "recipients")
"""Shown only on request: whoever looks at an operator's screen is not their recipient."""

FIRST = ("id", "notification_status", "enterprise_id", "notification_workflow_id", "transaction_id")


async def tell(notification: int, *, as_json: bool, private: bool) -> int:
    """Print it; the exit code is 1 if there is none."""
    store = postgres_store(load(), "show")
    await store.open()
    try:
        history = await store.history(notification)
    finally:
        await store.close()
    if history is None:
        err.print(f"no notification {notification} in notify.ent_notification")
        return 1
    history = {**history, "notification": _shown(history["notification"], private=private)}
    if as_json:
        out.print_json(json.dumps(history, default=str))
    else:
        _print(history)
    return 0


def _shown(row: Mapping[str, Any], *, private: bool) -> Mapping[str, Any]:
    """The row without what is private, and how much of it there is."""
    if private:
        return row
    hidden = {name: _size(row[name]) for name in PRIVATE if row.get(name) is not None}
    return {**row, **hidden}


def _size(value: Any) -> str:
    return f"({len(value)}, hidden: --payload shows them)"


def _print(history: Mapping[str, Any]) -> None:
    row = history["notification"]
    fields = Table.grid(padding=(0, 2))
    for name in (*FIRST, *(name for name in row if name not in FIRST)):
        if row.get(name) not in (None, [], {}):
            fields.add_row(f"[dim]{name}[/]", _text(name, row[name]))
    out.print(fields)
    out.print(_workflow(history["workflow"]))
    out.print(_transitions(history["audit"]))


def _text(name: str, value: Any) -> str:
    if name == "notification_status":
        return f"[{COLORS.get(value, 'white')}]{value}[/]"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _workflow(workflow: Mapping[str, Any] | None) -> str:
    if workflow is None:
        return "\n[red]its workflow is not registered for this enterprise[/]"
    state = "[red]deactivated[/]" if workflow.get("deactivated") else "active"
    return f"\nworkflow {workflow['workflow_key']} ({state})"


def _transitions(audit: list[Mapping[str, Any]]) -> Table:
    table = Table("at", "from", "to", "generation", "claims", "by", "details", box=None)
    for line in audit:
        table.add_row(
            str(line["at"]),
            line["from_status"],
            line["to_status"],
            str(line["generation"]),
            str(line["claims"]),
            line["actor"],
            json.dumps(line["details"]) if line["details"] else "",
        )
    return table
