"""What enterprises may have: shown, and changed."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table

from xnovu.cli.console import err, out
from xnovu.cli.operate.operator import operator
from xnovu.compose.kit import opened_store
from xnovu.compose.settings import load


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
    columns = ("enterprise", "workflow", "weight", "at once", "per second", "priority")
    table = Table(*columns, box=None, padding=(0, 2, 0, 0))
    for line in lines:
        numbers = (line.weight, line.concurrency, line.rate, line.priority)
        cells = ["" if number is None else f"{number:g}" for number in numbers]
        table.add_row(line.enterprise_id, line.workflow_key or "", *cells)
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
