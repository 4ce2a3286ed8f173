"""Answers of Supabase's are lost, its servers die: no row is lost, and nothing is done twice."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import psycopg
import pytest

from tests.builders import recorded
from tests.conftest import eventually
from tests.integration.test_supabase_store import claim, in_work
from xnovu.adapters.supabase.options import SupabaseOptions
from xnovu.adapters.supabase.store import supabase_store
from xnovu.errors import Paused, Permanent
from xnovu.events import Key
from xnovu.sending import SendTimes
from xnovu.sql.store import SqlStore
from xnovu.store import Outcome
from xnovu.testing.contract.store_bench import ACME, FAILURE
from xnovu_local.supabase import Fault, RunningSupabase

LOST = [Fault("answer_lost"), Fault("answer_lost", status=502)]
AWAY = [Fault("away"), Fault("status", status=503)]


def fault_id(fault: Fault) -> str:
    return f"{fault.kind}-{fault.status or 'cut'}"


@pytest.fixture
async def store(supabase: RunningSupabase) -> AsyncIterator[SqlStore]:
    """With three notifications that are due."""
    store = supabase_store(lambda: supabase.url, lambda: supabase.service_key)
    await store.open()
    await store.insert([{"enterprise_id": ACME}] * 3)
    yield store
    await store.close()


def waits_for_lock(dsn: str) -> bool:
    with psycopg.connect(dsn) as connection:
        query = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return connection.execute(query).fetchone() is not None


@pytest.mark.parametrize("fault", LOST, ids=fault_id)
async def test_what_a_lost_answer_had_claimed_is_due_at_once(
    supabase: RunningSupabase, store: SqlStore, fault: Fault
) -> None:
    supabase.faults.script(fault)
    with pytest.raises(Paused) as lost:
        await claim(store, 2)
    assert lost.value.code == "store_unavailable"
    assert sorted(key.claims for key in await claim(store, 9)) == [1, 2, 2]
    assert await claim(store, 9) == []


async def test_a_claim_that_comes_late_is_due_again_as_well(
    supabase: RunningSupabase, store: SqlStore
) -> None:
    """It was given up while it was still under way."""
    with psycopg.connect(supabase.dsn) as other:
        other.execute("LOCK TABLE notify.ent_notification IN EXCLUSIVE MODE")
        claiming = asyncio.create_task(claim(store, 2))
        await eventually(lambda: waits_for_lock(supabase.dsn))
        claiming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await claiming
    await eventually(lambda: in_work(supabase.dsn) == 2)
    assert sorted(key.claims for key in await claim(store, 9)) == [1, 2, 2]


@pytest.mark.parametrize("fault", LOST, ids=fault_id)
async def test_what_was_done_without_an_answer_is_not_done_again(
    supabase: RunningSupabase, store: SqlStore, fault: Fault
) -> None:
    sent, failed, kept = await claim(store)
    outcomes = [Outcome(sent), Outcome(failed, FAILURE)]
    supabase.faults.script(fault)
    with pytest.raises(Paused):
        await recorded(store, outcomes)
    assert [change.key for change in await recorded(store, outcomes)] == [sent, failed]
    supabase.faults.script(fault)
    with pytest.raises(Paused):
        await store.redrive([failed])
    assert list(await store.redrive([failed])) == []
    supabase.faults.script(fault)
    with pytest.raises(Paused):
        await store.release([kept])
    await store.release([kept])
    supabase.faults.script(fault)
    with pytest.raises(Paused):
        await store.retract([sent])
    assert list(await store.retract([sent])) == []
    again = {key.notification_id: key for key in await claim(store, 9)}
    assert again.keys() == {failed.notification_id, kept.notification_id}
    assert again[failed.notification_id].generation == failed.generation + 1
    assert again[kept.notification_id].claims == 2


@pytest.mark.parametrize("fault", LOST, ids=fault_id)
async def test_an_insert_without_an_answer_says_that_it_may_have_been_done(
    supabase: RunningSupabase, store: SqlStore, fault: Fault
) -> None:
    supabase.faults.script(fault)
    with pytest.raises(Permanent, match="may have been inserted: look before") as lost:
        await store.insert([{"enterprise_id": ACME}])
    assert lost.value.code == "insert_unclear"
    assert len(await claim(store, 9)) == 4


async def test_an_insert_that_was_never_asked_for_may_be_repeated(
    supabase: RunningSupabase, store: SqlStore
) -> None:
    async with supabase.away():
        with pytest.raises(Paused):
            await store.next_due()  # on the connection that there was
        with pytest.raises(Paused, match="cannot be reached"):
            await store.insert([{"enterprise_id": ACME}])
    await store.insert([{"enterprise_id": ACME}])
    assert len(await claim(store, 9)) == 4


async def test_an_insert_in_parts_says_how_many_are_in(supabase: RunningSupabase) -> None:
    options = SupabaseOptions(max_rows=2)
    store = supabase_store(lambda: supabase.url, lambda: supabase.service_key, options)
    await store.open()
    try:
        supabase.faults.script(Fault("status", status=429, nth=2))
        with pytest.raises(Permanent, match="2 notifications were inserted, 2 the last") as cut:
            await store.insert([{"enterprise_id": ACME}] * 5)
        assert cut.value.code == "insert_unfinished"
        assert len(await store.insert([{"enterprise_id": ACME}] * 5)) == 5
    finally:
        await store.close()


@pytest.mark.parametrize("fault", AWAY, ids=fault_id)
async def test_what_was_not_done_is_done_when_asked_again(
    supabase: RunningSupabase, store: SqlStore, fault: Fault
) -> None:
    supabase.faults.script(fault)
    with pytest.raises(Paused):
        await claim(store)
    keys = await claim(store)
    supabase.faults.script(fault)
    with pytest.raises(Paused):
        await recorded(store, [Outcome(key) for key in keys])
    assert len(await recorded(store, [Outcome(key) for key in keys])) == 3


async def test_a_server_that_never_answers_pauses(supabase: RunningSupabase) -> None:
    options = SupabaseOptions(timeout=0.5)
    store = supabase_store(lambda: supabase.url, lambda: supabase.service_key, options)
    await store.open()
    try:
        supabase.faults.script(Fault("latency", seconds=60.0))
        with pytest.raises(Paused, match="does not answer"):
            await store.next_due()
    finally:
        await store.close()


async def test_goes_on_when_postgrest_has_died_and_is_back(
    supabase: RunningSupabase, store: SqlStore
) -> None:
    held = await claim(store, 1)
    supabase.postgrest.kill()
    for _ in range(3):
        with pytest.raises(Paused) as away:
            await store.begin_send(held, SendTimes())
        assert away.value.code == "store_unavailable"
    assert await store.ready()
    await asyncio.to_thread(supabase.postgrest.start)

    async def back() -> bool:
        return await store.ready() is None

    await eventually(back)
    assert set((await store.begin_send(held, SendTimes())).verdicts) == set(held)
    assert len(await claim(store, 9)) == 2


async def test_loses_and_doubles_no_row_among_many_faults(
    supabase: RunningSupabase, store: SqlStore
) -> None:
    await store.insert([{"enterprise_id": ACME}] * 197)
    # Every fifth request goes wrong, in one of four ways; so do those that ask again.
    for number in range(200):
        fault = [*LOST, *AWAY][number % 4]
        supabase.faults.script(Fault(fault.kind, fault.status, nth=4))
    taken: Counter[int] = Counter()
    ended: Counter[int] = Counter()

    async def until_done() -> None:
        while sum(ended.values()) < 200:
            try:
                keys = await claim(store, 7)
            except Paused:
                continue
            taken.update(key.notification_id for key in keys)
            await asked_again(keys)

    async def asked_again(keys: list[Key]) -> None:
        while True:
            try:
                told = await recorded(store, [Outcome(key) for key in keys])
            except Paused:
                continue
            ended.update(change.notification_id for change in told)
            return

    await asyncio.wait_for(asyncio.gather(until_done(), until_done()), 60)
    assert set(taken.values()) == set(ended.values()) == {1}
    assert len(taken) == len(ended) == 200
    assert supabase.faults.struck("answer_lost") > 5
