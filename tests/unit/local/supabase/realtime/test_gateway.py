"""Realtime and PostgREST behind one address, through Supabase's own client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from supabase import AsyncClient

from tests.conftest import eventually
from tests.unit.local.supabase.conftest import Connect
from xnovu.testing.contract.store_bench import ACME, GLOBEX
from xnovu_local.supabase import Keys, RunningSupabase, running_supabase
from xnovu_local.supabase.realtime import LocalRealtime, local_realtime

from .conftest import FAST, Notes

pytestmark = pytest.mark.usefixtures("postgrest_program")


@asynccontextmanager
async def fast(dsn: str, keys: Keys) -> AsyncIterator[LocalRealtime]:
    async with local_realtime(dsn, keys, FAST) as realtime:
        yield realtime


@pytest.fixture
async def supabase(
    database: str, notes: Notes, postgrest_program: Path
) -> AsyncIterator[RunningSupabase]:
    await notes.execute("GRANT ALL ON notify.note TO service_role")
    async with running_supabase(database, realtime=fast) as running:
        yield running


async def listening(client: AsyncClient) -> list[dict[str, Any]]:
    """What the client is told, from when the database listens."""
    told: list[dict[str, Any]] = []
    ready: list[str] = []
    channel = client.channel("notes").on_system(lambda payload: ready.append(payload.message))
    channel.on_postgres_changes("INSERT", told.append, table="note", schema="notify")
    await channel.subscribe()
    await eventually(lambda: ready)
    return told


async def test_tells_what_was_written_by_the_same_client(
    supabase: RunningSupabase, connect: Connect
) -> None:
    client = await connect(supabase.keys.secret)
    told = await listening(client)
    await client.table("note").insert({"id": 1, "enterprise_id": ACME}).execute()
    await eventually(lambda: told)
    assert told[0]["data"]["record"]["id"] == 1
    await client.realtime.close()


async def test_users_are_told_of_their_own(
    supabase: RunningSupabase, connect: Connect, notes: Notes
) -> None:
    client = await connect(supabase.anon_key)
    await client.realtime.set_auth(supabase.keys.user_token(ACME))
    told = await listening(client)
    await notes.insert(1, enterprise_id=GLOBEX)
    await notes.insert(2)
    await eventually(lambda: told)
    assert [each["data"]["record"]["id"] for each in told] == [2]
    await client.realtime.close()


async def test_what_cannot_read_the_log_does_not_start(database: str, keys: Keys) -> None:
    with pytest.raises(psycopg.errors.UndefinedObject, match="supabase_realtime"):
        async with local_realtime(database, keys):
            raise AssertionError("started")
