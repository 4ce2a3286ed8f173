"""What enterprises may have: shown, and changed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import typer

from xnovu.cli.console import err, out, print_json, print_table
from xnovu.cli.operate.operator import operator
from xnovu.compose.kit import opened_store
from xnovu.compose.settings import load
from xnovu.desk import Desk, Limits, Search
from xnovu.errors import ConfigurationError, Permanent

HEAVIEST = 1000
"""The largest weight, as the database has it."""
NUMBERS = ("weight", "at once", "per second", "priority")
HEAD = ("enterprise", "workflow", *NUMBERS, "recipients", "overrides")


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
        print_json([asdict(line) for line in lines])
    elif lines:
        print_table(HEAD, map(_row, lines))
    else:
        out.print("no limits: every enterprise has weight 1, and as much as can be sent")


def _row(line: Limits) -> Sequence[str]:
    numbers = (line.weight, line.concurrency, line.rate, line.priority)
    cells = ["" if number is None else f"{number:g}" for number in numbers]
    recipients = f"{line.recipient_prefix}…" if line.recipient_prefix else ""
    return line.enterprise_id, line.workflow_key or "", *cells, recipients, _keys(line)


async def change(
    enterprise: str,
    changes: Mapping[str, Any],
    workflow: str | None,
    who: str | None,
    *,
    as_json: bool = False,
) -> int:
    """
    Change them, and note it in the audit; the exit code is 1 if there is no such workflow.

    An enterprise of which no workflow is registered may be yet to come: that is said, and done.
    """
    async with opened_store(load(), "limits") as store:
        await _require_an_id(store, enterprise)
        known = bool(await store.registered(enterprise))
        if not await store.limit(enterprise, changes, workflow):
            err.print(
                f"enterprise {enterprise} has no workflow {workflow}: see `xnovu workflows check`"
            )
            return 1
        told = {"enterprise_id": enterprise, "workflow_key": workflow, "changes": dict(changes)}
        await store.note_operation(operator(who), "limits", 1, told)
    if not known:
        err.print(f"no workflow is registered for enterprise {enterprise}: is its id right?")
    if as_json:
        print_json({**told, "known": known})
    else:
        out.print("changed; it holds from the next claim on")
    return 0


async def _require_an_id(desk: Desk, enterprise: str) -> None:
    """Raises ConfigurationError for what the table's own type can have for no enterprise."""
    try:
        await desk.failed(Search(enterprise_id=enterprise), 1)
    except Permanent as error:
        raise ConfigurationError(f"{enterprise!r} can be no enterprise's id: {error}") from None


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
