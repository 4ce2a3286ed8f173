"""The project has what XNovu needs: its schema, its functions, its rights and its limits."""

from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from supabase import AsyncClient

from tests.conformance.project import AUDIT, TABLE, WORKFLOWS, Project
from xnovu.errors import ConfigurationError
from xnovu.sql.schema import migrations
from xnovu.sql.store import SqlStore

TIMES = {"lease_seconds": 1.0, "settle_seconds": 1.0, "hold_seconds": 1.0}

HARMLESS: dict[str, dict[str, Any]] = {
    "enqueue": {"notifications": []},
    "load": {"keys": []},
    "begin_send": {"keys": [], "token": str(uuid4()), **TIMES, "lost": []},
    "end_send": {"keys": [], "token": str(uuid4())},
    "record": {"outcomes": []},
    "release": {"keys": []},
    "redrive": {"keys": [], "who": None},
    "retract": {"keys": [], "reason": None},
    "begin_retraction": {"keys": [], "settle_seconds": 1.0, "hold_seconds": 1.0},
    "record_retractions": {"outcomes": []},
}


async def test_it_is_exposed_migrated_and_the_service_keys(
    project: Project, store: SqlStore
) -> None:
    assert await store.ready() is None
    async with project.functions() as called:
        (state,) = await called.call("state")
    assert (state["role"], state["hidden"]) == ("service_role", False)


async def test_every_migration_was_applied(platform: AsyncClient) -> None:
    ledger = await platform.table("xnovu_migration").select("version, name").execute()
    applied = {(row["version"], row["name"]) for row in ledger.data}
    assert {(each.version, each.name) for each in migrations()} <= applied


@pytest.mark.parametrize("function", HARMLESS)
async def test_a_function_is_there(project: Project, function: str) -> None:
    async with project.functions() as called:
        assert list(await called.call(function, **HARMLESS[function])) == []


@pytest.mark.parametrize("table", [TABLE, WORKFLOWS, AUDIT])
async def test_a_table_can_be_read(platform: AsyncClient, table: str, acme: str) -> None:
    found = await platform.table(table).select("*").eq("enterprise_id", acme).execute()
    assert found.data == []


async def test_an_answer_carries_as_many_rows_as_are_asked_for(project: Project) -> None:
    """A longer one would be cut off after its work was done; the error says what to set."""
    outcome = {"id": 1, "enterprise_id": str(uuid4()), "generation": 0, "claims": 1}
    async with project.functions() as called:
        told = await called.call("xnovu_told", outcomes=[outcome] * project.max_rows)
    assert len(told) == project.max_rows


async def test_what_is_not_there_is_told(project: Project) -> None:
    async with project.functions() as called:
        with pytest.raises(ConfigurationError, match="run `xnovu migrate`"):
            await called.call("xnovu_told", no_such_argument=[])


def test_nobody_on_the_way_can_read_the_key(project: Project) -> None:
    url = urlsplit(project.url)
    if url.hostname in ("127.0.0.1", "::1", "localhost"):
        pytest.skip("it is on this machine")
    assert url.scheme == "https"
