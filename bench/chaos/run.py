"""One run for each seed, and a table of them all."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random

import psycopg

from bench.chaos.people import People
from bench.chaos.plan import Plan, plan
from bench.chaos.trouble import Trouble, wipe
from bench.chaos.verdict import OPEN, ROWS, Ledger, ledger
from bench.chaos.world import Servers, World, servers, transport, world

PATIENCE = 90.0
"""Seconds after everything was mended until whatever has not ended is stuck."""
LOOK_EVERY = 0.25


@dataclass(frozen=True, slots=True)
class Result:
    """How one seed went."""

    seed: int
    rows: int
    faults: dict[str, int]
    retracted: int
    redriven: int
    lost: list[str]
    doubled: list[str]
    stuck: list[str]
    wrong: list[str]
    repeats: int
    crashed: int
    recovered: float
    """Seconds from the mending to the last row's end."""
    seconds: float = 0.0
    """That it took altogether."""

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.stuck or self.wrong or self.crashed)


def read(log: Path) -> list[Result]:
    """What earlier runs have written."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [Result(**json.loads(line)) for line in lines]


async def run_seeds(seeds: Sequence[int], log: Path | None = None, jobs: int = 1) -> list[Result]:
    """
    Run each, ``jobs`` at once, each of these on servers of its own.

    ``log`` gets a line of JSON for each as it ends; what it has already is not run again.
    """
    known = {result.seed: result for result in (read(log) if log else ())}
    results = [known[seed] for seed in seeds if seed in known]
    waiting = [seed for seed in reversed(seeds) if seed not in known]
    async with AsyncExitStack() as stack:
        grounds = [await stack.enter_async_context(servers()) for _ in waiting[:jobs]]
        async with asyncio.TaskGroup() as group:
            for ground in grounds:
                group.create_task(_run_on(ground, waiting, results, log))
    return sorted(results, key=lambda result: result.seed)


async def _run_on(
    shared: Servers, waiting: list[int], results: list[Result], log: Path | None
) -> None:
    """One after the other, until nobody waits."""
    while waiting:
        seed, began = waiting.pop(), time.monotonic()
        result = await _run(shared, plan(seed, transport()))
        result = replace(result, seconds=round(time.monotonic() - began, 2))
        results.append(result)
        print(told(result), flush=True)
        if log:
            with log.open("a") as file:
                file.write(json.dumps(asdict(result)) + "\n")
        if not result.clean:
            print(f"          the stages' log: {_kept(shared, seed, log)}", flush=True)


def _kept(shared: Servers, seed: int, log: Path | None) -> Path:
    kept = (log.parent if log else Path()).absolute() / f"chaos-{seed}.log"
    kept.write_bytes((shared.folder / f"chaos{seed}.log").read_bytes())
    return kept


async def _run(shared: Servers, plan: Plan) -> Result:
    async with world(shared, f"chaos{plan.seed}", plan.processes) as around:
        people, trouble = People(around, plan, Random(plan.seed)), Trouble(around)
        await people.prepare()
        await asyncio.to_thread(around.fleet.provision)
        around.fleet.start()
        await around.fleet.started()
        async with asyncio.TaskGroup() as group:
            group.create_task(people.insert_all())
            group.create_task(trouble.strike_all(plan.strikes))
        crashed = await trouble.mend()
        await people.send_again()
        recovered = await _all_ended(people)
        rows = await people.do(ROWS)
        found = ledger(rows, people.wanted, around.novu)
        around.fleet.stop()
        await people.leave()
        await wipe(around)
    await asyncio.to_thread(_forget, around)
    return _result(plan, people, trouble, found, len(crashed), recovered)


def _result(
    plan: Plan, people: People, trouble: Trouble, found: Ledger, crashed: int, recovered: float
) -> Result:
    return Result(
        plan.seed,
        len(people.wanted),
        dict(Counter(trouble.struck)),
        people.retracted,
        people.redriven,
        found.lost,
        found.doubled,
        found.stuck,
        found.wrong,
        len(found.repeats),
        crashed,
        round(recovered, 2),
    )


async def _all_ended(people: People) -> float:
    """Wait until every row has come to its end, for so long as one may; says how long it took."""
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        await people.redrive()
        [(still_open,)] = await people.do(OPEN)
        if not still_open:
            break
        await asyncio.sleep(LOOK_EVERY)
    return time.monotonic() - began


def _forget(around: World) -> None:
    with psycopg.connect(around.servers.postgres.dsn, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {around.prefix} WITH (FORCE)")


def schedule(plan: Plan) -> str:
    """What is going to happen, for people."""
    together = " | ".join("+".join(names) for names in plan.processes)
    lines = [f"seed {plan.seed}: {plan.rows} rows; processes: {together}"]
    return "\n".join((*lines, *(f"  {strike}" for strike in plan.strikes)))


def told(result: Result) -> str:
    """A line for one seed, and what was wrong with it."""
    faults = sum(result.faults.values())
    counts = f"lost {len(result.lost)}, doubled {len(result.doubled)}, stuck {len(result.stuck)}"
    line = (
        f"seed {result.seed:>4}: {result.rows} rows, {faults} faults, {result.retracted} retracted,"
        f" {result.redriven} sent again; {counts}, wrong {len(result.wrong)};"
        f" all ended {result.recovered:.1f} s after the last fault, {result.seconds:.0f} s in all"
    )
    bad = [*result.lost, *result.doubled, *result.stuck, *result.wrong]
    if result.crashed:
        bad.append(f"{result.crashed} stages had ended by themselves")
    return "\n".join((line, *(f"          {each}" for each in bad[:10])))
