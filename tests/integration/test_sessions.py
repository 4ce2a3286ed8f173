"""A store's sessions are its own, whatever the database has set, and leave when they are stale."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trials
from hypothesis import strategies as some
from psycopg import sql

from tests.conftest import eventually
from xnovu.adapters.postgres.migrations import migrate, plan
from xnovu.adapters.postgres.store import PostgresOptions, postgres_store
from xnovu.adapters.supabase.store import supabase_store
from xnovu.errors import Paused
from xnovu.events import Status
from xnovu.sending import SendTimes, Verdict
from xnovu.sql.store import SqlStore
from xnovu.store import Outcome
from xnovu.testing.contract.store_bench import ACME
from xnovu_local.supabase import running_supabase

LONG = 600.0
DEADLINE = datetime(2031, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)
VALUES: Mapping[str, list[str]] = {
    "array_nulls": ["off"],
    "bytea_output": ["escape"],
    "client_encoding": ["LATIN1", "SQL_ASCII"],
    "datestyle": ["SQL, DMY", "Postgres, MDY", "German, DMY"],
    "default_transaction_isolation": ["serializable", "repeatable read"],
    "extra_float_digits": ["-15"],
    "intervalstyle": ["sql_standard", "iso_8601"],
    "lock_timeout": ["1ms"],
    "quote_all_identifiers": ["on"],
    "search_path": ["nowhere", "notify"],
    "standard_conforming_strings": ["off"],
    "timezone": ["Asia/Kolkata", "America/Caracas", "Pacific/Chatham"],
    "transform_null_equals": ["on"],
}
SOMEBODYS = some.fixed_dictionaries(
    {}, optional={name: some.sampled_from(values) for name, values in VALUES.items()}
)
FEW = trials(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def change(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            name = sql.Identifier(connection.info.dbname)
            connection.execute(sql.SQL(statement).format(name))  # pyright: ignore[reportArgumentType]


def set_for_all(dsn: str, chosen: Mapping[str, str]) -> None:
    """For every session that begins from now on; a list is a list of names."""
    change(dsn, "ALTER DATABASE {} RESET ALL")
    for name, value in chosen.items():
        told = value if name in ("datestyle", "search_path") else f"'{value}'"
        change(dsn, f"ALTER DATABASE {{}} SET {name} = {told}")


@asynccontextmanager
async def opened(store: SqlStore) -> AsyncIterator[SqlStore]:
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def lives_its_life(store: SqlStore) -> None:
    """With values that a setting could spoil."""
    row = {"enterprise_id": ACME, "recipients": [ACME], "notification_workflow_id": "w"}
    texts = {"name": "naïve, 通知 \\ 'quoted'", "payload": {"a": 0.1234567890123456, "b": "\\n"}}
    [number] = await store.insert([{**row, **texts, "expires_at": DEADLINE.isoformat()}])
    [claim] = await store.claim(5, LONG)
    key = claim.captured.key
    assert key.notification_id == number
    loaded = (await store.load([key]))[key].notification
    assert (loaded.name, loaded.payload) == (texts["name"], texts["payload"])
    assert (await store.begin_send([key], SendTimes())).verdicts[key].verdict is Verdict.SEND
    [event] = await store.record([Outcome(key)])
    assert event.status is Status.SENT
    assert abs(event.at - datetime.now(UTC)) < timedelta(minutes=5)
    told = await store.history(number)
    assert told
    assert datetime.fromisoformat(told["notification"]["expires_at"]) == DEADLINE


@FEW
@given(chosen=SOMEBODYS)
def test_nothing_that_a_database_sets_changes_a_store(
    migrated: str, chosen: dict[str, str]
) -> None:
    async def trial() -> None:
        async with opened(postgres_store(migrated)) as store:
            await lives_its_life(store)

    set_for_all(migrated, chosen)
    asyncio.run(trial())


@pytest.mark.parametrize(
    "chosen", [{name: values[0] for name, values in VALUES.items()}], ids=["everything"]
)
async def test_nor_one_over_the_rest_api(
    project: str, postgrest_program: object, chosen: dict[str, str]
) -> None:
    set_for_all(project, chosen)
    async with (
        running_supabase(project) as running,
        opened(supabase_store(lambda: running.url, lambda: running.keys.secret)) as store,
    ):
        await lives_its_life(store)


async def test_nor_one_that_shares_its_sessions(migrated: str) -> None:
    set_for_all(migrated, {name: values[0] for name, values in VALUES.items()})
    options = PostgresOptions(transaction_pooler=True)
    async with opened(postgres_store(migrated, options)) as store:
        await lives_its_life(store)


def test_nor_a_migration(database: str) -> None:
    set_for_all(database, {name: values[0] for name, values in VALUES.items()})
    migrate(database)
    assert all(step.applied_at for step in plan(database))


async def test_a_database_that_was_read_only_is_written_as_soon_as_it_may_be(migrated: str) -> None:
    change(migrated, "ALTER DATABASE {} SET default_transaction_read_only = on")
    async with opened(postgres_store(migrated)) as store:
        with pytest.raises(Paused, match="read-only"):
            await store.claim(5, LONG)
        with psycopg.connect(migrated, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            name = sql.Identifier(connection.info.dbname)
            connection.execute(sql.SQL("ALTER DATABASE {} RESET ALL").format(name))
        await eventually(lambda: answers(store))
        await lives_its_life(store)


async def answers(store: SqlStore) -> bool:
    try:
        await store.claim(5, LONG)
    except Paused:
        return False
    return True


TYPES = ("transaction_id TYPE varchar(300)", "name TYPE varchar(200)", "tags TYPE varchar(40)[]")


async def test_types_that_change_under_a_store_do_not_stop_it(migrated: str) -> None:
    change(migrated, "DROP POLICY IF EXISTS xnovu_insert ON notify.ent_notification")
    async with opened(postgres_store(migrated)) as store:
        for type_ in TYPES:
            for _ in range(6):  # so often that all is prepared
                await lives_its_life(store)
            change(migrated, f"ALTER TABLE notify.ent_notification ALTER {type_}")
        await lives_its_life(store)
