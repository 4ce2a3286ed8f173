"""The store and a database that dies, freezes, comes late, changes its password or is not ready."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from tests.conftest import eventually, server_of_its_own
from tests.integration.test_claims import LONG, claim, insert, opened
from xnovu.adapters.postgres.connection import Door
from xnovu.adapters.postgres.migrations import migrate
from xnovu.adapters.postgres.store import PostgresOptions, postgres_store
from xnovu.errors import ConfigurationError, Paused, XNovuError
from xnovu.events import Key
from xnovu.sending import SendTimes
from xnovu.store import Outcome
from xnovu_local.postgres import EmbeddedPostgres


@pytest.fixture(scope="module")
def mortal_server() -> Iterator[EmbeddedPostgres]:
    """A server that may be killed."""
    with server_of_its_own() as server:
        yield server


@pytest.fixture
def own_server(mortal_server: EmbeddedPostgres) -> EmbeddedPostgres:
    mortal_server.resume()
    if not mortal_server.running:
        mortal_server.start()
    return mortal_server


async def test_a_dead_database_pauses_and_a_live_one_goes_on(own_server: EmbeddedPostgres) -> None:
    dsn = own_server.create_database("mortal")
    migrate(dsn)
    async with opened(dsn, timeout=2.0) as store:
        await insert(store, 3)
        (held,) = await claim(store)
        own_server.kill()
        for _ in range(3):
            with pytest.raises(Paused) as away:
                await store.begin_send([held], SendTimes())
            assert away.value.code == "store_unavailable"
        assert await store.ready()
        own_server.start()

        async def recovered() -> bool:
            try:
                return held in (await store.begin_send([held], SendTimes())).verdicts
            except Paused:
                return False

        await eventually(recovered)
        (event,) = await store.record([Outcome(held)])
        assert event.key == held
        assert await store.ready() is None


async def test_a_frozen_database_pauses(own_server: EmbeddedPostgres) -> None:
    dsn = own_server.create_database("frozen")
    migrate(dsn)
    async with opened(dsn, timeout=0.5) as store:
        await insert(store, 1)
        own_server.pause()
        with pytest.raises(Paused, match=r"does not answer|no connection"):
            await store.claim(1, LONG)
        own_server.resume()


async def test_starts_while_the_database_is_away(own_server: EmbeddedPostgres) -> None:
    dsn = own_server.create_database("late")
    migrate(dsn)
    own_server.stop()
    async with opened(dsn, timeout=1.0) as store:
        with pytest.raises(Paused):
            await store.claim(1, LONG)
        own_server.start()

        async def ready() -> bool:
            return await store.ready() is None

        await eventually(ready)


async def test_asks_for_its_password_each_time_it_connects(
    own_server: EmbeddedPostgres,
) -> None:
    dsn = own_server.create_database("rotated")
    migrate(dsn)
    known = [dsn.replace("postgresql://postgres:", "postgresql://postgres:wrong")]
    store = postgres_store(lambda: known[0], PostgresOptions(timeout=1.0))
    await store.open()
    try:
        with pytest.raises(Paused, match="refuses the credentials") as refused:
            await store.next_due()
        assert refused.value.code == "store_auth"
        known[0] = dsn

        async def ready() -> bool:
            return await store.ready() is None

        await eventually(ready)
    finally:
        await store.close()


async def test_a_changed_password_makes_every_connection_anew(
    own_server: EmbeddedPostgres,
) -> None:
    dsn = own_server.create_database("renewed")
    migrate(dsn)
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute("CREATE ROLE rotating LOGIN SUPERUSER PASSWORD 'before'")
        known = [psycopg.conninfo.make_conninfo(dsn, user="rotating", password="before")]
        store = postgres_store(lambda: known[0], PostgresOptions(timeout=30.0))
        await store.open()
        try:
            assert await store.next_due() is None
            owner.execute("ALTER ROLE rotating PASSWORD 'after'")
            assert await store.next_due() is None
            before = _backends(owner)
            known[0] = psycopg.conninfo.make_conninfo(dsn, user="rotating", password="after")

            async def renewed() -> bool:
                assert await store.next_due() is None
                return not _backends(owner) & before

            await eventually(renewed)
        finally:
            await store.close()


async def test_a_connection_that_was_being_made_when_the_password_changed_is_not_used(
    database: str,
) -> None:
    door, made = Door(database), []

    async def changes_now(connection: psycopg.AsyncConnection[Any]) -> None:
        made.append(connection)
        door.era += len(made) == 1

    async with AsyncConnectionPool(
        database, connection_class=door.connections, check=door.check, configure=changes_now
    ) as pool:
        async with pool.connection(timeout=10.0) as used:
            assert used is not made[0]
        assert made[0].closed


def _backends(owner: psycopg.Connection[Any]) -> set[int]:
    query = "SELECT pid FROM pg_stat_activity WHERE usename = 'rotating'"
    return {pid for (pid,) in owner.execute(query)}


async def test_a_database_without_the_schema_says_how_to_get_it(database: str) -> None:
    async with opened(database) as store:
        with pytest.raises(ConfigurationError, match="xnovu migrate"):
            await store.claim(1, LONG)
        assert "xnovu migrate" in (await store.ready() or "")


async def test_row_level_security_that_hides_rows_is_told(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS xnovu_shut_out")
        connection.execute("CREATE ROLE xnovu_shut_out LOGIN PASSWORD 'shut-out'")
        connection.execute(
            f"GRANT CREATE ON DATABASE {connection.info.dbname} TO xnovu_shut_out".encode()
        )
        shut_out = psycopg.conninfo.make_conninfo(
            database, user="xnovu_shut_out", password="shut-out"
        )
        try:
            migrate(shut_out)
            async with opened(shut_out) as store:
                assert await store.ready() is None
            connection.execute(
                "ALTER TABLE notify.ent_notification ENABLE ROW LEVEL SECURITY,"
                " FORCE ROW LEVEL SECURITY"
            )
            async with opened(shut_out) as store:
                assert "row-level security" in (await store.ready() or "")
        finally:
            connection.execute("DROP OWNED BY xnovu_shut_out CASCADE")
            connection.execute("DROP ROLE xnovu_shut_out")


async def test_errors_never_carry_values(database: str) -> None:
    key = Key("secret-enterprise\x00", 2**70, 0, 1)
    migrate(database)
    async with opened(database) as store:
        begin_send = partial(store.begin_send, times=SendTimes())
        for ask in (store.load, begin_send, store.release):
            with pytest.raises(XNovuError) as refused:
                await ask([key])
            assert "secret" not in str(refused.value)
            assert refused.value.__cause__ is None
