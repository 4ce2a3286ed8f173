"""Dead letters: what there is, what one says, send again, throw away."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich.text import Text

from xnovu.archive import Archive
from xnovu.cli.console import Cell, err, out, print_json, print_table, progress
from xnovu.cli.operate.letters import Letter, Wanted, archive, letters
from xnovu.cli.operate.operator import agreed, operator
from xnovu.cli.run import BESIDE
from xnovu.compose.kit import opened_store
from xnovu.compose.settings import Settings, load
from xnovu.compose.variables import did_you_mean
from xnovu.errors import ConfigurationError
from xnovu.events import Rejected
from xnovu.sql.store import SqlStore

MOST = 100_000
"""Letters at the most in one go."""
PAGE = 1000
"""Rows sent again at once."""
GROUPS = ("stage", "code", "count", "first", "last", "example")
EACH = ("number", "at", "stage", "code", "enterprise", "notification", "why")


async def tell_all(wanted: Wanted, *, as_json: bool, each: bool) -> None:
    """Print the wanted letters, grouped by error, or one by one."""
    require_stage(wanted.stage)
    found = await _found(load(), wanted, MOST)
    if as_json:
        print_json([_told(letter) for letter in found])
    elif each and found:
        print_table(EACH, _list(found))
    else:
        _show(found)


async def tell_one(number: int, *, as_json: bool, private: bool) -> int:
    """Print one letter whole; the exit code is 1 if there is none of that number."""
    found = await _found(load(), Wanted(numbers=(number,)), 1)
    if not found:
        err.print(f"no dead letter {number}; `xnovu dead list --each` shows which there are")
        return 1
    told = _told(found[0]) | {"original": _original(found[0].rejected, private=private)}
    if as_json:
        print_json(told)
    else:
        print_table((), [(Text(name, "dim"), _plain(value)) for name, value in told.items()])
    return 0


async def redrive(
    wanted: Wanted,
    payload: Mapping[str, Any] | None,
    *,
    yes: bool,
    who: str | None,
    as_json: bool = False,
) -> int:
    """Send the rows of these letters again, if need be with another payload; a dry run first."""
    require_stage(wanted.stage)
    settings = load()
    async with archive(settings) as streams:
        found = await letters(streams, wanted, MOST)
        if payload is not None and len({letter.rejected.key for letter in found}) > 1:
            raise ConfigurationError("--payload is for one notification: name its dead letter")
        if not as_json:
            _show(found)
        told = {"letters": len(found), "sent_again": 0, "left_alone": 0}
        if found and agreed(f"send these {len(found):,} again?", yes=yes):
            async with opened_store(settings, "dead") as store:
                deed = _Deed(store, operator(who), wanted)
                sent = await deed.send_again(found, payload)
            # Only now: what a crash leaves here is asked again, and then no longer FAILED.
            await _removed(streams, found)
            told |= {"sent_again": sent, "left_alone": len(found) - sent}
            if not as_json:
                left = f"no longer failed, so left alone: {len(found) - sent}"
                out.print(f"sent again: {sent}; {left}")
    if as_json:
        print_json(told)
    return 0


async def discard(
    wanted: Wanted, reason: str, *, yes: bool, who: str | None, as_json: bool = False
) -> int:
    """Throw the wanted letters away; their rows stay FAILED. A dry run first."""
    require_stage(wanted.stage)
    settings = load()
    async with archive(settings) as streams:
        found = await letters(streams, wanted, MOST)
        if not as_json:
            _show(found)
        told = {"letters": len(found), "thrown_away": 0}
        if found and agreed(f"throw these {len(found):,} away?", yes=yes):
            async with opened_store(settings, "dead") as store:
                details = {**wanted.told(), "reason": reason}
                await store.note_operation(operator(who), "dead discard", len(found), details)
            told["thrown_away"] = await _removed(streams, found)
            if not as_json:
                out.print(f"thrown away: {told['thrown_away']}")
    if as_json:
        print_json(told)
    return 0


def require_stage(stage: str | None) -> None:
    """Raises ConfigurationError for a name of which there can be no dead letters."""
    settings = load()
    known = (*settings.pipeline.stages, *BESIDE, *settings.consumers)
    if stage is not None and stage not in known:
        raise ConfigurationError(
            f"no stage {stage!r}{did_you_mean(stage, known)}; there are {', '.join(known)}"
            " (a consumer of your own: name it in [consumers.<name>])"
        )


async def _found(settings: Settings, wanted: Wanted, most: int) -> Sequence[Letter]:
    async with archive(settings) as streams:
        return await letters(streams, wanted, most)


async def _removed(streams: Archive, found: Sequence[Letter]) -> int:
    with progress("taking letters out", len(found)) as tell:
        return await streams.remove(Rejected.kind, [letter.number for letter in found], tell)


@dataclass(frozen=True, slots=True)
class _Deed:
    """Sending again, and its line in the audit."""

    store: SqlStore
    who: str
    wanted: Wanted

    async def send_again(self, found: Sequence[Letter], payload: Mapping[str, Any] | None) -> int:
        named = (letter.rejected for letter in found if not letter.rejected.nameless)
        keys, sent = list(dict.fromkeys(rejected.key for rejected in named)), 0
        payloads = {} if payload is None else dict.fromkeys(keys, payload)
        with progress("sending again", len(keys)) as tell:
            for at in range(0, len(keys), PAGE):
                part = keys[at : at + PAGE]
                sent += len(await self.store.redrive(part, who=self.who, payloads=payloads))
                tell(at + len(part))
        details = {**self.wanted.told(), "edited": payload is not None}
        await self.store.note_operation(self.who, "dead redrive", sent, details)
        return sent


def _show(found: Sequence[Letter]) -> None:
    if found:
        print_table(GROUPS, _groups(found))
    else:
        out.print("no dead letters")


def _groups(found: Sequence[Letter]) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for (stage, code), group in groupby(sorted(found, key=_group), key=_group):
        same = sorted(group, key=lambda letter: letter.at)
        first, last = same[0], same[-1]
        example = f"{last.number}: {last.rejected.failure.message}"
        rows.append((stage, Text(code, "red"), f"{len(same):,}", _at(first), _at(last), example))
    return rows


def _group(letter: Letter) -> tuple[str, str]:
    return letter.rejected.failure.stage, letter.rejected.failure.code


def _at(letter: Letter) -> str:
    return f"{letter.at:%Y-%m-%d %H:%M:%S}"


def _list(found: Sequence[Letter]) -> list[tuple[Cell, ...]]:
    return [
        (
            str(letter.number),
            _at(letter),
            letter.rejected.failure.stage,
            Text(letter.rejected.failure.code, "red"),
            letter.rejected.enterprise_id,
            "" if letter.rejected.nameless else str(letter.rejected.notification_id),
            letter.rejected.failure.message,
        )
        for letter in found
    ]


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


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, default=str)
