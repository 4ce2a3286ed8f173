"""Contenders in alternation, several rounds, and a table of them."""

import statistics
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from bench.speed import jobs
from bench.speed.contenders import Contender, Limit, Peer, XNovu, peers
from bench.speed.ground import Ground, ground

LATENCY = 0.02
"""Seconds that Novu takes for a request."""

Make = Callable[[Ground], Contender]
Found = Mapping[str, Sequence[Any]]


def contenders(only: Sequence[str] = ()) -> Mapping[str, Make]:
    """All that there are here, or those that are named."""
    others = {name: partial(Peer, module=module) for name, module in peers().items()}
    known: dict[str, Make] = {"XNovu": XNovu, "limit": Limit, **others}
    return {name: known[name] for name in only or known}


async def backlog(rows: int, rounds: int, only: Sequence[str]) -> str:
    """Rows/s and CPU seconds per 1,000 rows."""
    found = await _rounds(rounds, only, lambda around, one: jobs.backlog(around, one, rows))
    lines = ["| | rows/s | CPU s per 1,000 rows | MB at most |", "|---|---|---|---|"]
    for name, results in found.items():
        rates, cpu = [one.rate for one in results], [one.cpu for one in results]
        memory = max(one.memory for one in results)
        lines.append(f"| {name} | {_range(rates, 0)} | {_range(cpu, 2)} | {memory:.0f} |")
    return "\n".join(lines)


async def paced(rate: int, seconds: float, rounds: int, only: Sequence[str]) -> str:
    """Milliseconds from insert to SENT."""
    found = await _rounds(rounds, only, lambda around, one: jobs.paced(around, one, rate, seconds))
    return _latencies(found)


async def fair(rows: int, seconds: float, rounds: int, rate: float | None) -> str:
    """The same for one enterprise alone, and while another has a backlog."""
    found: dict[str, list[Any]] = {"alone": [], f"beside {rows:,} rows of another": []}
    async with ground(LATENCY, rate) as around:
        for _ in range(rounds):
            for name, many in zip(found, (0, rows), strict=True):
                found[name].append(await jobs.beside(around, XNovu(around), many, seconds))
    return _latencies(found)


async def _rounds(
    rounds: int, only: Sequence[str], job: Callable[[Ground, Contender], Awaitable[Any]]
) -> dict[str, list[Any]]:
    chosen = contenders(only)
    found: dict[str, list[Any]] = {name: [] for name in chosen}
    async with ground(LATENCY) as around:
        for _ in range(rounds):
            for name, make in chosen.items():
                print(f"{name} ...", file=sys.stderr, flush=True)
                found[name].append(await job(around, make(around)))
    return found


def _latencies(found: Found) -> str:
    lines = ["| | p50 ms | p99 ms |", "|---|---|---|"]
    for name, results in found.items():
        p50, p99 = [one.p50 for one in results], [one.p99 for one in results]
        lines.append(f"| {name} | {_range(p50, 0)} | {_range(p99, 0)} |")
    return "\n".join(lines)


def _range(values: Sequence[float], digits: int) -> str:
    """The median, and from the least to the most."""
    median = statistics.median(values)
    if len(values) == 1:
        return f"{median:,.{digits}f}"
    return f"{median:,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"
