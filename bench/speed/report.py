"""All trials of speed in one run, as a page and a plot."""

import asyncio
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from bench.speed import trials
from bench.speed.goals import Idle
from bench.speed.jobs import BURST, Backlog, Latency
from bench.speed.plot import plot
from bench.speed.trials import Found

DOCS = Path(__file__).parents[2] / "docs"
PAGE = Path(__file__).with_name("page.md")


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    rounds: int
    backlog: int
    growth: int
    seconds: float
    large: int
    huge: int


WHOLE = Size(rounds=3, backlog=20_000, growth=20_000, seconds=6.0, large=980_000, huge=1_000_000)
QUICK = Size(rounds=1, backlog=1000, growth=8000, seconds=3.0, large=20_000, huge=20_000)
PACE = 500


async def write(*, quick: bool) -> None:
    """Measure, and write what was found over what stands there."""
    size = QUICK if quick else WHOLE
    backlogs = await trials.backlogs(size.backlog, size.rounds)
    page = Template(await asyncio.to_thread(PAGE.read_text))
    told = page.substitute(
        _around(size),
        **_of_backlogs(backlogs),
        **await _paced(size),
        **await _growth(size),
        **await _fair(size),
    )
    await asyncio.to_thread((DOCS / "performance.md").write_text, told)
    await asyncio.to_thread(plot, backlogs, DOCS / "performance.svg")


def _around(size: Size) -> Mapping[str, str]:
    cores = f"{os.cpu_count()} cores of {platform.machine()}"
    return {
        "machine": f"{cores}, {platform.system()}, Python {platform.python_version()}.",
        "rounds": str(size.rounds),
        "backlog_rows": f"{size.backlog:,}",
        "pace": str(PACE),
    }


def _of_backlogs(found: Mapping[str, Sequence[Backlog]]) -> Mapping[str, str]:
    said = "The other job queues are not installed here."
    if peers := [name for name in found if name not in ("XNovu", "limit")]:
        best = max(peers, key=lambda name: _median([one.rate for one in found[name]]))
        rate = _ratio([one.rate for one in found["XNovu"]], [one.rate for one in found[best]])
        cpu = _ratio([one.cpu for one in found["XNovu"]], [one.cpu for one in found[best]])
        said = (
            f"XNovu does {rate:.1f} times what the fastest of the others does ({best}), at"
            f" {cpu:.2f} of its CPU for a row."
        )
    return {"backlog": trials.of_backlogs(found), "backlog_said": said}


async def _paced(size: Size) -> Mapping[str, str]:
    found: Mapping[str, Sequence[Latency]] = await trials.paces(PACE, size.seconds, size.rounds)
    p50 = _ratio([one.p50 for one in found["XNovu"]], [one.p50 for one in found["limit"]])
    p99 = _ratio([one.p99 for one in found["XNovu"]], [one.p99 for one in found["limit"]])
    said = f"Of XNovu, the median is {p50:.1f} times the limit program's, p99 {p99:.1f} times."
    return {"paced": trials.of_latencies(found), "paced_said": said}


async def _growth(size: Size) -> Mapping[str, str]:
    enterprises = await trials.enterprises(size.growth, size.rounds)
    large = await trials.large_tables(size.growth, size.large, size.rounds)
    parts, nothing, phases = await trials.others(2 * size.growth, 2 * size.seconds, size.growth)
    return {
        "enterprises": trials.of_backlogs(enterprises),
        "large": trials.of_backlogs(large),
        "memory": trials.of_memory(await trials.memory(size.huge)),
        "scaling": trials.of_rates(await trials.scaling(round(80 * size.seconds), size.rounds)),
        "limits": trials.of_limits(await trials.limits(3.5 * size.seconds)),
        "slow_seconds": f"{3.5 * size.seconds * trials.SLOW_LONGER:.0f}",
        "phases": trials.of_phases(phases),
        "shares": ", ".join(f"{part:.1%}".replace("%", " %") for part in parts),
        **_of_idle(nothing),
    }


def _of_idle(nothing: Idle) -> Mapping[str, str]:
    return {
        "idle": f"{nothing.workers + nothing.postgres + nothing.nats:.1f}",
        "idle_workers": f"{nothing.workers:.1f}",
        "idle_postgres": f"{nothing.postgres:.1f}",
        "idle_nats": f"{nothing.nats:.1f}",
    }


async def _fair(size: Size) -> Mapping[str, str]:
    seconds, rounds = 2.5 * size.seconds, 2 * size.rounds - 1
    rows = round(5000 * (seconds + 5))
    limited = await trials.fairness(rows, seconds, rounds, 600)
    over = await trials.overtaking(rows, seconds, None)
    over_limited = await trials.overtaking(rows, seconds, 600)
    return {
        "fair_samples": f"{seconds / BURST:.0f}",
        "fair_rounds": str(rounds),
        "fair_limited": trials.of_latencies(limited),
        "fair_said": _times_alone(limited),
        "fair_cpu": trials.of_latencies(await trials.fairness(rows, seconds, size.rounds, None)),
        "unfair": trials.of_backlogs(await trials.cost_of_fairness(size.growth, size.rounds)),
        "overtaken": f"{rows:,}",
        "over": trials.of_latencies(
            {"Novu lets 600 a second through": [over_limited], "no limit but the cores": [over]}
        ),
    }


def _times_alone(found: Found) -> str:
    alone, beside = found.values()
    p99 = _ratio([one.p99 for one in beside], [one.p99 for one in alone])
    return f"Their p99 is {p99:.2f} times what it is alone."


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return _median(ours) / _median(theirs)


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)
