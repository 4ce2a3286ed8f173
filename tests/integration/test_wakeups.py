"""What NOTIFY does beyond the contract of wake-ups, and what it says when it cannot."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from tests.conftest import eventually
from tests.contract.wakeups_fixtures import SOON, Bench, Ear, notify
from xnovu.adapters.postgres.migrations import migrate
from xnovu.adapters.postgres.wakeups import NotifyWakeUps
from xnovu.connection import Link
from xnovu.testing.contract.store_bench import ACME
from xnovu_local.postgres import EmbeddedPostgres

INSERT = "INSERT INTO notify.ent_notification (enterprise_id) SELECT %s FROM generate_series(1, 9)"
RENAME = "UPDATE notify.ent_notification SET name = 'another'"


@pytest.fixture
async def notified(postgres_server: EmbeddedPostgres, database: str) -> AsyncIterator[Bench]:
    migrate(database)
    async with notify(postgres_server, database) as bench:
        yield bench


LISTENING = """
SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE l.locktype = 'advisory' AND d.datname = current_database()
"""


async def test_a_statement_or_a_transaction_notifies_once(notified: Bench) -> None:
    async with notified.listening() as ear:
        notified.execute(INSERT, [ACME])
        await eventually(lambda: ear.heard == 1)
        with psycopg.connect(notified.database) as connection:
            for _ in range(3):
                connection.execute(INSERT, [ACME])
        await eventually(lambda: ear.heard == 2)
        assert await notified.settled(ear) == 2


async def test_where_nobody_listens_a_transaction_can_be_prepared(notified: Bench) -> None:
    """One that has notified cannot be."""
    with psycopg.connect(notified.database, autocommit=True) as connection:
        for _ in range(2):
            # A session that has ended holds its lock a moment longer.
            await eventually(lambda: not connection.execute(LISTENING).fetchall())
            connection.execute("BEGIN")
            connection.execute(INSERT, [ACME])
            connection.execute(
                "UPDATE notify.ent_notification SET notification_status = 'RETRACTED'"
            )
            connection.execute("PREPARE TRANSACTION 'of another'")
            connection.execute("ROLLBACK PREPARED 'of another'")
            async with notified.listening() as ear:
                notified.execute(INSERT, [ACME])
                await eventually(lambda: ear.heard == 1)


async def test_a_change_of_other_columns_notifies_nobody(notified: Bench) -> None:
    async with notified.listening() as ear:
        notified.execute(INSERT, [ACME])
        await eventually(lambda: ear.heard)
        notified.execute(RENAME)
        assert await notified.settled(ear) == 1


async def test_says_when_nobody_is_there() -> None:
    ear, wakeups = Ear(), NotifyWakeUps("postgresql://127.0.0.1:1/nowhere", **SOON)
    await wakeups.start(ear)
    await eventually(lambda: wakeups.connection.reason)
    assert wakeups.connection.state is Link.CONNECTING
    assert "no connection to the database at 127.0.0.1:1/nowhere" in str(wakeups.connection.reason)
    assert ear.heard == 0
    await wakeups.stop()
