"""One run for each seed, and a table of them all."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import psycopg

from bench.chaos.people import People
from bench.chaos.plan import Plan, plan
from bench.chaos.trouble import Trouble
from bench.chaos.verdict import OPEN, ROWS, Ledger, ledger
from bench.chaos.world import Servers, World, servers, world

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

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.stuck or self.wrong or self.crashed)


async def run_seeds(seeds: Sequence[int], log: Path | None, *, verbose: bool) -> list[Result]:
    """Run them one after the other on the same servers; ``log`` gets a line of JSON for each."""
    results: list[Result] = []
    async with servers() as shared:
        for seed in seeds:
            result = await _run(shared, plan(seed), verbose=verbose)
            results.append(result)
            print(told(result), flush=True)
            if log:
                with log.open("a") as file:
                    file.write(json.dumps(asdict(result)) + "\n")
            if not result.clean:
                print(f"          the stages' log: {_kept(shared, seed)}", flush=True)
    return results


def _kept(shared: Servers, seed: int) -> Path:
    kept = Path(f"chaos-{seed}.log").absolute()
    kept.write_bytes((shared.folder / f"chaos{seed}.log").read_bytes())
    return kept


async def _run(shared: Servers, plan: Plan, *, verbose: bool) -> Result:
    if verbose:
        print(schedule(plan), flush=True)
    async with world(shared, f"chaos{plan.seed}", plan.processes) as around:
        people, trouble = People(around, plan, Random(plan.seed)), Trouble(around)
        await people.prepare()
        await asyncio.to_thread(around.fleet.provision)
        around.fleet.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(people.insert_all())
            group.create_task(trouble.strike_all(plan.strikes))
        crashed = await trouble.mend()
        await people.send_again()
        recovered = await _all_ended(people)
        rows = await people.do(ROWS)
        found = ledger(rows, people.wanted, around.novu)
        around.fleet.stop()
    _forget(around)
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
        f" all ended {result.recovered:.1f} s after the last fault"
    )
    bad = [*result.lost, *result.doubled, *result.stuck, *result.wrong]
    if result.crashed:
        bad.append(f"{result.crashed} stages had ended by themselves")
    return "\n".join((line, *(f"          {each}" for each in bad[:10])))
