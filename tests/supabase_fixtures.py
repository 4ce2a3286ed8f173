"""A local Supabase over the test's own database, migrated; skipped where there is no PostgREST."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.databases import Databases
from xnovu.adapters.postgres.migrations import migrate
from xnovu_local.supabase import (
    PostgrestMissing,
    RunningSupabase,
    find_postgrest,
    prepare,
    running_supabase,
)


@pytest.fixture(scope="session")
def postgrest_program() -> Path:
    try:
        return find_postgrest()
    except PostgrestMissing as missing:
        pytest.skip(str(missing))


def ready_project(dsn: str) -> None:
    """Make of an empty database what a Supabase project has, migrated by XNovu."""
    prepare(dsn)
    migrate(dsn)


@pytest.fixture
def project(databases: Databases) -> Iterator[str]:
    """The connection string of a database as a Supabase project has it, migrated by XNovu."""
    with databases.one(ready_project) as dsn:
        yield dsn


@pytest.fixture
async def supabase(project: str, postgrest_program: Path) -> AsyncIterator[RunningSupabase]:
    async with running_supabase(project) as running:
        yield running
