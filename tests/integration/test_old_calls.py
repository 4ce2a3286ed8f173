"""What stages of version 0.1 are answered once the database is this version's."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.conftest import eventually
from tests.upgrades import old_scripts, skip_unless_known
from tests.upgrades.stage_of_0_1 import OldStore
from xnovu.adapters.postgres.migrations import migrate
from xnovu.adapters.postgres.store import postgres_store
from xnovu.events import Key
from xnovu.retraction import Retraction
from xnovu.sending import Begun, SendTimes, Verdict
from xnovu.sql import rows as read
from xnovu.sql.store import SqlStore

LONG = 600.0
"""Seconds that no test waits for."""
BRIEF = 0.3
TIMES = SendTimes(BRIEF, BRIEF)
INSERT = """
INSERT INTO notify.ent_notification (enterprise_id, recipients)
SELECT gen_random_uuid(), ARRAY[gen_random_uuid()] FROM generate_series(1, %s)
"""
RETRACT = "UPDATE notify.ent_notification SET notification_status = 'RETRACTED'"
RECORD = """
INSERT INTO notify.xnovu_sending (id, enterprise_id, generation, until, token)
VALUES (%s, %s, 0, now(), gen_random_uuid())
"""
WAITING = (
    "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


@pytest.fixture
async def connection(database: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """To the database as version 0.1 left it."""
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as opened:
        skip_unless_known(opened.info, len(old_scripts()))
        for script in old_scripts().values():
            await opened.execute(script.encode())
        yield opened


@pytest.fixture
async def old(database: str, connection: psycopg.AsyncConnection[Any]) -> AsyncIterator[OldStore]:
    store = await OldStore.open(database)
    yield store
    await store.close()


@asynccontextmanager
async def migrated(database: str) -> AsyncIterator[SqlStore]:
    migrate(database)
    store = postgres_store(database)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def new(database: str, old: OldStore) -> AsyncIterator[SqlStore]:
    async with migrated(database) as store:
        yield store


async def claimed(old: OldStore, connection: psycopg.AsyncConnection[Any], count: int = 1) -> Any:
    await connection.execute(INSERT, [count])
    return [captured.key for captured in await old.claim(count, LONG)]


async def every_call(old: OldStore, connection: psycopg.AsyncConnection[Any]) -> list[Any]:
    """The columns and their types of all that was ever asked, each statement prepared."""
    answers: list[Any] = []
    ask, answer = old.connection.execute, answers.append

    async def heard(query: bytes, arguments: Any) -> Any:
        cursor = await ask(query, arguments)
        answer([(column.name, column.type_code) for column in cursor.description or ()])
        return cursor

    old.connection.execute = heard  # type: ignore[method-assign, assignment]
    sent, busy, back = await claimed(old, connection, 3)
    await old.next_due()
    await old.load([sent])
    assert await old.still_wanted([sent, busy], LONG, LONG) == {sent, busy}
    assert await old.still_wanted([busy], LONG, LONG) == set()
    assert set(await old.being_sent([busy])) == {busy}
    assert await old.overdue([sent]) == {}
    await old.let_go([busy])
    assert await old.record([sent]) == [sent]
    await connection.execute(f"{RETRACT} WHERE id = {back.notification_id}")
    [event] = await old.claim_retractions(1, LONG)
    assert set(await old.retracted([event.key], LONG)) == {event.key}
    assert await old.record_retractions({event.key: Retraction.STOPPED}) == [event.key]
    await old.call("release", keys=read.keys([busy]))
    await old.call("claimed", token=str(uuid4()))
    await old.call("retract", keys=read.keys([busy]), reason=None)
    await old.call("redrive", keys=read.keys([busy]), who=None)
    old.connection.execute = ask  # type: ignore[method-assign]
    return answers


async def test_a_prepared_statement_is_answered_as_before(
    database: str, old: OldStore, connection: psycopg.AsyncConnection[Any]
) -> None:
    """Else a stage that is at work while the database is migrated would fail for ever."""
    before = await every_call(old, connection)
    migrate(database)
    assert await every_call(old, connection) == before


class TestBegunByThisVersion:
    async def test_is_left_alone_until_it_surely_shows(
        self, old: OldStore, new: SqlStore, connection: psycopg.AsyncConnection[Any]
    ) -> None:
        [key] = await claimed(old, connection)
        await new.begin_send([key], SendTimes(lease=0.0))
        assert await old.still_wanted([key], LONG, LONG) == set()
        busy = await old.being_sent([key])
        assert 1 <= busy[key] <= 61
        await eventually(lambda: given(old, key, alone=BRIEF))

    async def test_is_never_dropped_because_its_time_is_just_over(
        self, old: OldStore, new: SqlStore, connection: psycopg.AsyncConnection[Any]
    ) -> None:
        """Version 0.1 is done with what is neither given nor said to be busy."""
        [key] = await claimed(old, connection)
        await new.begin_send([key], TIMES)
        await connection.execute("UPDATE notify.xnovu_sending SET until = now() - interval '1 h'")
        assert (await old.being_sent([key]))[key] >= 1

    async def test_is_not_let_go_by_another(
        self, old: OldStore, new: SqlStore, connection: psycopg.AsyncConnection[Any]
    ) -> None:
        [key] = await claimed(old, connection)
        await new.begin_send([key], SendTimes(LONG, LONG))
        await old.let_go([key])
        begun = await new.begin_send([key], TIMES)
        assert begun.verdicts[key].verdict is Verdict.BUSY

    async def test_and_surely_not_sent_is_given_at_once(
        self, old: OldStore, new: SqlStore, connection: psycopg.AsyncConnection[Any]
    ) -> None:
        [key] = await claimed(old, connection)
        await new.end_send(await new.begin_send([key], TIMES), [key], [])
        assert await given(old, key, alone=LONG)


class TestBegunByVersion01:
    @pytest.mark.parametrize("told", [True, False], ids=["given back", "never told"])
    async def test_is_looked_up_once_its_time_is_over(
        self, old: OldStore, new: SqlStore, connection: psycopg.AsyncConnection[Any], told: bool
    ) -> None:
        [key] = await claimed(old, connection)
        assert await given(old, key, alone=LONG if told else BRIEF)
        begun = await new.begin_send([key], TIMES)
        assert begun.verdicts[key].verdict is Verdict.BUSY
        if told:
            await old.let_go([key])
        await eventually(lambda: verdict_is(new, key, Begun(Verdict.CHECK)))

    async def test_and_taken_over_stays_in_doubt(
        self, old: OldStore, new: SqlStore, connection: psycopg.AsyncConnection[Any]
    ) -> None:
        """From an old stage to an old one, and from it to this version."""
        [key] = await claimed(old, connection)
        await new.end_send(await new.begin_send([key], TIMES), [], [key])
        await eventually(lambda: given(old, key, alone=BRIEF))
        await old.let_go([key])
        await eventually(lambda: verdict_is(new, key, Begun(Verdict.CHECK)))

    async def test_and_before_the_migration_it_is_so(
        self, database: str, old: OldStore, connection: psycopg.AsyncConnection[Any]
    ) -> None:
        [key] = await claimed(old, connection)
        assert await given(old, key, alone=BRIEF)
        async with migrated(database) as new:
            await eventually(lambda: verdict_is(new, key, Begun(Verdict.CHECK)))

    async def test_is_not_said_to_be_stopped_when_it_is_retracted(
        self, old: OldStore, new: SqlStore, connection: psycopg.AsyncConnection[Any]
    ) -> None:
        [key] = await claimed(old, connection)
        assert await given(old, key, alone=LONG)
        await connection.execute(RETRACT)
        [event] = await new.claim_retractions(1, LONG)
        [standing] = (await new.begin_retraction([event.key], TIMES)).values()
        assert (standing.outcome, standing.seconds > BRIEF) == (None, True)


async def test_what_is_retracted_while_an_old_stage_asks_is_not_given(
    database: str, old: OldStore, new: SqlStore, connection: psycopg.AsyncConnection[Any]
) -> None:
    """It may have been said to be stopped by then."""
    [key] = await claimed(old, connection)
    async with await psycopg.AsyncConnection.connect(database) as other:
        await other.execute(RECORD, [key.notification_id, key.enterprise_id])
        asks = asyncio.create_task(old.still_wanted([key], 0.0, LONG))
        await eventually(lambda: found(connection, WAITING))
        await connection.execute(RETRACT)
        await other.rollback()
    assert await asks == set()


async def given(old: OldStore, key: Key, alone: float) -> bool:
    return key in await old.still_wanted([key], LONG, alone)


async def verdict_is(new: SqlStore, key: Key, begun: Begun) -> bool:
    return (await new.begin_send([key], TIMES)).verdicts[key] == begun


async def found(connection: psycopg.AsyncConnection[Any], query: str) -> Sequence[Any]:
    return await (await connection.execute(query.encode())).fetchall()
