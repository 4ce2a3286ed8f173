"""The changes that a slot tells of, on a real server."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from tests.conftest import eventually, server_of_its_own
from xnovu_local.postgres import EmbeddedPostgres
from xnovu_local.supabase.realtime.pgoutput import MOST, UNCHANGED, Change, Slot, slotted

TABLES = """
CREATE TABLE note (id int PRIMARY KEY, text text, large text);
ALTER TABLE note ALTER large SET STORAGE EXTERNAL;
CREATE TABLE private (id int);
CREATE PUBLICATION notes FOR TABLE note;
"""
SLOTS = "SELECT slot_name, temporary, active FROM pg_replication_slots WHERE database = %s"


@pytest.fixture
async def connection(database: str) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute(TABLES)
        yield connection


@pytest.fixture
async def slot(database: str, connection: psycopg.AsyncConnection) -> AsyncIterator[Slot]:
    del connection
    async with slotted(database, "notes") as slot:
        yield slot


async def some(slot: Slot, count: int) -> list[Change]:
    told: list[Change] = []

    async def enough() -> bool:
        told.extend(await slot.take())
        return len(told) >= count

    await eventually(enough)
    assert len(told) == count
    return told


async def test_tells_what_is_inserted_updated_and_deleted(
    connection: psycopg.AsyncConnection, slot: Slot
) -> None:
    await connection.execute("INSERT INTO note VALUES (1, 'a', NULL)")
    await connection.execute("UPDATE note SET text = 'b'")
    await connection.execute("DELETE FROM note")
    await connection.execute("TRUNCATE note")
    told = await some(slot, 3)
    assert [change.kind for change in told] == ["INSERT", "UPDATE", "DELETE"]
    assert [change.columns.get("text") for change in told] == ["a", "b", None]
    assert told[2].old == {"id": "1"}
    assert {(change.schema, change.table) for change in told} == {("public", "note")}
    assert len({change.transaction for change in told}) == 3


async def test_tells_transactions_whole_and_in_the_order_of_their_commits(
    database: str, connection: psycopg.AsyncConnection, slot: Slot
) -> None:
    async with await psycopg.AsyncConnection.connect(database) as slow:
        await slow.execute("INSERT INTO note VALUES (1)")
        await connection.execute("INSERT INTO note VALUES (2)")
        async with connection.transaction(force_rollback=True):
            await connection.execute("INSERT INTO note VALUES (3)")
        await slow.execute("INSERT INTO note VALUES (4)")
        await slow.commit()
    told = await some(slot, 3)
    assert [change.columns["id"] for change in told] == ["2", "1", "4"]
    first, *second = [(change.transaction, change.commit_time) for change in told]
    assert second[0] == second[1] != first


async def test_carries_large_values_and_marks_those_left_alone(
    connection: psycopg.AsyncConnection, slot: Slot
) -> None:
    await connection.execute("INSERT INTO note VALUES (1, '', repeat('ö', 5000000))")
    await connection.execute("UPDATE note SET text = 'b'")
    inserted, updated = await some(slot, 2)
    assert inserted.columns["large"] == "ö" * 5_000_000
    assert updated.columns["large"] is UNCHANGED


async def test_takes_many_transactions_little_by_little(
    connection: psycopg.AsyncConnection, slot: Slot
) -> None:
    for number in range(MOST):
        await connection.execute("INSERT INTO note VALUES (%s)", [number])
    first = await slot.take()
    assert 0 < len(first) < MOST
    await some(slot, MOST - len(first))


async def test_leaves_out_what_is_not_published(
    connection: psycopg.AsyncConnection, slot: Slot
) -> None:
    await connection.execute("INSERT INTO private VALUES (1)")
    await connection.execute("INSERT INTO note VALUES (2)")
    assert [change.columns["id"] for change in await some(slot, 1)] == ["2"]


async def test_the_server_keeps_nothing_that_was_taken_or_is_not_ours(
    connection: psycopg.AsyncConnection, slot: Slot
) -> None:
    await connection.execute("INSERT INTO note VALUES (1), (2)")
    await connection.execute("INSERT INTO private SELECT generate_series(1, 1000)")
    (end,) = await (await connection.execute("SELECT pg_current_wal_lsn()")).fetchall()
    assert len(await some(slot, 2)) == 2
    kept = (
        "SELECT FROM pg_replication_slots"
        " WHERE database = current_database() AND confirmed_flush_lsn < %s"
    )
    assert (await connection.execute(kept, end)).rowcount == 0


async def test_its_slot_is_temporary_and_goes_with_it(
    database: str, connection: psycopg.AsyncConnection
) -> None:
    async def slots() -> list[tuple]:
        name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
        return await (await connection.execute(SLOTS, [name])).fetchall()

    async with slotted(database, "notes"):
        ((_, temporary, active),) = await slots()
        assert temporary
        assert active

    async def gone() -> bool:
        return not await slots()

    await eventually(gone)


async def test_several_read_side_by_side(
    database: str, connection: psycopg.AsyncConnection, slot: Slot
) -> None:
    async with slotted(database, "notes") as other:
        await connection.execute("INSERT INTO note VALUES (1)")
        assert await some(other, 1) == await some(slot, 1)


async def test_a_missing_publication_is_named(
    database: str, connection: psycopg.AsyncConnection
) -> None:
    with pytest.raises(psycopg.errors.UndefinedObject, match='publication "it\'s" does not exist'):
        async with slotted(database, "it's"):
            raise AssertionError("opened")


async def test_an_odd_name_is_quoted(database: str, connection: psycopg.AsyncConnection) -> None:
    await connection.execute("""CREATE PUBLICATION "it's ""odd"", really" FOR TABLE note""")
    async with slotted(database, 'it\'s "odd", really') as slot:
        await connection.execute("INSERT INTO note VALUES (1)")
        assert len(await some(slot, 1)) == 1


@pytest.fixture
def own_server() -> Iterator[EmbeddedPostgres]:
    with server_of_its_own() as server:
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute(TABLES)
        yield server


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_the_end_of_the_server_is_an_error(own_server: EmbeddedPostgres, end: str) -> None:
    async with slotted(own_server.dsn, "notes") as slot:
        await asyncio.to_thread(getattr(own_server, end))
        with pytest.raises(psycopg.OperationalError):
            await slot.take()


async def test_can_be_called_off_while_it_opens(
    database: str, connection: psycopg.AsyncConnection
) -> None:
    """A transaction that is writing keeps a new slot waiting."""
    async with await psycopg.AsyncConnection.connect(database) as writing:
        await writing.execute("INSERT INTO note VALUES (1)")

        async def open_it() -> None:
            async with slotted(database, "notes"):
                raise AssertionError("opened")

        opening = asyncio.create_task(open_it())

        async def waits() -> bool:
            query = (
                "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND query LIKE '%%create_logical_replication_slot(%%'"
            )
            return bool((await connection.execute(query)).rowcount)

        await eventually(waits)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await writing.rollback()
