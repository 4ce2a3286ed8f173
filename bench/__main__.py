"""The command `xnovu-bench`, run as ``./run bench``."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

cli = typer.Typer(name="xnovu-bench", help="Trials of the whole system.", no_args_is_help=True)


@cli.callback()
def main() -> None:
    """Trials of the whole system."""


@cli.command()
def chaos(
    seeds: Annotated[str, typer.Option(help="One, or a range such as 1-200.")] = "1-5",
    log: Annotated[Path | None, typer.Option(help="Gets a line of JSON for each seed.")] = None,
    schedule: Annotated[bool, typer.Option("--schedule", help="Print it, run nothing.")] = False,
) -> None:
    """Run whole installations under random faults; exit code 1 if a ledger is not clean."""
    from bench.chaos.plan import plan
    from bench.chaos.report import summary
    from bench.chaos.run import run_seeds
    from bench.chaos.run import schedule as shown

    first, _, last = seeds.partition("-")
    chosen = range(int(first), int(last or first) + 1)
    if schedule:
        for seed in chosen:
            print(shown(plan(seed)))
        return
    results = asyncio.run(run_seeds(chosen, log, verbose=len(chosen) == 1))
    print(summary(results))
    sys.exit(not all(result.clean for result in results))


@cli.command()
def killed(rows: Annotated[int, typer.Option(min=10)] = 20_000) -> None:
    """Kill all workers in the middle of a backlog; exit code 1 if the ledger is not clean."""
    from bench.killed import run

    result = asyncio.run(run(rows))
    print(result.told())
    sys.exit(not result.found.clean)


@cli.command("chaos-table")
def chaos_table(
    logs: Annotated[list[Path], typer.Argument(help="What --log has written.")],
) -> None:
    """Print one table of several runs; exit code 1 if a ledger was not clean."""
    from bench.chaos.report import summary
    from bench.chaos.run import Result

    lines = [line for log in logs for line in log.read_text().splitlines()]
    results = [Result(**json.loads(line)) for line in lines]
    print(summary(results))
    sys.exit(not all(result.clean for result in results))


if __name__ == "__main__":
    cli()
