"""
The REST API fails, or its key changes, while rows keep coming: each is sent, once, and in time.

All that came are SENT within WITHIN of the end: what is held is tried again within 0.2 s here (a
second for ingest, 15 for others by default), a call without an answer is given up after 5 s (15),
and what it has claimed is asked for by its token with the next one. Whatever else would bring a row
round in the end takes longer: the broker's redelivery 30 s, a claim that lapses 300 s.
"""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.conftest import eventually
from tests.supabase_pipeline import Installation, ever_paused, here, paused
from xnovu.connection import Link
from xnovu_local.supabase import Fault

__all__ = ["here"]

WITHIN = 20.0
FUNCTIONS = ("claim", "load_rows", "begin_send", "record")
TIMES = 3
FAULTS = (
    Fault("answer_lost"),
    Fault("answer_lost", status=504),
    Fault("away"),
    Fault("status", status=503),
    Fault("status", status=429),
)


async def all_is_well(here: Installation) -> None:
    """The fault is over, and no more rows come."""
    over = here.now()
    here.insert()
    await here.all_sent(WITHIN)
    assert here.last_sent() - over < timedelta(seconds=WITHIN)
    here.each_exactly_once()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.kind}-{fault.status}")
async def test_calls_that_fail(here: Installation, fault: Fault) -> None:
    """Three of each stage, one after the other."""
    async with here.at_work() as at_work:
        async with here.under_load():
            await here.goes_on()
            for function in FUNCTIONS:
                of_one = replace(fault, path=f"/rest/v1/rpc/{function}")
                here.supabase.faults.script(*[of_one] * TIMES)
            await eventually(lambda: at_work.table.trouble)
            struck = TIMES * len(FUNCTIONS)
            await eventually(lambda: here.supabase.faults.struck(fault.kind) == struck, within=30)
            await here.goes_on()
        await all_is_well(here)
        assert at_work.table.trouble is None


async def test_postgrest_dies_and_comes_back(here: Installation) -> None:
    async with here.at_work() as at_work:
        async with here.under_load():
            await here.goes_on()
            here.supabase.postgrest.kill()
            await eventually(lambda: "is not available (502)" in (at_work.table.trouble or ""))
            assert at_work.status["state"] is Link.CONNECTED, "Realtime is another server"
            await asyncio.to_thread(here.supabase.postgrest.start)
            await here.goes_on()
        await all_is_well(here)
        assert at_work.table.trouble is None


async def test_the_project_is_away_and_comes_back(here: Installation) -> None:
    async with here.at_work() as at_work:
        async with here.under_load():
            await here.goes_on()
            async with here.supabase.away():
                await eventually(lambda: "cannot be reached" in (at_work.table.trouble or ""))
                await at_work.told.down("cannot connect")
            await here.goes_on()
        await all_is_well(here)
        await at_work.told.connected(2, WITHIN)
        assert at_work.table.trouble is None


async def test_a_key_is_refused_until_it_is_replaced(here: Installation) -> None:
    here.novu.change(latency=0.2)  # something is on its way when it happens
    async with here.at_work() as at_work:
        async with here.under_load():
            await here.goes_on()
            await eventually(lambda: at_work.house.status()["in_hand"]["trigger"])
            here.supabase.keys.revoke(here.key_file.read_text())
            await eventually(lambda: "refuses the API key" in (at_work.table.trouble or ""))
            await eventually(lambda: paused(at_work.house) == {"store_auth"})
            here.key_file.write_text(here.supabase.keys.add("service_role"))
            await here.goes_on()
            await eventually(lambda: not paused(at_work.house))
        await all_is_well(here)
        await at_work.told.lost("key has changed")
        await at_work.told.connected(2, WITHIN)
        assert at_work.table.trouble is None


async def test_keys_that_are_replaced_before_they_are_revoked(here: Installation) -> None:
    """Nobody notices: what is under way on the old connections ends there."""
    async with here.at_work() as at_work:
        async with here.under_load():
            for times in (1, 2, 3):
                await here.goes_on()
                before = here.key_file.read_text()
                here.key_file.write_text(here.supabase.keys.add("service_role"))
                await at_work.told.connected(times + 1, WITHIN)
                here.supabase.keys.revoke(before)
            await here.goes_on()
        await all_is_well(here)
        assert set(at_work.told.diary.losses) == {"the project's URL or key has changed"}
        assert here.realtime.log.count("refused") == 0
        assert ever_paused(at_work.house) == set()
