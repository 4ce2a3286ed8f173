"""What became of every row of the demo, and whether that is right."""

from typing import Any
from uuid import UUID

import psycopg
from rich.table import Table

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
        out.print(f"[red]{fault}[/]")
    if not faults:
        out.print(
            f"[green]all {scenario.rows} notifications ended as they must; none sent twice[/]"
        )
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
    table = Table("enterprise", "SENT", title="what became of them", title_justify="left")
    reasons = sorted({code for found in ended.values() for _, code in found if code})
    for reason in reasons:
        table.add_column(reason, justify="right")
    table.add_column("not ended", justify="right")
    for name in ENTERPRISES:
        table.add_row(name, *_row(name, reasons, ended))
    return table


def _row(name: str, reasons: list[str], ended: Ended) -> list[str]:
    counts: dict[tuple[str, str], int] = {}
    for (enterprise, _), found in ended.items():
        for end, count in found.items():
            if enterprise == name:
                counts[end] = counts.get(end, 0) + count
    over = {Status.SENT, Status.FAILED, Status.RETRACTED}
    waiting = sum(count for (status, _), count in counts.items() if status not in over)
    sent = counts.get((Status.SENT, ""), 0)
    failed = [counts.get((Status.FAILED, reason), 0) for reason in reasons]
    return [f"[{COLORS['SENT']}]{sent}[/]", *(str(n or "") for n in failed), str(waiting or "")]


def _print_speed(database: Database) -> None:
    found = database.execute(sql("speed")).fetchone()
    if not found or not found[0]:
        return
    count, seconds, (p50, p99) = found
    out.print(
        f"\n{count} sent at once, {count / float(seconds):.0f}/s as they came;"
        f" from insert to SENT: p50 {p50:.0f} ms, p99 {p99:.0f} ms"
        f"\n(those to {RECIPIENTS_OF_MANY} people were three calls to Novu each)"
    )


def _told(end: tuple[str, str]) -> str:
    return " ".join(filter(None, end))


def _all_told(found: dict[tuple[str, str], int]) -> str:
    return ", ".join(f"{count} of {_told(end)}" for end, count in found.items()) or "none"
