"""
The stages die, or are cut off, at any passage of their work: every row still ends as it has to.

A run in which nothing happens tells the passages; then each case is a run of its own, in which one
thing is done at one of them. By default that is a slice: the first passage of every kind, in every
stage, and every second of them where something was done before. ``--exhaustive`` is all that can be
done at each.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.faults.sabotage.installation import Ground, Installation, installed, prepared
from tests.faults.sabotage.job import WAVES
from tests.faults.sabotage.saboteur import Deed, How, When
from tests.faults.sabotage.verdict import Ends, complaints, standing, unfinished, unsettled

AT_ONCE = 16
LOOK_EVERY = 0.1
WITHIN = 90.0

SHOWS_IN = 0.3
"""Seconds until Novu shows what it has accepted: less than it is given, more than nothing."""

KINDS = {
    "ingest": {"claim", "claim_retractions", "untold", "publish ingest", "publish retract"},
    "hydrate": {"load_rows", "publish hydrate", "publish dead", "ack ingest", "term ingest"},
    "trigger": {
        *("begin_send", "end_send", "POST /events/trigger", "GET /notifications"),
        *("publish trigger", "publish dead", "publish retry.at"),
        *("ack hydrate", "term hydrate", "ack retry.due"),
    },
    "status": {"record", "publish status", "ack trigger", "ack dead"},
    "retract": {
        *("begin_retraction", "record_retractions", "publish status", "ack retract"),
        *("DELETE /events/trigger", "GET /notifications", "DELETE /messages/transaction"),
    },
}
"""All that a stage does beyond its process."""

FIRST = {
    "trigger: POST /events/trigger 1 #1": ("trigger",),
    "retract: DELETE /events/trigger 6 #1": ("retract",),
    "ingest: claim 1 #1": tuple(KINDS),
}
"""Upon these there is the most to be found out, in the stages that surely do it only then."""


@pytest.fixture
async def ground(postgres_server, nats_server, tmp_path: Path) -> AsyncIterator[Ground]:
    async with prepared(postgres_server, nats_server, tmp_path) as ground:
        yield ground


@pytest.fixture
def exhaustive(pytestconfig: pytest.Config) -> bool:
    return pytestconfig.getoption("exhaustive")


async def done(here: Installation) -> None:
    """The whole job, by one process after the other if need be."""
    here.begin()
    for wave in WAVES:
        here.begin_wave(wave)

        async def over(ends: Ends = wave.ends) -> bool:
            await here.look_after()
            return not (unfinished(standing(here), ends) or await unsettled(here))

        await eventually(over, WITHIN, LOOK_EVERY)


async def outcome(ground: Ground, deeds: Sequence[Deed]) -> list[str]:
    """What there is to complain of after these deeds."""
    async with installed(ground, deeds, fan_out_delay=SHOWS_IN) as here:
        try:
            await done(here)
        except (AssertionError, RuntimeError) as problem:
            return [str(problem), *await complaints(here), here.last_words()]
        return await complaints(here)


async def outcomes(ground: Ground, cases: Iterable[Sequence[Deed]]) -> dict[str, list[str]]:
    """What there is to complain of, by what was done; several are under way at a time."""
    left, found = iter(cases), dict[str, list[str]]()

    async def work() -> None:
        for deeds in left:
            if complaint := await outcome(ground, deeds):
                found[", ".join(map(str, deeds))] = complaint

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    return found


async def passages(ground: Ground, *first: Deed) -> list[str]:
    """Those of a run in which nothing is done, or of what follows upon the first deed."""
    async with installed(ground, first) as here:
        await done(here)
        assert not await complaints(here)
        return here.passages()


def deeds_at(passage: str) -> Iterator[Deed]:
    """All that can be done there; of what the database was asked, none is lost without a word."""
    for how in (How.KILL, How.CUT):
        for when in When:
            yield Deed(passage=passage, when=when, how=how)
    if can_be_lost(passage):
        yield Deed(passage=passage, when=When.BEFORE, how=How.LOSE)


def slice_of(every: Sequence[str]) -> Iterator[Deed]:
    """At the first passage of each kind: it happens and nobody learns of it, or does not happen."""
    for passage in {kind(passage): passage for passage in reversed(every)}.values():
        yield Deed(passage=passage, when=When.AFTER, how=How.KILL)
        yield Deed(passage=passage, when=When.AFTER, how=How.CUT)
        missing = How.LOSE if can_be_lost(passage) else How.CUT
        yield Deed(passage=passage, when=When.BEFORE, how=missing)


def all_of(every: Sequence[str]) -> Iterator[Deed]:
    for passage in every:
        yield from deeds_at(passage)


def kind(passage: str) -> tuple[str, str]:
    """Its stage, and what it is, whatever it is about."""
    stage, _, what = passage.partition(": ")
    return stage, what.rsplit(" ", 2)[0]


def tally(deeds: Sequence[Deed]) -> str:
    """How often what was done, and in which stage; ``-rP`` shows it."""
    counts = (Counter(kind(each.passage)[0] for each in deeds), Counter(each.how for each in deeds))
    return "; ".join(", ".join(f"{n} {what}" for what, n in sorted(c.items())) for c in counts)


def can_be_lost(passage: str) -> bool:
    """Whether it is a request or a message, and no call of a function of the database."""
    return " " in kind(passage)[1]


async def test_one_deed_anywhere(ground: Ground, exhaustive: bool):
    every = await passages(ground)
    assert {kind(passage) for passage in every} == {(s, what) for s in KINDS for what in KINDS[s]}
    deeds = list(all_of(every) if exhaustive else slice_of(every))
    assert await outcomes(ground, ([deed] for deed in deeds)) == {}
    sys.stdout.write(f"{len(every)} passages; {tally(deeds)}\n")


@pytest.mark.parametrize("first", [How.KILL, How.CUT])
async def test_another_one_while_it_recovers(ground: Ground, exhaustive: bool, first: How):
    for passage in FIRST if exhaustive else list(FIRST)[:1]:
        deed = Deed(passage=passage, when=When.AFTER, how=first)
        then = [one for one in await passages(ground, deed) if kind(one)[0] in FIRST[passage]]
        others = list(all_of(then)) if exhaustive else list(slice_of(then))[::2]
        assert await outcomes(ground, ([deed, other] for other in others)) == {}
        sys.stdout.write(f"after {deed}: {len(then)} passages; {tally(others)}\n")
