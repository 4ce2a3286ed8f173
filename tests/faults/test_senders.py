"""Two workers have one message in hand, and Novu does not show yet what it has accepted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from pipelines.hydrate import Hydrate
from pipelines.trigger import Trigger, build
from tests.conftest import eventually
from tests.integration.pipeline import World, brokerless
from xnovu.compose import Kit
from xnovu.envelope import Envelope
from xnovu.errors import Paused, Retryable
from xnovu.events import Hydrated
from xnovu.local.novu import Fault
from xnovu.policy import Done, Result
from xnovu.ports import Store

LONG = 60.0
"""Seconds that no test waits for."""


@dataclass
class Worker:
    """A trigger stage with a store and a client of its own."""

    stage: Trigger
    store: Store

    async def work(self, message: Envelope[Hydrated]) -> Result:
        [result] = await self.stage.handle([message])
        return result


@asynccontextmanager
async def worker(here: World) -> AsyncIterator[Worker]:
    kit = Kit(here.settings, "trigger")
    async with kit.stack:
        yield Worker(await build(kit), await kit.store())


@pytest.fixture
async def here(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with brokerless(database, monkeypatch) as around:
        slow = around.settings.provider.model_copy(update={"settle": LONG, "bulk": "never"})
        around.settings = around.settings.model_copy(update={"provider": slow})
        around.novu.change(fan_out_delay=LONG)
        yield around


@pytest.fixture
async def one(here: World) -> AsyncIterator[Worker]:
    async with worker(here) as opened:
        yield opened


@pytest.fixture
async def other(here: World) -> AsyncIterator[Worker]:
    async with worker(here) as opened:
        yield opened


async def message(here: World, store: Store, **columns: Any) -> Envelope[Hydrated]:
    """A row on its way to be sent; nobody knows if it was before."""
    here.insert(**columns)
    [claim] = await store.claim(1, LONG)
    [result] = await Hydrate(store).handle([Envelope(claim.captured)])
    assert isinstance(result, Done)
    [event] = result.events
    assert isinstance(event, Hydrated)
    return Envelope(event, redelivered=True)


def is_left_alone(result: Result) -> bool:
    assert isinstance(result, Retryable)
    assert (result.code, result.bounded) == ("being_sent", False)
    return (result.after or 0.0) > 0


async def test_only_one_of_two_at_once_sends(here: World, one: Worker, other: Worker):
    sent = await message(here, one.store)
    results = await asyncio.gather(*(each.work(sent) for each in (one, other, one, other)))
    accepted = [result for result in results if isinstance(result, Done)]
    assert len(accepted) == 1
    assert all(is_left_alone(result) for result in results if result not in accepted)
    assert here.novu.ledger.totals.asked == 1


async def test_who_comes_within_the_settle_time_does_not_send_it_again(
    here: World, one: Worker, other: Worker
):
    """Its answer is not told of yet: the one who sent it was killed, say."""
    sent = await message(here, one.store)
    assert isinstance(await one.work(sent), Done)
    assert is_left_alone(await other.work(sent))
    assert is_left_alone(await one.work(sent))
    assert here.novu.ledger.totals.asked == 1


async def test_what_a_killed_worker_had_taken_up_is_sent_when_his_time_is_over(
    here: World, one: Worker, other: Worker
):
    sent = await message(here, one.store)
    assert await one.store.still_wanted([sent.event.key], alone=LONG) == {sent.event.key}
    assert is_left_alone(await other.work(sent))
    await other.store.let_go([sent.event.key])  # as time does
    assert isinstance(await other.work(sent), Done)
    assert here.novu.ledger.totals.asked == 1


async def test_what_is_unclear_is_looked_up_by_whoever_comes_after_it_shows(
    here: World, one: Worker, other: Worker
):
    here.novu.change(fan_out_delay=0.0)
    here.novu.script(Fault("reset_after_accept", endpoint="trigger"))
    sent = await message(here, one.store)
    unclear = await one.work(sent)
    assert isinstance(unclear, Retryable)
    assert (unclear.code, unclear.after) == ("provider_unclear", LONG)
    assert is_left_alone(await other.work(sent))
    await eventually(lambda: here.novu.ledger.totals.fan_outs)
    await other.store.let_go([sent.event.key])
    assert isinstance(await other.work(sent), Done)
    assert here.novu.ledger.totals.asked == 1


async def test_what_was_surely_not_sent_anybody_may_send_at_once(
    here: World, one: Worker, other: Worker
):
    here.novu.script(Fault("503", endpoint="trigger", count=2))
    sent = await message(here, one.store)
    assert isinstance(await one.work(sent), Paused)
    assert isinstance(await one.work(sent), Paused)
    assert isinstance(await other.work(sent), Done)
    assert here.novu.ledger.totals.accepted == 1


async def test_of_one_sent_in_part_the_other_part_is_sent_alone(
    here: World, one: Worker, other: Worker
):
    here.novu.change(fan_out_delay=0.0)
    sent = await message(here, one.store, recipients=[uuid4() for _ in range(130)])
    here.novu.script(Fault("503", endpoint="trigger"))
    part = await one.work(sent)
    assert isinstance(part, Retryable)
    assert (part.bounded, part.after) == (False, LONG)
    assert is_left_alone(await other.work(sent))
    await eventually(lambda: here.novu.ledger.totals.fan_outs)
    await other.store.let_go([sent.event.key])
    assert isinstance(await other.work(sent), Done)
    assert here.novu.ledger.totals.accepted == 2
    assert here.novu.ledger.doubled() == []
