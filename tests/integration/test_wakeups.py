"""Hints that rows may be due: given for what is new, never for XNovu's own work."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.conftest import FAST, eventually
from tests.contract.store_fixtures import ACME, FAILURE
from xnovu.adapters.postgres.migrations import migrate
from xnovu.adapters.postgres.store import postgres_store
from xnovu.adapters.postgres.wakeups import NotifyWakeUps
from xnovu.local.postgres import EmbeddedPostgres
from xnovu.ports import Outcome
from xnovu.sql.store import SqlStore


class Ear:
    """Counts the hints."""

    def __init__(self) -> None:
        self.heard = 0

    def __call__(self) -> None:
        self.heard += 1


@pytest.fixture
async def store(database: str) -> AsyncIterator[SqlStore]:
    migrate(database)
    store = postgres_store(database)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def ear(database: str, store: SqlStore) -> AsyncIterator[Ear]:
    """Listening; what it heard on connecting is forgotten."""
    del store
    ear, wakeups = Ear(), NotifyWakeUps(database)
    await wakeups.start(ear)
    await eventually(lambda: ear.heard)
    ear.heard = 0
    yield ear
    await wakeups.stop()


async def settled(ear: Ear, database: str) -> int:
    """How many hints came, once a last one, sent after all others, has come too."""
    before = ear.heard
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("NOTIFY xnovu_wake, 'last'")
    await eventually(lambda: ear.heard > before)
    return ear.heard - 1


async def test_inserts_wake_once_for_each_statement(
    database: str, store: SqlStore, ear: Ear
) -> None:
    await store.insert([{"enterprise_id": ACME}] * 100)
    await eventually(lambda: ear.heard)
    with psycopg.connect(database) as connection:
        query = "INSERT INTO notify.ent_notification (enterprise_id) VALUES (%s)"
        for _ in range(3):
            connection.execute(query, [ACME])  # one transaction, so one hint
    await eventually(lambda: ear.heard == 2)
    assert await settled(ear, database) == 2


async def test_what_people_change_wakes(database: str, store: SqlStore, ear: Ear) -> None:
    await store.insert([{"enterprise_id": ACME}])
    (claim,) = await store.claim(1, 60.0)
    await store.record([Outcome(claim.captured.key, FAILURE)])
    await eventually(lambda: ear.heard == 1)
    (key,) = await store.redrive([claim.captured.key])
    await eventually(lambda: ear.heard == 2)
    await store.retract([key])
    await eventually(lambda: ear.heard == 3)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE notify.ent_notification SET notification_status = 'PENDING'")
    await eventually(lambda: ear.heard == 4)


async def test_its_own_work_wakes_nobody(database: str, store: SqlStore, ear: Ear) -> None:
    await store.insert([{"enterprise_id": ACME}] * 2)
    await eventually(lambda: ear.heard)
    first, second = [claim.captured.key for claim in await store.claim(9, 60.0)]
    await store.release([first])
    await store.claim(9, 60.0)
    await store.record([Outcome(first), Outcome(second, FAILURE)])
    assert await settled(ear, database) == 1


async def test_a_new_schedule_wakes(database: str, store: SqlStore, ear: Ear) -> None:
    await store.insert([{"enterprise_id": ACME, "scheduled_for": "2999-01-01T00:00:00Z"}])
    await eventually(lambda: ear.heard == 1)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE notify.ent_notification SET scheduled_for = now()")
    assert await settled(ear, database) == 2


async def test_a_change_of_other_columns_wakes_nobody(
    database: str, store: SqlStore, ear: Ear
) -> None:
    await store.insert([{"enterprise_id": ACME}])
    await eventually(lambda: ear.heard)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE notify.ent_notification SET name = 'another'")
    assert await settled(ear, database) == 1


@pytest.fixture
def own_server() -> Iterator[EmbeddedPostgres]:
    with (
        tempfile.TemporaryDirectory(prefix="xnovu-postgres-") as folder,
        EmbeddedPostgres(Path(folder), settings=FAST) as server,
    ):
        yield server


async def test_reconnects_for_ever_and_wakes_each_time(own_server: EmbeddedPostgres) -> None:
    ear, wakeups = Ear(), NotifyWakeUps(own_server.dsn, backoff=0.01, backoff_max=0.05)
    await wakeups.start(ear)
    await eventually(lambda: ear.heard == 1)
    for expected in (2, 3):
        own_server.kill()
        own_server.start()
        await eventually(lambda expected=expected: ear.heard == expected)
    with psycopg.connect(own_server.dsn, autocommit=True) as connection:
        connection.execute("NOTIFY xnovu_wake")
    await eventually(lambda: ear.heard == 4)
    await wakeups.stop()


async def test_starts_and_stops_while_the_database_is_away(own_server: EmbeddedPostgres) -> None:
    own_server.stop()
    ear, asked = Ear(), asyncio.Event()

    def dsn() -> str:
        asked.set()
        return own_server.dsn

    wakeups = NotifyWakeUps(dsn, backoff=0.01)
    await wakeups.start(ear)
    await asked.wait()
    await wakeups.stop()
    await wakeups.stop()
    assert ear.heard == 0
