"""A local Realtime on a database of XNovu's, which a Supabase project would have made ready."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.supabase_fixtures import project
from xnovu.adapters.postgres.store import postgres_store
from xnovu.sql.store import SqlStore
from xnovu.testing.contract.store_bench import ACME, enterprise
from xnovu_local.supabase import Keys
from xnovu_local.supabase.realtime import LocalRealtime, RealtimeOptions, running_realtime

__all__ = ["PRIVATE", "Project", "project", "supabase_realtime"]

PRIVATE = "ada@example.org"
FAST = RealtimeOptions(poll=0.0, resubscribe_delay=0.01, join_error_delay=0.01)


@dataclass(slots=True)
class Project:
    """A project: its Realtime, its keys, and what happens in its table."""

    store: SqlStore
    realtime: LocalRealtime
    url: str
    dsn: str
    keys: Keys = field(repr=False)

    def token(self, enterprise_id: str = ACME, *, lives: float = 3600) -> str:
        """Of a user of that enterprise."""
        return self.keys.user_token(enterprise_id, exp=time.time() + lives)

    async def insert(self, count: int = 1, **columns: Any) -> Sequence[int]:
        row = {
            "enterprise_id": ACME,
            "recipients": [enterprise()],
            "payload": {"to": PRIVATE},
            **columns,
        }
        return await self.store.insert([row] * count)


@asynccontextmanager
async def realtime_project(dsn: str) -> AsyncIterator[Project]:
    """Over a database that is prepared and migrated."""
    store, keys = postgres_store(dsn), Keys()
    await store.open()
    async with running_realtime(dsn, keys, FAST) as running:
        url = running.url.removesuffix("/realtime/v1")
        yield Project(store, running.realtime, url, dsn, keys)
    await store.close()


@pytest.fixture
async def supabase_realtime(project: str) -> AsyncIterator[Project]:
    async with realtime_project(project) as running:
        yield running
