"""The command `xnovu-bench`, run as ``./run bench``."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

cli = typer.Typer(name="xnovu-bench", help="Trials of the whole system.", no_args_is_help=True)


def _smoke(asked: bool) -> None:
    """What the trials of speed do, small, without the peers: that all work is done once."""
    if not asked:
        return
    from bench.speed import trials

    ours = ("XNovu", "limit")
    print(trials.of_backlogs(asyncio.run(trials.backlogs(300, 1, ours))))
    print(trials.of_latencies(asyncio.run(trials.paces(50, 2.0, 1, ours))))
    print(trials.of_latencies(asyncio.run(trials.fairness(4000, 1.0, 1, None))))
    _, _, phases = asyncio.run(trials.others(1200, 0.5, 300))
    print(trials.of_phases(phases))
    raise typer.Exit


Smoke = Annotated[
    bool,
    typer.Option("--smoke", callback=_smoke, is_eager=True, help="Small: is all work done once?"),
]


@cli.callback()
def main(*, smoke: Smoke = False) -> None:
    """Trials of the whole system."""
    del smoke  # done by now


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
    from bench.chaos.world import transport

    chosen = _numbers(seeds)
    if schedule or len(chosen) == 1:
        print("\n".join(shown(plan(seed, transport())) for seed in chosen), flush=True)
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


Rounds = Annotated[int, typer.Option(min=1, help="How often each has its turn.")]
Only = Annotated[list[str] | None, typer.Option("--only", help="Not all contenders, but this one.")]


@cli.command()
def backlog(
    rows: Annotated[int, typer.Option(min=100)] = 20_000, rounds: Rounds = 3, only: Only = None
) -> None:
    """How fast a backlog is worked off, by XNovu and by the limit program."""
    from bench.speed import trials

    print(trials.of_backlogs(asyncio.run(trials.backlogs(rows, rounds, only or ()))))


@cli.command()
def paced(
    rate: Annotated[int, typer.Option(min=10, help="Rows a second.")] = 500,
    seconds: Annotated[float, typer.Option(min=1)] = 20.0,
    rounds: Rounds = 3,
    only: Only = None,
) -> None:
    """How soon rows are sent that come at a steady pace, likewise."""
    from bench.speed import trials

    print(trials.of_latencies(asyncio.run(trials.paces(rate, seconds, rounds, only or ()))))


@cli.command()
def fair(
    rows: Annotated[int, typer.Option(min=100, help="The backlog.")] = 100_000,
    seconds: Annotated[float, typer.Option(min=1)] = 10.0,
    rounds: Rounds = 3,
    rate: Annotated[float | None, typer.Option(help="Novu's limit, in tokens a second.")] = None,
) -> None:
    """How soon light enterprises' rows are sent while another has a backlog, and alone."""
    from bench.speed import trials

    print(trials.of_latencies(asyncio.run(trials.fairness(rows, seconds, rounds, rate))))


@cli.command("all")
def everything(
    quick: Annotated[bool, typer.Option("--quick", help="A look at it: small, one round.")] = False,
) -> None:
    """Every trial of speed, one after the other; writes docs/performance.md and its plot."""
    from bench.speed.report import write

    asyncio.run(write(quick=quick))


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
