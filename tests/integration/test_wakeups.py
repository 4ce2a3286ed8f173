"""What each kind of wake-ups does beyond its contract, and what it says when it cannot."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.conftest import FAST, eventually
from tests.contract.store_fixtures import ACME
from tests.contract.wakeups_fixtures import SOON, Bench, Ear, notify, wal
from xnovu.adapters.postgres.migrations import migrate
from xnovu.adapters.postgres.wal import WalWakeUps
from xnovu.connection import Link
from xnovu.local.postgres import EmbeddedPostgres

INSERT = "INSERT INTO notify.ent_notification (enterprise_id) SELECT %s FROM generate_series(1, 9)"
RENAME = "UPDATE notify.ent_notification SET name = 'another'"


@pytest.fixture
async def notified(postgres_server: EmbeddedPostgres, database: str) -> AsyncIterator[Bench]:
    migrate(database)
    async with notify(postgres_server, database) as bench:
        yield bench


@pytest.fixture
async def logged(postgres_server: EmbeddedPostgres, database: str) -> AsyncIterator[Bench]:
    migrate(database)
    async with wal(postgres_server, database) as bench:
        yield bench


async def test_a_statement_or_a_transaction_notifies_once(notified: Bench) -> None:
    async with notified.listening() as ear:
        notified.execute(INSERT, [ACME])
        await eventually(lambda: ear.heard == 1)
        with psycopg.connect(notified.database) as connection:
            for _ in range(3):
                connection.execute(INSERT, [ACME])
        await eventually(lambda: ear.heard == 2)
        assert await notified.settled(ear) == 2


async def test_a_change_of_other_columns_notifies_nobody(notified: Bench) -> None:
    async with notified.listening() as ear:
        notified.execute(INSERT, [ACME])
        await eventually(lambda: ear.heard)
        notified.execute(RENAME)
        assert await notified.settled(ear) == 1


async def test_a_transaction_in_the_log_wakes_once(logged: Bench) -> None:
    async with logged.listening() as ear:
        with psycopg.connect(logged.database) as connection:
            for _ in range(3):
                connection.execute(INSERT, [ACME])
        await eventually(lambda: ear.heard)
        assert await logged.settled(ear) == 1


async def test_where_whole_old_rows_are_kept_only_what_counts_wakes(logged: Bench) -> None:
    logged.execute("ALTER TABLE notify.ent_notification REPLICA IDENTITY FULL")
    async with logged.listening() as ear:
        logged.execute(INSERT, [ACME])
        await eventually(lambda: ear.heard == 1)
        logged.execute(RENAME)
        assert await logged.settled(ear) == 1
        logged.execute("UPDATE notify.ent_notification SET scheduled_for = now()")
        assert await logged.settled(ear) == 3


async def test_a_hint_from_the_log_is_given_again(logged: Bench) -> None:
    wakeups = WalWakeUps(logged.database, **SOON, echo=0.01)
    async with Bench(wakeups, logged.database, logged.cut, logged.mend).listening() as ear:
        logged.execute(INSERT, [ACME])
        await eventually(lambda: ear.heard == 2)


async def test_it_leaves_no_slot_behind(logged: Bench) -> None:
    def slots() -> int:
        with psycopg.connect(logged.database) as connection:
            query = "SELECT FROM pg_replication_slots WHERE database = current_database()"
            return connection.execute(query).rowcount

    async with logged.listening():
        assert slots() == 1
    await eventually(lambda: slots() == 0)


@asynccontextmanager
async def trying(database: str) -> AsyncIterator[WalWakeUps]:
    """Wake-ups that cannot connect."""
    ear, wakeups = Ear(), WalWakeUps(database, **SOON)
    await wakeups.start(ear)
    await eventually(lambda: wakeups.connection.reason)
    yield wakeups
    assert ear.heard == 0
    await wakeups.stop()


async def test_says_what_to_run_where_there_is_no_publication(logged: Bench) -> None:
    logged.execute("DROP PUBLICATION xnovu_wake")
    async with trying(logged.database) as wakeups:
        assert "CREATE PUBLICATION xnovu_wake" in wakeups.connection.reason
    logged.execute(
        "CREATE PUBLICATION xnovu_wake FOR TABLE notify.ent_notification"
        " WITH (publish = 'insert, update')"
    )
    async with logged.listening() as ear:
        assert await logged.settled(ear) == 0


async def test_says_when_the_role_may_not_replicate(logged: Bench) -> None:
    logged.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
    async with trying(make_conninfo(logged.database, user="plain", password="plain")) as wakeups:
        assert "attribute REPLICATION" in wakeups.connection.reason
    logged.execute("DROP ROLE plain")


async def test_says_when_the_log_tells_too_little() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="xnovu-postgres-") as folder,
        EmbeddedPostgres(Path(folder), settings={**FAST, "wal_level": "replica"}) as server,
    ):
        migrate(server.dsn)
        async with trying(server.dsn) as wakeups:
            assert "wal_level = logical" in wakeups.connection.reason


async def test_says_when_nobody_is_there(logged: Bench) -> None:
    async with trying("postgresql://127.0.0.1:1/nowhere") as wakeups:
        assert wakeups.connection.state is Link.CONNECTING
        assert wakeups.connection.reason == "no connection to the database"
