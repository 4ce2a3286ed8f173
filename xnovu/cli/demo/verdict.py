"""What became of every row of the demo, and whether that is right."""

from collections import Counter
from typing import Any
from uuid import UUID

import psycopg
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from xnovu.cli.console import COLORS, out
from xnovu.cli.demo import novu
from xnovu.cli.demo.scenario import (
    CASES,
    ENTERPRISES,
    RECIPIENTS_OF_MANY,
    Scenario,
    enterprise_id,
    sql,
)
from xnovu.events import Status

Database = psycopg.Connection[Any]
Ended = dict[tuple[str, str], dict[tuple[str, str], int]]
"""How many rows of each enterprise and case ended with which status and error code."""

_ORDER = (Status.SENT, Status.FAILED, Status.RETRACTED, Status.PENDING, Status.PROCESSING)


def judge(database: Database, scenario: Scenario, novu_url: str) -> bool:
    """Print the table and the speed; True if every row ended as it must, and just once."""
    names: dict[UUID, str] = {enterprise_id(name): name for name in ENTERPRISES}
    ended: Ended = {}
    early = False
    for enterprise, case, status, code, count, too_early in database.execute(sql("ended")):
        ended.setdefault((names[enterprise], case), {})[status, code] = count
        early |= too_early
    faults = [*_wrong(scenario, ended), *_doubled(scenario, novu.ledger(novu_url))]
    if early:
        faults.append("a scheduled notification was sent too early")
    out.print(_table(ended))
    _print_speed(database)
    for fault in faults:
        out.print(fault, style="red")
    if not faults:
        right = f"all {scenario.rows} notifications ended as they must; none sent twice"
        out.print(right, style="green")
    return not faults


def _wrong(scenario: Scenario, ended: Ended) -> list[str]:
    right = {case.name: (case.ends.value, case.code) for case in CASES}
    return [
        f"{name}, {case}: expected {count} of {_told(right[case])}, found {_all_told(found)}"
        for (name, case), count in scenario.expected().items()
        if (found := ended.get((name, case), {})) != {right[case]: count}
    ]


def _doubled(scenario: Scenario, ledger: dict[str, Any]) -> list[str]:
    calls = {case.name: -(-case.recipients // 100) for case in CASES if case.ends is Status.SENT}
    expected = sum(n * calls.get(case, 0) for (_, case), n in scenario.expected().items())
    accepted, doubled = ledger["totals"]["accepted"], len(ledger["doubled"])
    faults = [f"{doubled} notifications reached somebody twice"] if doubled else []
    if accepted != expected:
        faults.append(f"Novu accepted {accepted} calls instead of {expected}")
    return faults


def _table(ended: Ended) -> Table:
    """What became of them as rows, the enterprises as columns: that fits 80 columns."""
    title = "what became of them"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("")
    for name in (*ENTERPRISES, "all"):
        table.add_column(name, justify="right")
    counts = _by_end(ended)
    for end, of_each in sorted(counts.items(), key=lambda item: _ORDER.index(item[0][0])):
        table.add_row(*_row(end, of_each))
    return table


def _by_end(ended: Ended) -> dict[tuple[str, str], Counter[str]]:
    """How many of each enterprise ended in each way."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for (name, _), found in sorted(ended.items()):
        for end, count in sorted(found.items()):
            counts.setdefault(end, Counter())[name] += count
    return counts


def _row(end: tuple[str, str], of_each: Counter[str]) -> list[str | Text]:
    status, code = end
    label = Text(code or status, COLORS[status])
    return [label, *(str(of_each[name] or "") for name in ENTERPRISES), str(of_each.total())]


def _print_speed(database: Database) -> None:
    found = database.execute(sql("speed")).fetchone()
    if not found or not found[0]:
        return
    count, seconds, (p50, p99) = found
    out.print(
        f"throughput  {count / float(seconds):.0f} sent a second, as they were inserted\n"
        f"latency     from insert to SENT: p50 {p50:.0f} ms, p99 {p99:.0f} ms\n"
        f"({count} that were due at once; to {RECIPIENTS_OF_MANY} people: three calls each)"
    )


def _told(end: tuple[str, str]) -> str:
    return " ".join(filter(None, end))


def _all_told(found: dict[tuple[str, str], int]) -> str:
    return ", ".join(f"{count} of {_told(end)}" for end, count in found.items()) or "none"
