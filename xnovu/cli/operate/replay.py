"""Replays a subject, into the stage that consumes it or into a consumer of one's own."""

import asyncio
import signal
from dataclasses import asdict, dataclass

from xnovu.archive import Mailboxes, Replay, Selection, Target
from xnovu.cli.console import err, out, print_json, progress
from xnovu.cli.operate.operator import agreed, operator
from xnovu.compose.kit import opened_store
from xnovu.compose.operating import archives
from xnovu.compose.pipeline import Pipeline
from xnovu.compose.settings import Settings, load
from xnovu.compose.variables import did_you_mean
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


async def replay(wanted: Wanted, *, yes: bool, who: str | None, as_json: bool = False) -> int:
    """Show how many, ask, hand over; the exit code is 130 if it was stopped before its end."""
    settings = load()
    require_kind(wanted.kind)
    async with archives(settings) as kept:
        target = await _target(kept.mailboxes, kept.prefix, settings.pipeline, wanted)
        run = kept.replay(target, wanted.rate)
        count = await run.count(wanted)
        told = {"messages": count, "to": str(target), "replayed": 0}
        if not as_json:
            prefix = f"{kept.prefix}." if kept.prefix else ""
            out.print(f"{count} messages of {prefix}{wanted.kind} for {target}")
        if count and agreed(f"replay these {count:,}?", yes=yes):
            told["replayed"] = await _with_progress(run, wanted, count)
            if not as_json:
                out.print(f"replayed: {told['replayed']}")
    if done := told["replayed"]:
        await _note(settings, wanted, int(done), operator(who))
    if stopped := run.stopping.is_set() and int(told["replayed"]) < count:
        told["go_on_from"] = run.last + 1
        err.print(f"stopped; go on with the same command and --seq {run.last + 1}")
    if as_json:
        print_json(told)
    return 130 if stopped else 0


def require_kind(kind: str) -> None:
    """Raises ConfigurationError where there is no such subject."""
    if kind not in KINDS:
        raise ConfigurationError(
            f"no subject {kind!r}{did_you_mean(kind, KINDS)}; there are {', '.join(KINDS)}"
        )


async def _target(
    mailboxes: Mailboxes, prefix: str | None, pipeline: Pipeline, wanted: Wanted
) -> Target:
    """
    Where it goes: to the stage that reads the subject, to a consumer, or to a subject of one's own.

    Raises:
        ConfigurationError: nobody can read it there.
    """
    if wanted.to and "." in wanted.to:
        return Target(subject=subject_of_ones_own(wanted.to, prefix))
    stages = [name for name, kinds in pipeline.reads.items() if wanted.kind in kinds]
    found = [each for each in await mailboxes.all() if wanted.kind in each.kinds]
    name = wanted.to or next(iter(stages), None)
    if name in (*stages, *(each.name for each in found)):
        return Target(stage=name, beside=name not in stages)
    readers = list(dict.fromkeys((*stages, *(each.name for each in found))))
    read_by = f"it is read by {', '.join(readers) or 'nobody'}"
    if not name:
        raise ConfigurationError(
            f"no stage reads {wanted.kind!r}: say --to CONSUMER, by its name ({read_by}), or"
            " --to SUBJECT, such as rebuild.status"
        )
    raise ConfigurationError(
        f"no stage or consumer {name!r} reads {wanted.kind!r}{did_you_mean(name, readers)};"
        f" {read_by}. A subject of your own has a dot in it, such as rebuild.status"
    )


def subject_of_ones_own(subject: str, prefix: str | None) -> str:
    """
    A subject that a replay may be published to.

    Raises:
        ConfigurationError: it is malformed, has wildcards, or is the server's or the pipeline's.
    """
    tokens = subject.split(".")
    if not all(token and token.isprintable() and " " not in token for token in tokens):
        raise ConfigurationError(f"--to {subject!r} is no subject: words with dots between")
    if {"*", ">"} & set(subject):
        raise ConfigurationError(f"--to {subject!r} has wildcards: a message has one subject")
    if subject.startswith(("$", "_")):
        raise ConfigurationError(f"--to {subject!r} is the server's own")
    if tokens[0] == prefix:
        raise ConfigurationError(
            f"--to {subject!r} is the pipeline's own: all its readers would get them again; name"
            " the stage or consumer that is to have them"
        )
    return subject


async def _with_progress(run: Replay, wanted: Wanted, count: int) -> int:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, run.stopping.set)
    with progress("replaying", count) as tell:
        return await run.run(wanted, tell)


async def _note(settings: Settings, wanted: Wanted, done: int, who: str) -> None:
    async with opened_store(settings, "replay") as store:
        await store.note_operation(who, "replay", done, wanted.told())
