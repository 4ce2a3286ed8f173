"""The command `xnovu-bench`, run as ``./run bench``."""

import asyncio
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
    seeds: Annotated[str, typer.Option(help="Numbers and ranges, such as 1,16,100-200.")] = "1-5",
    log: Annotated[
        Path | None,
        typer.Option(help="Gets a line of JSON for each seed; those it has are not run again."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many run at once.")] = 1,
    schedule: Annotated[bool, typer.Option("--schedule", help="Print it, run nothing.")] = False,
) -> None:
    """Run whole installations under random faults; exit code 1 if a ledger is not clean."""
    from bench.chaos.plan import plan
    from bench.chaos.report import summary
    from bench.chaos.run import run_seeds
    from bench.chaos.run import schedule as shown

    chosen = _numbers(seeds)
    if schedule or len(chosen) == 1:
        print("\n".join(shown(plan(seed)) for seed in chosen), flush=True)
    if schedule:
        return
    results = asyncio.run(run_seeds(chosen, log, jobs))
    print(summary(results))
    sys.exit(not all(result.clean for result in results))


def _numbers(ranges: str) -> list[int]:
    """What such a text names, each once, in order."""
    numbers: set[int] = set()
    for each in ranges.split(","):
        first, _, last = each.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return sorted(numbers)


@cli.command()
def killed(rows: Annotated[int, typer.Option(min=10)] = 20_000) -> None:
    """Kill all workers in the middle of a backlog; exit code 1 if the ledger is not clean."""
    from bench.killed import run

    result = asyncio.run(run(rows))
    print(result.told())
    sys.exit(not result.found.clean)


@cli.command("chaos-table")
def chaos_table(
    logs: Annotated[list[Path], typer.Argument(exists=True, help="What --log has written.")],
) -> None:
    """Print one table of several runs; exit code 1 if a ledger was not clean."""
    from bench.chaos.report import summary
    from bench.chaos.run import read

    results = [result for log in logs for result in read(log)]
    print(summary(results))
    sys.exit(not all(result.clean for result in results))


if __name__ == "__main__":
    cli()
