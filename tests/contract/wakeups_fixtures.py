"""One maker per kind of wake-ups. A new kind is one more in ``KINDS``."""

import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from tests.conftest import eventually
from tests.realtime_project import realtime_project
from xnovu.adapters.postgres.migrations import migrate
from xnovu.adapters.postgres.store import postgres_store
from xnovu.adapters.postgres.wakeups import NotifyWakeUps
from xnovu.adapters.supabase.realtime import RealtimeWakeUps
from xnovu.adapters.supabase.realtime_session import Patience
from xnovu.ports import WakeUps
from xnovu.sql.store import SqlStore
from xnovu.testing.contract.store_bench import GLOBEX
from xnovu_local.postgres import EmbeddedPostgres
from xnovu_local.supabase import prepare

SOON = {"backoff": 0.01, "backoff_max": 0.05}


class Ear:
    """Counts the hints."""

    def __init__(self) -> None:
        self.heard = 0

    def __call__(self) -> None:
        self.heard += 1


@dataclass
class Bench:
    """Wake-ups, not started, and what they listen to."""

    wakeups: WakeUps
    database: str
    cut: Callable[[], None]
    """Take away whatever gives the hints."""
    mend: Callable[[], None]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Ear]:
        """Started; what it heard on connecting is forgotten."""
        ear = Ear()
        await self.wakeups.start(ear)
        await eventually(lambda: ear.heard)
        ear.heard = 0
        yield ear
        await self.wakeups.stop()

    async def settled(self, ear: Ear) -> int:
        """How many hints came, once that of a last row has come too."""
        before = ear.heard
        self.execute("INSERT INTO notify.ent_notification (enterprise_id) VALUES (%s)", [GLOBEX])
        await eventually(lambda: ear.heard > before)
        return ear.heard - 1

    def execute(self, query: str, values: Any = None) -> None:
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute(query, values)


@asynccontextmanager
async def notify(server: EmbeddedPostgres, database: str) -> AsyncIterator[Bench]:
    yield Bench(NotifyWakeUps(database, **SOON), database, server.kill, server.start)


@asynccontextmanager
async def realtime(server: EmbeddedPostgres, database: str) -> AsyncIterator[Bench]:
    del server
    async with realtime_project(database) as project:
        wakeups = RealtimeWakeUps(
            lambda: project.url, lambda: project.keys.secret, patience=Patience(**SOON)
        )
        away = project.realtime.outage
        yield Bench(wakeups, database, lambda: away(math.inf), lambda: away(0))


Kind = Callable[[EmbeddedPostgres, str], AbstractAsyncContextManager[Bench]]
KINDS: list[Kind] = [notify, realtime]


@pytest.fixture(params=KINDS, ids=lambda make: make.__name__)
async def bench(
    request: pytest.FixtureRequest, postgres_server: EmbeddedPostgres, database: str
) -> AsyncIterator[Bench]:
    if request.param is realtime:
        prepare(database)
    migrate(database)
    async with request.param(postgres_server, database) as bench:
        yield bench


@pytest.fixture
async def ear(bench: Bench) -> AsyncIterator[Ear]:
    async with bench.listening() as ear:
        yield ear


@pytest.fixture
async def store(bench: Bench) -> AsyncIterator[SqlStore]:
    store = postgres_store(bench.database)
    await store.open()
    yield store
    await store.close()
