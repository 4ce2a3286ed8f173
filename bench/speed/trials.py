"""Contenders in alternation, several rounds, and tables of them."""

import statistics
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from bench.speed import goals, jobs
from bench.speed.breakdown import PHASES, breakdown
from bench.speed.contenders import Contender, Limit, Peer, XNovu, peers
from bench.speed.ground import Ground, ground

SLOW = 0.2
"""Seconds that a slow Novu takes for a request."""

SLOW_LONGER = 6
"""So much longer a run at a small limit is, in which a bulk more or less is not to count."""

Make = Callable[[Ground], Contender]
Found = Mapping[str, Sequence[Any]]


def contenders(only: Sequence[str] = ()) -> Mapping[str, Make]:
    """All that there are here, or those that are named."""
    others = {name: partial(Peer, module=module) for name, module in peers().items()}
    known: dict[str, Make] = {"XNovu": XNovu, "limit": Limit, **others}
    return {name: known[name] for name in only or known}


async def backlogs(rows: int, rounds: int, only: Sequence[str] = ()) -> Found:
    """A backlog, by each contender."""
    return await _by_each(rounds, only, lambda around, one: jobs.backlog(around, one, rows))


async def paces(rate: int, seconds: float, rounds: int, only: Sequence[str] = ()) -> Found:
    """A steady pace, likewise."""
    return await _by_each(rounds, only, lambda around, one: jobs.paced(around, one, rate, seconds))


async def fairness(rows: int, seconds: float, rounds: int, rate: float | None) -> Found:
    """Light enterprises' rows alone, and while another has a backlog."""
    burst = _burst(rate)
    cases = {"alone": 0, f"beside {rows:,} rows of another": rows}
    async with ground(rate=rate) as around:
        return await _in_turns(
            rounds,
            {
                name: partial(_beside, around, many, seconds, burst if many else 0)
                for name, many in cases.items()
            },
        )


def _burst(rate: float | None) -> int:
    """What a limit lets through at once, and what goes out meanwhile."""
    return round(9 * rate) if rate else 0


async def _beside(around: Ground, rows: int, seconds: float, burst: int) -> jobs.Latency:
    return await jobs.beside(XNovu(around), rows, seconds, burst)


async def enterprises(rows: int, rounds: int) -> Found:
    """The same backlog of one enterprise, of a hundred, and of ten thousand."""
    async with ground() as around:
        return await _in_turns(
            rounds,
            {
                f"{count:,} enterprises": partial(_backlog, around, XNovu, rows, count)
                for count in (1, 100, 10_000)
            },
        )


async def large_tables(rows: int, settled: int, rounds: int) -> Found:
    """The same backlog in an empty table, and in one that is full of what was sent."""
    async with ground() as around:
        return await _in_turns(
            rounds,
            {
                f"beside {count:,} SENT rows": partial(_backlog, around, XNovu, rows, 6, count)
                for count in (0, settled)
            },
        )


async def cost_of_fairness(rows: int, rounds: int) -> Found:
    """A backlog by turns, and first come, first served."""
    async with ground() as around:
        kinds: Mapping[str, Make] = {"by turns": XNovu, "first come, first served": goals.Unfair}
        return await _in_turns(
            rounds, {name: partial(_backlog, around, make, rows) for name, make in kinds.items()}
        )


async def _backlog(
    around: Ground, make: Make, rows: int, count: int = 6, settled: int = 0
) -> jobs.Backlog:
    return await jobs.backlog(around, make(around), rows, count, settled)


async def scaling(rows: int, rounds: int) -> Found:
    """Rows a second of one, two and four trigger processes, where Novu is slow."""
    async with ground(SLOW) as around:
        return await _in_turns(
            rounds,
            {f"{n} trigger": partial(goals.scaled, around, n, rows * n) for n in (1, 2, 4)},
        )


async def limits(seconds: float) -> Mapping[str, goals.Used]:
    """How much of Novu's limit one trigger process uses, and three do; ``seconds`` at the large."""
    found: dict[str, goals.Used] = {}
    for rate, times in {60: SLOW_LONGER, 600: 1}.items():
        for count in (1, 3):
            async with ground(rate=rate) as around:  # else Novu's burst were spent already
                name = f"{count} trigger, {rate} tokens/s"
                _tell(name)
                found[name] = await goals.limited(around, count, rate, times * seconds)
    return found


async def overtaking(rows: int, seconds: float, rate: float | None) -> jobs.Latency:
    """Rows of high priority in front of their own enterprise's backlog."""
    async with ground(rate=rate) as around:
        return await goals.overtaking(XNovu(around), rows, seconds, _burst(rate))


async def memory(rows: int) -> Mapping[str, Sequence[float]]:
    """MB of each stage, with few rows waiting and with so many."""
    found: dict[str, Sequence[float]] = {}
    async with ground() as around:
        for many in (rows // 50, rows):
            _tell(f"{many:,} rows waiting")
            found[f"{many:,}"] = await goals.memory(XNovu(around), many, rows // 100)
    return found


async def others(
    rows: int, seconds: float, messages: int
) -> tuple[Sequence[float], goals.Idle, dict[str, dict[str, float]]]:
    """Shares by weight, what idling costs, and where the time of a message goes."""
    async with ground() as around:
        _tell("weights")
        parts = await goals.shares(XNovu(around), (1, 2, 4), rows)
        _tell("idle")
        nothing = await goals.idle(XNovu(around), seconds)
    async with ground(0.0) as around:
        _tell("stage by stage")
        return parts, nothing, await breakdown(around, messages)


async def _by_each(
    rounds: int, only: Sequence[str], job: Callable[[Ground, Contender], Awaitable[Any]]
) -> Found:
    async with ground() as around:

        def one(make: Make) -> Callable[[], Awaitable[Any]]:
            return lambda: job(around, make(around))

        return await _in_turns(rounds, {n: one(make) for n, make in contenders(only).items()})


async def _in_turns(rounds: int, works: Mapping[str, Callable[[], Awaitable[Any]]]) -> Found:
    found: dict[str, list[Any]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            _tell(name)
            found[name].append(await work())
    return found


def _tell(name: str) -> None:
    print(f"{name} ...", file=sys.stderr, flush=True)


def of_backlogs(found: Found) -> str:
    """Rows/s and CPU seconds per 1,000 rows."""
    lines = ["| | rows/s | CPU s per 1,000 rows | MB at most |", "|---|---|---|---|"]
    for name, results in found.items():
        rates, cpu = [one.rate for one in results], [one.cpu for one in results]
        memory = max(one.memory for one in results)
        lines.append(f"| {name} | {spread(rates, 0)} | {spread(cpu, 2)} | {memory:.0f} |")
    return "\n".join(lines)


def of_latencies(found: Found) -> str:
    """Milliseconds from insert to SENT."""
    lines = ["| | p50 ms | p99 ms |", "|---|---|---|"]
    for name, results in found.items():
        p50, p99 = [one.p50 for one in results], [one.p99 for one in results]
        lines.append(f"| {name} | {spread(p50, 0)} | {spread(p99, 0)} |")
    return "\n".join(lines)


def of_rates(found: Found) -> str:
    """Rows/s, and how often that is the first one's."""
    first = statistics.median(next(iter(found.values())))
    lines = ["| | rows/s | ratio |", "|---|---|---|"]
    for name, rates in found.items():
        lines.append(f"| {name} | {spread(rates, 0)} | {statistics.median(rates) / first:.2f} |")
    return "\n".join(lines)


def of_limits(found: Mapping[str, goals.Used]) -> str:
    """The part of the tokens that was used, and refusals."""
    lines = ["| | used | refused (429) |", "|---|---|---|"]
    lines += [
        f"| {name} | {100 * used.part:.1f} % | {used.refused} |" for name, used in found.items()
    ]
    return "\n".join(lines)


def of_memory(found: Mapping[str, Sequence[float]]) -> str:
    """MB at most, by stage."""
    lines = ["| rows waiting | ingest | hydrate | trigger | status |", "|---|---|---|---|---|"]
    for name, stages in found.items():
        lines.append(f"| {name} | {' | '.join(f'{each:.0f}' for each in stages)} |")
    return "\n".join(lines)


def of_phases(spent: Mapping[str, Mapping[str, float]]) -> str:
    """Microseconds per message, by stage and phase."""
    lines = [f"| µs per message | {' | '.join(PHASES)} |", "|---" * (1 + len(PHASES)) + "|"]
    for stage, phases in spent.items():
        lines.append(f"| {stage} | {' | '.join(f'{phases[each]:.0f}' for each in PHASES)} |")
    return "\n".join(lines)


def spread(values: Sequence[float], digits: int) -> str:
    """The median, and from the least to the most."""
    median = statistics.median(values)
    if len(values) == 1:
        return f"{median:,.{digits}f}"
    return f"{median:,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"
