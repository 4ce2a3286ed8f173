"""A local Supabase over the test's own database, migrated; skipped where there is no PostgREST."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from xnovu.adapters.postgres.migrations import migrate
from xnovu.local.supabase import (
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


@pytest.fixture
def project(database: str) -> str:
    """The connection string of a database as a Supabase project has it, migrated by XNovu."""
    prepare(database)
    migrate(database)
    return database


@pytest.fixture
async def supabase(project: str, postgrest_program: Path) -> AsyncIterator[RunningSupabase]:
    async with running_supabase(project) as running:
        yield running
