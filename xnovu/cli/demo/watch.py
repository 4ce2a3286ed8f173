"""Inserts the demo's rows and shows how they fare."""

import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from rich.live import Live
from rich.table import Table
from rich.text import Text

from xnovu.cli.console import COLORS, out
from xnovu.cli.demo.scenario import Scenario, sql
from xnovu.events import Status

Database = psycopg.Connection[Any]

LOOK_EVERY = 0.25
LOOKS = 2
"""Between two bursts."""

PATIENCE = 60.0
"""Seconds after the last insert until whatever has not ended is given up."""

BAR = 40
SPAN = 3.0
"""Seconds over which the rate is measured: the rows come in bursts."""


@dataclass(frozen=True, slots=True)
class Look:
    """How many rows there are of each status, so many seconds after the first insert."""

    counts: dict[str, int]
    seconds: float

    @property
    def ended(self) -> int:
        return sum(self.counts.get(s, 0) for s in (Status.SENT, Status.FAILED, Status.RETRACTED))


def watch(database: Database, scenario: Scenario, *, plain: bool) -> None:
    """Insert burst by burst, and look on until all have ended."""
    bursts, before, looks = scenario.bursts(), Look({}, 0.0), deque([Look({}, 0.0)])
    began = last = time.monotonic()
    with _display(plain=plain or not out.is_terminal) as tell:
        while before.ended < scenario.rows and time.monotonic() - last < PATIENCE:
            if burst := next(bursts, None):
                _insert(database, burst)
                last = time.monotonic()
            for _ in range(LOOKS):
                look = _look(database, began)
                before = look
                tell(look, measured(looks, look), scenario.rows)
                time.sleep(LOOK_EVERY)


def _insert(database: Database, burst: list[tuple[Any, ...]]) -> None:
    with database.cursor() as cursor, cursor.copy(sql("insert")) as copy:
        for row in burst:
            copy.write_row(row)


def _look(database: Database, began: float) -> Look:
    counts = database.execute(sql("progress")).fetchall()
    return Look(dict(counts), time.monotonic() - began)


def measured(looks: deque[Look], look: Look) -> float:
    """Rows that ended per second, over the last SPAN seconds or as long as there is."""
    looks.append(look)
    while len(looks) > 2 and look.seconds - looks[1].seconds >= SPAN:
        looks.popleft()
    first = looks[0]
    return (look.ended - first.ended) / max(look.seconds - first.seconds, 0.001)


Tell = Callable[[Look, float, int], None]


@contextmanager
def _display(*, plain: bool) -> Generator[Tell]:
    if plain:
        yield lambda look, rate, rows: out.print(_line(look, rate, rows))
        return
    with Live(console=out, transient=True, refresh_per_second=8) as live:
        yield lambda look, rate, rows: live.update(_picture(look, rate, rows))


def _line(look: Look, rate: float, rows: int) -> str:
    counts = "  ".join(f"{status} {look.counts.get(status, 0):>5}" for status in Status)
    return f"{look.seconds:5.1f} s  {counts}  {rate:6.0f}/s  of {rows}"


def _picture(look: Look, rate: float, rows: int) -> Table:
    table = Table.grid(padding=(0, 2))
    for status in Status:
        count = look.counts.get(status, 0)
        bar = "█" * round(BAR * count / rows)
        table.add_row(status.value, f"{count:>6}", Text(bar, COLORS[status]))
    speed = f"of {rows}, {rate:.0f}/s"
    table.add_row(Text("ended", "dim"), f"{look.ended:>6}", speed)
    return table
