"""What an enterprise's users may do at the API, with Supabase's own client."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from postgrest import APIError
from supabase import AsyncClient

from tests.conformance.project import AUDIT, NAME, TABLE, Project
from xnovu.sql.store import SqlStore
from xnovu_local.supabase import Keys


@pytest.fixture
async def user(
    project: Project, anon_key: str, keys: Keys, acme: str
) -> AsyncIterator[AsyncClient]:
    """Signed in; of the one enterprise."""
    async with project.client(anon_key, keys.user_token(acme)) as client:
        yield client


@pytest.fixture
async def anonymous(project: Project, anon_key: str) -> AsyncIterator[AsyncClient]:
    async with project.client(anon_key) as client:
        yield client


@pytest.fixture
async def others(project: Project, globex: str) -> AsyncIterator[SqlStore]:
    async with project.store(globex) as store:
        yield store


async def insert(store: SqlStore) -> int:
    """By the platform."""
    (row,) = await store.insert([{"enterprise_id": store.enterprise_id, "name": NAME}])
    return row


def mine(enterprise: str, **columns: Any) -> dict[str, Any]:
    return {"enterprise_id": enterprise, "recipients": [str(uuid4())], "name": NAME, **columns}


def refused() -> Any:
    return pytest.raises(APIError, match="42501")


async def test_reads_what_is_of_the_own_enterprise(
    user: AsyncClient, store: SqlStore, others: SqlStore
) -> None:
    own, _ = await insert(store), await insert(others)
    found = await user.table(TABLE).select("*").execute()
    assert [row["id"] for row in found.data] == [own]


async def test_is_of_the_enterprise_that_the_token_says_and_nobody_else_does(
    user: AsyncClient, keys: Keys, store: SqlStore, acme: str, globex: str
) -> None:
    await insert(store)
    user.postgrest.auth(keys.user_token(globex, user_metadata={"enterprise_id": acme}))
    found = await user.table(TABLE).select("id").eq("enterprise_id", acme).execute()
    assert found.data == []


async def test_inserts_for_the_own_enterprise(user: AsyncClient, acme: str) -> None:
    given = mine(acme, payload={"a": 1}, channels=["EMAIL"], tags=["vip"])
    made = await user.table(TABLE).insert([given, given]).execute()
    assert [row["notification_status"] for row in made.data] == ["PENDING", "PENDING"]


@pytest.mark.parametrize("foreign", [{"notification_status": "SENT"}, {"claims": 1}, "globex"])
async def test_inserts_nothing_else(
    user: AsyncClient, acme: str, globex: str, foreign: dict[str, Any] | str
) -> None:
    row = mine(globex) if isinstance(foreign, str) else mine(acme, **foreign)
    with refused():
        await user.table(TABLE).insert(row).execute()


async def test_takes_back_and_does_nothing_more(
    user: AsyncClient, store: SqlStore, others: SqlStore
) -> None:
    own, _ = await insert(store), await insert(others)
    with refused():
        await user.table(TABLE).update({"notification_status": "SENT"}).eq("id", own).execute()
    change = {"notification_status": "RETRACTED", "retraction_reason": "a mistake"}
    (taken,) = (await user.table(TABLE).update(change).gt("id", 0).execute()).data
    assert (taken["id"], taken["retraction_reason"]) == (own, "a mistake")
    assert taken["retracted_at"]
    with refused():
        await user.table(TABLE).delete().eq("id", own).execute()
    trail = await user.table(AUDIT).select("notification_id").execute()
    assert trail.data == [{"notification_id": own}]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [("claim", {"max_rows": 0, "lease_seconds": 0}), ("record", {"outcomes": []}), ("state", {})],
)
async def test_calls_none_of_the_functions(
    user: AsyncClient, anonymous: AsyncClient, function: str, arguments: dict[str, Any]
) -> None:
    for who in (user, anonymous):
        with refused():
            await who.rpc(function, arguments).execute()


async def test_the_anonymous_read_nothing(anonymous: AsyncClient, store: SqlStore) -> None:
    await insert(store)
    with refused():
        await anonymous.table(TABLE).select("id").execute()
