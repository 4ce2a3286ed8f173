"""A local Supabase as Supabase's own client sees it."""

from uuid import UUID

import psycopg
import pytest
from postgrest import APIError

from tests.conftest import eventually
from xnovu_local.supabase import RunningSupabase, prepare

from .conftest import Connect

ONE, OTHER = UUID(int=1), UUID(int=2)
ROLES = ("anon", "service_role")


async def test_reads_and_writes_a_table(supabase: RunningSupabase, connect: Connect) -> None:
    client = await connect(supabase.service_key)
    await client.table("note").insert([{"id": 1}, {"id": 2}]).execute()
    found = await client.table("note").select("id,text").order("id").execute()
    assert found.data == [{"id": 1, "text": "hello"}, {"id": 2, "text": "hello"}]
    await client.table("note").update({"text": 'a "b", ä&=+?'}).eq("id", 1).execute()
    found = await client.table("note").select("id").eq("text", 'a "b", ä&=+?').execute()
    assert found.data == [{"id": 1}]
    gone = await client.table("note").delete().gt("id", 0).execute()
    assert len(gone.data) == 2
    empty = await client.table("note").select("*", count="exact", head=True).execute()
    assert empty.count == 0


@pytest.mark.parametrize(
    ("key", "role"),
    [
        ("anon", "anon"),
        ("publishable", "anon"),
        ("service_role", "service_role"),
        ("secret", "service_role"),
    ],
)
async def test_each_key_stands_for_a_role(
    supabase: RunningSupabase, connect: Connect, key: str, role: str
) -> None:
    client = await connect(getattr(supabase.keys, key))
    answer = await client.rpc("whoami", get=True).execute()
    assert answer.data == {"role": role, "claimed": role, "uid": None, "enterprise": None}


@pytest.mark.parametrize("key", ["anon", "publishable", "secret"])
async def test_a_users_token_goes_before_the_key(
    supabase: RunningSupabase, connect: Connect, key: str
) -> None:
    token = supabase.keys.user_token(ONE, sub=str(OTHER))
    client = await connect(getattr(supabase.keys, key), token)
    assert (await client.rpc("whoami").execute()).data == {
        "role": "authenticated",
        "claimed": "authenticated",
        "uid": str(OTHER),
        "enterprise": str(ONE),
    }


async def test_row_security_holds_for_all_but_the_service(
    supabase: RunningSupabase, connect: Connect
) -> None:
    service = await connect(supabase.service_key)
    rows = [{"id": 1, "enterprise_id": str(ONE)}, {"id": 2, "enterprise_id": str(OTHER)}]
    await service.table("note").insert(rows).execute()
    user = await connect(supabase.anon_key, supabase.keys.user_token(ONE))
    assert (await user.table("note").select("id").execute()).data == [{"id": 1}]
    nobody = await connect(supabase.anon_key)
    assert (await nobody.table("note").select("id").execute()).data == []
    with pytest.raises(APIError, match="row-level security"):
        await user.table("note").insert({"id": 3, "enterprise_id": str(OTHER)}).execute()
    with pytest.raises(APIError, match="permission denied"):
        await nobody.table("note").insert({"id": 3}).execute()


async def test_the_service_may_use_what_xnovu_has_made(
    supabase: RunningSupabase, connect: Connect
) -> None:
    client = await connect(supabase.service_key)
    row = {"enterprise_id": str(ONE), "name": "welcome"}
    made = await client.table("ent_notification").insert(row).execute()
    assert made.data[0]["notification_status"] == "PENDING"
    nobody = await connect(supabase.anon_key)
    with pytest.raises(APIError, match="permission denied"):
        await nobody.table("ent_notification").select("id").execute()


async def test_an_expired_token_is_refused(supabase: RunningSupabase, connect: Connect) -> None:
    client = await connect(supabase.anon_key, supabase.keys.user_token(ONE, exp=1))
    with pytest.raises(APIError, match="JWT expired"):
        await client.rpc("whoami").execute()


async def test_keys_come_and_go(supabase: RunningSupabase, connect: Connect) -> None:
    fresh = supabase.keys.add("service_role")
    client = await connect(fresh)
    assert (await client.rpc("whoami").execute()).data["role"] == "service_role"
    supabase.keys.revoke(supabase.keys.secret)
    assert (await client.rpc("whoami").execute()).data["role"] == "service_role"
    supabase.keys.revoke(fresh)
    with pytest.raises(APIError, match="Invalid API key"):
        await client.rpc("whoami").execute()


async def test_a_new_table_is_soon_known(supabase: RunningSupabase, connect: Connect) -> None:
    client = await connect(supabase.service_key)
    with psycopg.connect(supabase.dsn) as connection:
        connection.execute("CREATE TABLE public.fresh AS SELECT 1 AS id")

    async def known() -> bool:
        try:
            found = await client.schema("public").table("fresh").select("id").execute()
        except APIError:
            return False
        return found.data == [{"id": 1}]

    await eventually(known)


async def test_preparing_a_database_again_changes_nothing(
    supabase: RunningSupabase, connect: Connect
) -> None:
    login = prepare(supabase.dsn)
    assert prepare(supabase.dsn) == login
    client = await connect(supabase.anon_key)
    assert (await client.rpc("whoami").execute()).data["role"] == "anon"
    with psycopg.connect(login) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("8s",)
