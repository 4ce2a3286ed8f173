"""The store over a real PostgREST: its keys, its limits, and what it says of a wrong set-up."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.builders import recorded
from tests.conftest import eventually
from xnovu.adapters.postgres.migrations import migrate
from xnovu.adapters.supabase.options import SupabaseOptions
from xnovu.adapters.supabase.store import supabase_store
from xnovu.errors import ConfigurationError, Paused, XNovuError
from xnovu.events import Key
from xnovu.sending import SendTimes
from xnovu.sql.store import SqlStore
from xnovu.store import Outcome
from xnovu.testing.contract.store_bench import ACME, LONG
from xnovu_local.supabase import PostgrestOptions, RunningSupabase, prepare, running_supabase

ROWS = [{"enterprise_id": ACME}]


@asynccontextmanager
async def opened(
    supabase: RunningSupabase, key: Callable[[], str] | None = None, **options: Any
) -> AsyncIterator[SqlStore]:
    key = key or (lambda: supabase.service_key)
    store = supabase_store(lambda: supabase.url, key, SupabaseOptions(**options))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def claim(store: SqlStore, count: int = 9) -> list[Key]:
    return [claim.captured.key for claim in await store.claim(count, LONG)]


def in_work(dsn: str) -> int:
    query = "SELECT FROM notify.ent_notification WHERE notification_status = 'PROCESSING'"
    with psycopg.connect(dsn) as database:
        return database.execute(query).rowcount


@pytest.mark.parametrize("kind", ["service_role", "secret"])
async def test_takes_both_kinds_of_service_keys(supabase: RunningSupabase, kind: str) -> None:
    async with opened(supabase, lambda: getattr(supabase.keys, kind)) as store:
        assert await store.ready() is None
        await store.insert(ROWS)
        assert len(await claim(store)) == 1


@pytest.mark.parametrize("kind", ["anon", "publishable"])
async def test_another_role_is_asked_for_the_service_key(
    supabase: RunningSupabase, kind: str
) -> None:
    async with opened(supabase, lambda: getattr(supabase.keys, kind)) as store:
        with pytest.raises(Paused, match="is it the service key") as refused:
            await store.claim(1, LONG)
        assert refused.value.code == "store_forbidden"
        assert "service key" in (await store.ready() or "")


async def test_a_key_that_is_refused_pauses_until_it_is_replaced(supabase: RunningSupabase) -> None:
    known = [supabase.keys.secret]
    async with opened(supabase, lambda: known[0]) as store:
        await store.insert(ROWS)
        replacement = supabase.keys.add("service_role")
        supabase.keys.revoke(known[0])
        for _ in range(2):
            with pytest.raises(Paused, match="refuses the API key") as refused:
                await store.claim(1, LONG)
            assert refused.value.code == "store_auth"
            assert known[0] not in str(refused.value)
        known[0] = replacement
        assert len(await claim(store)) == 1


async def test_no_call_is_lost_while_keys_are_replaced(supabase: RunningSupabase) -> None:
    known = [supabase.keys.secret]
    tasks = asyncio.all_tasks()
    async with opened(supabase, lambda: known[0], connections=3) as store:
        await store.insert(ROWS * 60)
        taken: list[Key] = []

        async def worker() -> None:
            while keys := await claim(store, 3):
                assert len(await recorded(store, [Outcome(key) for key in keys])) == len(keys)
                taken.extend(keys)
                known[0] = supabase.keys.add("service_role")
                await store.renew()

        await asyncio.gather(*(worker() for _ in range(6)))
        assert len(taken) == len(set(taken)) == 60
    assert asyncio.all_tasks() == tasks


async def test_a_project_that_moved_is_followed(supabase: RunningSupabase) -> None:
    urls = ["http://127.0.0.1:1"]
    store = supabase_store(lambda: urls[0], lambda: supabase.service_key)
    await store.open()
    try:
        with pytest.raises(Paused, match="cannot be reached"):
            await store.next_due()
        urls[0] = supabase.url + "/"
        assert await store.next_due() is None
    finally:
        await store.close()


async def test_a_claim_takes_no_more_than_an_answer_carries(
    project: str, postgrest_program: Path
) -> None:
    async with (
        running_supabase(project, options=PostgrestOptions(max_rows=5)) as supabase,
        opened(supabase, max_rows=5) as store,
    ):
        assert len(await store.insert(ROWS * 12)) == 12
        found: list[Key] = []
        while keys := await claim(store, 8):
            found += keys
            assert in_work(project) == len(found), "none is claimed unseen"
        assert len(found) == len(set(found)) == 12
        assert set((await store.begin_send(found, SendTimes())).verdicts) == set(found)
        assert len(await store.load(found)) == 12
        assert len(await recorded(store, [Outcome(key) for key in found])) == 12
        assert len(await store.retract(found)) == 12


async def test_a_project_that_gives_less_is_told_and_its_rows_come_again(
    project: str, postgrest_program: Path
) -> None:
    async with running_supabase(project, options=PostgrestOptions(max_rows=5)) as supabase:
        async with opened(supabase) as store:
            with pytest.raises(XNovuError, match=r"5 rows .* store\.max_rows = 5.*look before"):
                await store.insert(ROWS * 8)
            with pytest.raises(Paused, match=r"store\.max_rows = 5") as cut:
                await store.claim(8, 0.0)
            assert cut.value.code == "configuration"
        async with opened(supabase, max_rows=5) as store:
            found = {key.notification_id for _ in range(2) for key in await claim(store)}
            assert len(found) == 8


async def test_two_stores_never_share_a_row(supabase: RunningSupabase) -> None:
    async with opened(supabase) as first, opened(supabase) as second:
        await first.insert(ROWS * 2000)

        async def worker(store: SqlStore) -> list[Key]:
            found: list[Key] = []
            while keys := await claim(store, 100):
                found += keys
            return found

        rounds = await asyncio.gather(*(worker(store) for store in (first, second) * 2))
        keys = [key for found in rounds for key in found]
        assert len({key.notification_id for key in keys}) == len(keys) == 2000
        assert {key.claims for key in keys} == {1}


async def test_a_schema_that_is_not_exposed_says_where_to_do_so(
    project: str, postgrest_program: Path
) -> None:
    options = PostgrestOptions(schemas=("public",))
    async with running_supabase(project, options=options) as supabase, opened(supabase) as store:
        with pytest.raises(ConfigurationError, match="add notify to the exposed schemas"):
            await store.claim(1, LONG)
        assert "exposed schemas" in (await store.ready() or "")


async def test_a_project_that_is_not_migrated_says_how_to_do_so(
    database: str, postgrest_program: Path
) -> None:
    prepare(database)
    with psycopg.connect(database) as connection:
        connection.execute("CREATE SCHEMA notify")
    async with running_supabase(database) as supabase, opened(supabase) as store:
        with pytest.raises(ConfigurationError, match=r"xnovu migrate.*NOTIFY pgrst"):
            await store.claim(1, LONG)
        await asyncio.to_thread(migrate, database)

        async def ready() -> bool:
            return await store.ready() is None

        await eventually(ready)


@pytest.mark.parametrize("path", ["/rest/v1", "/elsewhere"])
async def test_a_url_that_is_no_projects_is_told(supabase: RunningSupabase, path: str) -> None:
    store = supabase_store(lambda: supabase.url + path, lambda: supabase.service_key)
    await store.open()
    try:
        with pytest.raises(ConfigurationError, match=r"no Supabase project at 127\.0\.0\.1"):
            await store.next_due()
    finally:
        await store.close()


async def test_a_value_that_cannot_be_read_is_no_reason_to_lose_the_others(
    supabase: RunningSupabase,
) -> None:
    """The actor halves such a batch until the one is alone."""
    async with opened(supabase) as store:
        await store.insert(ROWS * 2)
        good, bad = await claim(store)
        with psycopg.connect(supabase.dsn) as database:
            deep = "[" * 3000 + "]" * 3000
            change = "UPDATE notify.ent_notification SET payload = %s WHERE id = %s"
            database.execute(change, [deep, bad.notification_id])
        with pytest.raises(XNovuError) as refused:
            await store.load([good, bad])
        assert refused.value.code == "invalid_row"
        assert set(await store.load([good])) == {good}


async def test_neither_logs_nor_errors_carry_values(
    supabase: RunningSupabase, caplog: pytest.LogCaptureFixture
) -> None:
    # As xnovu.adapters.logs has it when debugging, whatever tests before have left.
    for name, level in (
        ("httpcore", logging.WARNING),
        ("httpx", logging.DEBUG),
        (None, logging.DEBUG),
    ):
        caplog.set_level(level, name)
    key = Key("secret-value\x00", 2**70, 0, 1)
    async with opened(supabase) as store:
        await store.insert([{"enterprise_id": ACME, "payload": {"a": "secret-value"}}])
        await store.load(await claim(store))
        for ask in (store.load, partial(store.begin_send, times=SendTimes()), store.release):
            with pytest.raises(XNovuError) as refused:
                await ask([key])
            assert "secret-value" not in str(refused.value)
            assert refused.value.__cause__ is None
    assert "rpc/load" in caplog.text, "it was listened to"
    assert "secret-value" not in caplog.text
    assert supabase.service_key not in caplog.text
