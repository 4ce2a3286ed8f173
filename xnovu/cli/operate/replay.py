"""Replays a subject, into the stage that consumes it or into a consumer of one's own."""

import asyncio
import signal
from dataclasses import asdict, dataclass

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from xnovu.adapters.nats.archive import Selection
from xnovu.adapters.nats.replay import Replay, Target
from xnovu.adapters.nats.visit import visiting
from xnovu.cli.console import err, out
from xnovu.cli.operate.operator import agreed, operator
from xnovu.cli.run import PARTS
from xnovu.compose.kit import nats_access, opened_store
from xnovu.compose.settings import Settings, load
from xnovu.errors import ConfigurationError
from xnovu.events import KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted(Selection):
    """What to replay, where to, and how fast (messages a second; 0: as fast as it is taken)."""

    to: str | None = None
    rate: float = 0.0

    def told(self) -> dict[str, object]:
        """How they were chosen, for the audit."""
        return {name: str(value) for name, value in asdict(self).items() if value}


async def replay(wanted: Wanted, *, yes: bool, who: str | None) -> int:
    """Show how many, ask, hand over; the exit code is 130 if it was stopped before its end."""
    settings = load()
    target = Target(subject=wanted.to) if wanted.to else Target(stage=consumer_of(wanted.kind))
    async with visiting(nats_access(settings)) as client:
        run = Replay(client, settings.transport, target, wanted.rate)
        count = await run.count(wanted)
        where = target.subject or f"stage {target.stage}"
        out.print(f"{count} messages of {settings.transport.prefix}.{wanted.kind} for {where}")
        if not count or not agreed(f"replay these {count}?", yes=yes):
            return 0
        done = await _with_progress(run, wanted, count)
    await _note(settings, wanted, done, operator(who))
    out.print(f"replayed: {done}")
    if run.stopping.is_set() and done < count:
        err.print(f"stopped; go on with the same command and --seq {run.last + 1}")
        return 130
    return 0


def consumer_of(kind: str) -> str:
    """
    The stage that consumes what is published on this subject.

    Raises:
        ConfigurationError: there is no such subject, or no stage that consumes it.
    """
    if kind not in KINDS:
        raise ConfigurationError(f"no subject {kind!r}; there are {', '.join(KINDS)}")
    for part in PARTS.values():
        if kind in part.kinds and not part.from_table:
            return part.name
    raise ConfigurationError(f"no stage consumes {kind!r}: say --to SUBJECT")


async def _with_progress(run: Replay, wanted: Wanted, count: int) -> int:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, run.stopping.set)
    columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        task = progress.add_task("replaying", total=count)
        return await run.run(wanted, lambda done: progress.update(task, completed=done))


async def _note(settings: Settings, wanted: Wanted, done: int, who: str) -> None:
    async with opened_store(settings, "replay") as store:
        await store.note_operation(who, "replay", done, wanted.told())
