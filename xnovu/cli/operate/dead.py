"""Dead letters: what there is, what one says, send again, throw away."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich.table import Table
from rich.text import Text

from xnovu.cli.console import err, out
from xnovu.cli.operate.letters import Letter, Wanted, archive, letters
from xnovu.cli.operate.operator import agreed, operator
from xnovu.compose.kit import opened_store
from xnovu.compose.settings import load
from xnovu.errors import ConfigurationError
from xnovu.events import Rejected
from xnovu.sql.store import SqlStore

MOST = 100_000
"""Letters at the most in one go."""


async def tell_all(wanted: Wanted, *, as_json: bool, each: bool) -> None:
    """Print the wanted letters, grouped by error, or one by one."""
    async with archive(load()) as streams:
        found = await letters(streams, wanted, MOST)
    if as_json:
        out.print_json(json.dumps([_told(letter) for letter in found], default=str))
    elif not found:
        out.print("no dead letters")
    else:
        out.print(_list(found) if each else _groups(found))


async def tell_one(number: int, *, as_json: bool, private: bool) -> int:
    """Print one letter whole; the exit code is 1 if there is none of that number."""
    async with archive(load()) as streams:
        found = await letters(streams, Wanted(numbers=(number,)), 1)
    if not found:
        err.print(f"no dead letter {number}; `xnovu dead list --each` shows which there are")
        return 1
    told = _told(found[0]) | {"original": _original(found[0].rejected, private=private)}
    if as_json:
        out.print_json(json.dumps(told, default=str))
    else:
        _print(told)
    return 0


async def redrive(
    wanted: Wanted, payload: Mapping[str, Any] | None, *, yes: bool, who: str | None
) -> int:
    """Send the rows of these letters again, if need be with another payload; a dry run first."""
    settings = load()
    async with archive(settings) as streams:
        found = await letters(streams, wanted, MOST)
        if payload is not None and len({letter.rejected.key for letter in found}) > 1:
            raise ConfigurationError("--payload is for one notification: name its dead letter")
        out.print(_groups(found) if found else "no dead letters")
        if not found or not agreed(f"send these {len(found)} again?", yes=yes):
            return 0
        async with opened_store(settings, "dead") as store:
            deed = _Deed(store, operator(who), wanted)
            sent = await deed.send_again(found, payload)
        # Only now: what a crash leaves here is asked again, and then no longer FAILED.
        await streams.remove(Rejected.kind, [letter.number for letter in found])
    out.print(f"sent again: {sent}; no longer failed, so left alone: {len(found) - sent}")
    return 0


async def discard(wanted: Wanted, reason: str, *, yes: bool, who: str | None) -> int:
    """Throw the wanted letters away; their rows stay FAILED. A dry run first."""
    settings = load()
    async with archive(settings) as streams:
        found = await letters(streams, wanted, MOST)
        out.print(_groups(found) if found else "no dead letters")
        if not found or not agreed(f"throw these {len(found)} away?", yes=yes):
            return 0
        async with opened_store(settings, "dead") as store:
            details = {**wanted.told(), "reason": reason}
            await store.note_operation(operator(who), "dead discard", len(found), details)
        removed = await streams.remove(Rejected.kind, [letter.number for letter in found])
    out.print(f"thrown away: {removed}")
    return 0


@dataclass(frozen=True, slots=True)
class _Deed:
    """Sending again, and its line in the audit."""

    store: SqlStore
    who: str
    wanted: Wanted

    async def send_again(self, found: Sequence[Letter], payload: Mapping[str, Any] | None) -> int:
        named = (letter.rejected for letter in found if not letter.rejected.nameless)
        keys = list(dict.fromkeys(rejected.key for rejected in named))
        payloads = {} if payload is None else dict.fromkeys(keys, payload)
        sent = await self.store.redrive(keys, who=self.who, payloads=payloads)
        details = {**self.wanted.told(), "edited": payload is not None}
        await self.store.note_operation(self.who, "dead redrive", len(sent), details)
        return len(sent)


def _groups(found: Sequence[Letter]) -> Table:
    table = Table("stage", "code", "count", "first", "last", "example", box=None)
    ordered = sorted(found, key=_group)
    for (stage, code), group in groupby(ordered, key=_group):
        same = sorted(group, key=lambda letter: letter.at)
        first, last = same[0], same[-1]
        table.add_row(
            stage,
            Text(code, "red"),
            str(len(same)),
            f"{first.at:%Y-%m-%d %H:%M:%S}",
            f"{last.at:%Y-%m-%d %H:%M:%S}",
            f"{last.number}: {last.rejected.failure.message}",
        )
    return table


def _group(letter: Letter) -> tuple[str, str]:
    return letter.rejected.failure.stage, letter.rejected.failure.code


def _list(found: Sequence[Letter]) -> Table:
    table = Table("number", "at", "stage", "code", "enterprise", "notification", "why", box=None)
    for letter in found:
        rejected, failure = letter.rejected, letter.rejected.failure
        table.add_row(
            str(letter.number),
            f"{letter.at:%Y-%m-%d %H:%M:%S}",
            failure.stage,
            Text(failure.code, "red"),
            rejected.enterprise_id,
            "" if rejected.nameless else str(rejected.notification_id),
            failure.message,
        )
    return table


def _told(letter: Letter) -> dict[str, Any]:
    """Everything but the original, which may hold what is private."""
    fields = letter.rejected.model_dump(mode="json", exclude={"original"})
    return {"number": letter.number, "dead_since": letter.at.isoformat(), **fields}


def _original(rejected: Rejected, *, private: bool) -> Any:
    """The message that was given up: its names only, unless more was asked for."""
    if rejected.original is None:
        return "not kept: it was too large"
    if not private:
        return f"{len(rejected.original)} characters, hidden: --payload shows them"
    try:
        return json.loads(rejected.original)
    except ValueError:
        return rejected.original


def _print(told: Mapping[str, Any]) -> None:
    fields = Table.grid(padding=(0, 2))
    for name, value in told.items():
        text = value if isinstance(value, str) else json.dumps(value, indent=2, default=str)
        fields.add_row(Text(name, "dim"), text)
    out.print(fields)
