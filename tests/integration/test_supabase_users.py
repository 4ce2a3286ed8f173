"""An enterprise's users at the API, with Supabase's own client and a real PostgREST."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from postgrest import APIError
from supabase import AsyncClient, AsyncClientOptions, acreate_client

from tests.integration.supabase_project import ACME, GLOBEX
from tests.supabase_fixtures import postgrest_program, project, supabase
from xnovu.local.supabase import RunningSupabase

__all__ = ["postgrest_program", "project", "supabase"]

TABLE = "ent_notification"


@pytest.fixture
async def user(supabase: RunningSupabase) -> AsyncIterator[AsyncClient]:
    """Signed in; of ACME."""
    async with httpx.AsyncClient(timeout=60) as http:
        options = AsyncClientOptions(schema="notify", httpx_client=http)
        client = await acreate_client(supabase.url, supabase.anon_key, options)
        client.postgrest.auth(supabase.keys.user_token(ACME))
        yield client


def insert(supabase: RunningSupabase, enterprise: str) -> int:
    """As the owner."""
    query = "INSERT INTO notify.ent_notification (enterprise_id) VALUES (%s) RETURNING id"
    with psycopg.connect(supabase.dsn) as connection:
        [(row,)] = connection.execute(query, [enterprise]).fetchall()
    return row


def mine(**columns: Any) -> dict[str, Any]:
    return {"enterprise_id": ACME, "recipients": [str(uuid4())], **columns}


def refused() -> Any:
    return pytest.raises(APIError, match="42501")


async def test_reads_what_is_of_the_own_enterprise(
    user: AsyncClient, supabase: RunningSupabase
) -> None:
    own, _ = insert(supabase, ACME), insert(supabase, GLOBEX)
    found = await user.table(TABLE).select("*").execute()
    assert [row["id"] for row in found.data] == [own]
    user.postgrest.auth(supabase.keys.user_token(GLOBEX, user_metadata={"enterprise_id": ACME}))
    found = await user.table(TABLE).select("id").eq("enterprise_id", ACME).execute()
    assert found.data == []


async def test_inserts_for_the_own_enterprise(user: AsyncClient) -> None:
    given = mine(payload={"a": 1}, channels=["EMAIL"], tags=["vip"])
    made = await user.table(TABLE).insert([given, given]).execute()
    assert [row["notification_status"] for row in made.data] == ["PENDING", "PENDING"]


@pytest.mark.parametrize(
    "foreign", [{"enterprise_id": GLOBEX}, {"notification_status": "SENT"}, {"claims": 1}]
)
async def test_inserts_nothing_else(user: AsyncClient, foreign: dict[str, Any]) -> None:
    with refused():
        await user.table(TABLE).insert(mine(**foreign)).execute()


async def test_takes_back_and_does_nothing_more(
    user: AsyncClient, supabase: RunningSupabase
) -> None:
    own, _ = insert(supabase, ACME), insert(supabase, GLOBEX)
    with refused():
        await user.table(TABLE).update({"notification_status": "SENT"}).eq("id", own).execute()
    change = {"notification_status": "RETRACTED", "retraction_reason": "a mistake"}
    (taken,) = (await user.table(TABLE).update(change).gt("id", 0).execute()).data
    assert (taken["id"], taken["retraction_reason"]) == (own, "a mistake")
    assert taken["retracted_at"]
    with refused():
        await user.table(TABLE).delete().eq("id", own).execute()
    trail = await user.table("ent_notification_audit").select("notification_id").execute()
    assert trail.data == [{"notification_id": own}]


@pytest.mark.parametrize("key", ["anon_key", "user"])
async def test_calls_none_of_the_functions(
    user: AsyncClient, supabase: RunningSupabase, key: str
) -> None:
    if key == "anon_key":
        user.postgrest.auth(supabase.anon_key)
    for name, arguments in (("claim", {"max_rows": 1, "lease_seconds": 60}), ("state", {})):
        with refused():
            await user.rpc(name, arguments).execute()


async def test_the_anonymous_read_nothing(user: AsyncClient, supabase: RunningSupabase) -> None:
    insert(supabase, ACME)
    user.postgrest.auth(supabase.anon_key)
    with refused():
        await user.table(TABLE).select("id").execute()


async def test_the_service_key_claims(user: AsyncClient, supabase: RunningSupabase) -> None:
    own = insert(supabase, ACME)
    user.postgrest.auth(supabase.service_key)
    claimed = await user.rpc("claim", {"max_rows": 1, "lease_seconds": 60}).execute()
    assert [row["id"] for row in claimed.data] == [own]
