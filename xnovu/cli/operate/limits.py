"""What enterprises may have: shown, and changed."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import typer
from rich.table import Table

from xnovu.cli.console import err, out
from xnovu.cli.operate.operator import operator
from xnovu.compose.kit import opened_store
from xnovu.compose.settings import load
from xnovu.desk import Limits

HEAVIEST = 1000
"""The largest weight, as the database has it."""


def value_of(name: str, text: str) -> float | str | list[str] | None:
    """
    A value of an option; None for none.

    Raises BadParameter: it is not one.
    """
    match name:
        case _ if text == "none":
            return None
        case "recipient_prefix":
            return text or None
        case "overrides_allowed":
            return [key.strip() for key in text.split(",") if key.strip()]
        case _:
            return _number(name, text)


async def tell_all(enterprise: str | None, *, as_json: bool) -> None:
    """Print every limit there is."""
    async with opened_store(load(), "limits") as store:
        lines = await store.limits(enterprise)
    if as_json:
        out.print_json(json.dumps([asdict(line) for line in lines]))
        return
    if not lines:
        out.print("no limits: every enterprise has weight 1, and as much as can be sent")
        return
    columns = (
        "enterprise",
        "workflow",
        "weight",
        "at once",
        "per second",
        "priority",
        "recipients",
        "overrides",
    )
    table = Table(*columns, box=None, padding=(0, 2, 0, 0))
    for line in lines:
        numbers = (line.weight, line.concurrency, line.rate, line.priority)
        cells = ["" if number is None else f"{number:g}" for number in numbers]
        restricted = (f"{line.recipient_prefix}…" if line.recipient_prefix else "", _keys(line))
        table.add_row(line.enterprise_id, line.workflow_key or "", *cells, *restricted)
    out.print(table)


async def change(
    enterprise: str, changes: Mapping[str, Any], workflow: str | None, who: str | None
) -> int:
    """Change them, and note it in the audit; the exit code is 1 if there is no such workflow."""
    async with opened_store(load(), "limits") as store:
        if not await store.limit(enterprise, changes, workflow):
            err.print(
                f"enterprise {enterprise} has no workflow {workflow}: see `xnovu limits list`"
            )
            return 1
        told = {"enterprise_id": enterprise, "workflow_key": workflow, "changes": dict(changes)}
        await store.note_operation(operator(who), "limits", 1, told)
    out.print("changed; it holds from the next claim on")
    return 0


def _keys(line: Limits) -> str:
    """The keys that its overrides may have."""
    allowed = line.overrides_allowed
    return "" if allowed is None else ", ".join(allowed) or "none"


def _number(name: str, text: str) -> float:
    """A number of an option."""
    try:
        number = float(text) if name == "rate" else int(text)
    except ValueError:
        raise typer.BadParameter(f"--{name} takes a number, or none") from None
    if name != "priority" and not 0 < number < float("inf"):
        raise typer.BadParameter(f"--{name} must be above 0")
    if name == "weight" and number > HEAVIEST:
        raise typer.BadParameter(f"--weight is {HEAVIEST} at the most")
    return number
