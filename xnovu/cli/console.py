"""
Where commands print: results to standard output, everything else to standard error.

Nothing that identifies is ever cut: only the last column of a table is folded, between words, and
only where somebody's screen says how wide it is.
"""

import json
import os
import textwrap
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

out = Console(highlight=False, soft_wrap=True, markup=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)

COLORS = {
    "PENDING": "yellow",
    "PROCESSING": "cyan",
    "SENT": "green",
    "FAILED": "red",
    "RETRACTED": "magenta",
}
"""How each status is shown."""
BETWEEN = "  "
NARROWEST = 20
"""Columns that a last cell gets at least, before it is folded."""
EVERY = 5.0
"""Seconds between two lines of progress where no terminal shows it."""

Cell = str | Text
Tell = Callable[[int], None]


def colored(status: str) -> Text:
    """A status in its color."""
    return Text(status, COLORS.get(status, ""))


def print_json(told: Any) -> None:
    """Print what a command has to say as JSON: one document, the only thing on this stream."""
    out.print(json.dumps(told, indent=2, default=str, ensure_ascii=False))


def print_table(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Print lines in columns; no head: no head."""
    lines = [*([[Text(name, "bold") for name in head]] if head else []), *map(list, rows)]
    cells = [[_text(cell) for cell in line] for line in lines]
    if not cells:
        return
    widths = [max(len(line[n]) for line in cells) for n in range(len(cells[0]) - 1)]
    for line in cells:
        _print_line(line, widths)


@contextmanager
def progress(what: str, total: int) -> Generator[Tell]:
    """Show how much is done: a bar on a terminal, else a line now and then."""
    if not err.is_terminal:
        yield _seldom(what, total)
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True) as shown:
        task = shown.add_task(what, total=total)
        yield lambda done: shown.update(task, completed=done)


def _seldom(what: str, total: int) -> Tell:
    last = time.monotonic()

    def tell(done: int) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            err.print(f"{what}: {done:,} of {total:,}")

    return tell


def _text(cell: Cell) -> Text:
    return cell if isinstance(cell, Text) else Text(cell)


def _print_line(line: Sequence[Text], widths: Sequence[int]) -> None:
    *first, last = line
    start = Text()
    for cell, width in zip(first, widths, strict=True):
        start.append_text(cell).append(" " * (width - len(cell)) + BETWEEN)
    indent = len(start)
    folded = _folded(last.plain, indent)
    whole = Text.assemble(start, (folded[0], last.style))
    whole.rstrip()
    out.print(whole)
    for more in folded[1:]:
        out.print(Text(" " * indent + more, last.style))


def _folded(text: str, indent: int) -> list[str]:
    """A cell's lines: its own, and on a screen these folded between words."""
    lines = text.splitlines() or [""]
    if not (out.is_terminal or os.environ.get("COLUMNS")):
        return lines
    room = max(out.width - indent, NARROWEST)
    return [part for line in lines for part in _wrapped(line, room)]


def _wrapped(line: str, room: int) -> list[str]:
    indent = " " * (len(line) - len(line.lstrip()))
    folded = textwrap.wrap(
        line,
        max(room, len(indent) + NARROWEST),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return folded or [""]
