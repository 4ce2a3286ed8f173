"""One bench per store. A new store is one more here: everything its contract needs to be tested."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from tests.databases import Databases, Make
from tests.supabase_fixtures import ready_project
from xnovu.adapters.memory.store import MemoryStore
from xnovu.adapters.postgres.migrations import make_roles, migrate
from xnovu.adapters.postgres.store import PostgresFunctions
from xnovu.adapters.supabase.store import SupabaseFunctions
from xnovu.events import Workflow
from xnovu.sql.store import Functions, SqlStore
from xnovu.testing.contract.store_bench import Bench
from xnovu_local.supabase import prepare, running_supabase

# What a platform may have had before XNovu came: other types, other columns, rows of its own.
PLATFORM = """
CREATE SCHEMA notify;
CREATE TABLE notify.ent_notification_workflow (
    id bigserial PRIMARY KEY,
    workflow_key varchar(80) NOT NULL,
    enterprise_id uuid NOT NULL,
    name text NOT NULL,
    payload_schema json,
    default_channels text[],
    version integer
);
CREATE TABLE notify.ent_notification (
    id bigserial PRIMARY KEY,
    name varchar(200),
    enterprise_id uuid,
    notification_workflow_id bigint REFERENCES notify.ent_notification_workflow (id),
    payload json,
    recipients text[],
    channels varchar(20)[],
    overrides jsonb,
    tags varchar[],
    notification_status text DEFAULT 'PENDING' CHECK (notification_status IN
        ('PENDING', 'PROCESSING', 'SENT', 'FAILED', 'RETRACTED')),
    transaction_id uuid,
    scheduled_for timestamptz,
    processed_at timestamp,
    error_details json,
    due boolean,
    reason text,
    keys text
);
"""

# What Supabase's guide has a platform do for a schema of its own.
EXPOSED = """
GRANT USAGE ON SCHEMA notify TO anon, authenticated, service_role;
GRANT ALL ON ALL TABLES IN SCHEMA notify TO anon, authenticated, service_role;
GRANT ALL ON ALL SEQUENCES IN SCHEMA notify TO anon, authenticated, service_role;
"""


@dataclass(slots=True)
class Clock:
    """Tells the true time; moves by a microsecond at least whenever asked, as transactions do."""

    last: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        self.last = max(datetime.now(UTC), self.last + timedelta(microseconds=1))
        return self.last


@dataclass(slots=True)
class MemoryBench:
    store: MemoryStore = field(default_factory=lambda: MemoryStore(Clock()))

    def only(self, enterprise_id: str) -> MemoryStore:
        return self.store.only(enterprise_id)

    async def workflow(self, workflow: Workflow) -> str:
        self.store.register(workflow)
        return workflow.workflow_key

    async def change(self, notification_id: int, **columns: Any) -> None:
        for name, value in columns.items():
            setattr(self.store.records[notification_id], name, value)

    async def row(self, notification_id: int) -> Mapping[str, Any]:
        return self.store.records[notification_id].model_dump()

    async def remove(self, notification_id: int) -> None:
        del self.store.records[notification_id]
        self.store.sends.of.pop(notification_id, None)

    async def refuse_claims(self, name: str) -> bool:
        return False


@dataclass(slots=True)
class SqlBench:
    store: SqlStore
    functions: Functions
    connection: psycopg.AsyncConnection[dict[str, Any]]
    by_id: bool

    def only(self, enterprise_id: str) -> SqlStore:
        return SqlStore(self.functions, enterprise_id)

    async def workflow(self, workflow: Workflow) -> Any:
        row = workflow.model_dump(mode="json", exclude_none=True)
        columns = sql.SQL(", ").join(map(sql.Identifier, row))
        added = await self.connection.execute(
            sql.SQL(
                "INSERT INTO notify.ent_notification_workflow ({0}) SELECT {0} FROM"
                " jsonb_populate_record(NULL::notify.ent_notification_workflow, %s) RETURNING id"
            ).format(columns),
            [psycopg.types.json.Jsonb(row)],
        )
        new = await added.fetchone()
        assert new
        return new["id"] if self.by_id else workflow.workflow_key

    async def change(self, notification_id: int, **columns: Any) -> None:
        changes = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(c)) for c in columns)
        query = sql.SQL("UPDATE notify.ent_notification SET {} WHERE id = %s").format(changes)
        await self.connection.execute(query, [*columns.values(), notification_id])

    async def row(self, notification_id: int) -> Mapping[str, Any]:
        query = "SELECT * FROM notify.ent_notification WHERE id = %s"
        found = await (await self.connection.execute(query, [notification_id])).fetchone()
        assert found
        return found

    async def remove(self, notification_id: int) -> None:
        query = "DELETE FROM notify.ent_notification WHERE id = %s"
        await self.connection.execute(query, [notification_id])

    async def refuse_claims(self, name: str) -> bool:
        query = sql.SQL(
            "ALTER TABLE notify.ent_notification ADD CONSTRAINT refuses CHECK"
            " (name IS DISTINCT FROM {} OR notification_status::text <> 'PROCESSING') NOT VALID"
        )
        await self.connection.execute(query.format(name))
        return True


@asynccontextmanager
async def memory(dsn: str) -> AsyncIterator[Bench]:
    del dsn
    yield MemoryBench()


@asynccontextmanager
async def postgres(dsn: str) -> AsyncIterator[Bench]:
    """A database that XNovu made itself."""
    async with _bench(dsn, PostgresFunctions(dsn), by_id=False) as bench:
        yield bench


@asynccontextmanager
async def platform(dsn: str) -> AsyncIterator[Bench]:
    """A database that was there before."""
    async with _bench(dsn, PostgresFunctions(dsn), by_id=True) as bench:
        yield bench


@dataclass(frozen=True, slots=True)
class AsStage:
    """The functions as the role `xnovu_stage` has them; what a platform inserts is the owner's."""

    stage: PostgresFunctions
    platform: PostgresFunctions
    most = None

    async def open(self) -> None:
        await self.stage.open()
        await self.platform.open()

    async def close(self) -> None:
        await self.stage.close()
        await self.platform.close()

    async def renew(self) -> None:
        await self.stage.renew()

    async def call(self, function: str, **arguments: Any) -> Sequence[Any]:
        asked = self.platform if function == "enqueue" else self.stage
        return await asked.call(function, **arguments)


@asynccontextmanager
async def as_stage(dsn: str) -> AsyncIterator[Bench]:
    """A database that XNovu made itself, of which the store has no table."""
    stage = make_conninfo(dsn, options="-c role=xnovu_stage")
    functions = AsStage(PostgresFunctions(stage), PostgresFunctions(dsn))
    async with _bench(dsn, functions, by_id=False) as bench:
        yield bench


@asynccontextmanager
async def supabase(dsn: str) -> AsyncIterator[Bench]:
    """A Supabase project that XNovu made the tables of."""
    async with _project(dsn) as functions, _bench(dsn, functions, by_id=False) as bench:
        yield bench


@asynccontextmanager
async def supabase_platform(dsn: str) -> AsyncIterator[Bench]:
    """A Supabase project that had its tables before."""
    async with (
        _project(dsn) as functions,
        _bench(dsn, functions, by_id=True) as bench,
    ):
        yield bench


@asynccontextmanager
async def _project(dsn: str) -> AsyncIterator[SupabaseFunctions]:
    async with running_supabase(dsn) as project:
        yield SupabaseFunctions(lambda: project.url, lambda: project.keys.secret)


@asynccontextmanager
async def _bench(dsn: str, functions: Functions, *, by_id: bool) -> AsyncIterator[Bench]:
    store = SqlStore(functions)
    connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True, row_factory=dict_row)
    async with connection:
        # As in memory, so that all say the same; by default it is random.
        await connection.execute(
            "ALTER TABLE notify.ent_notification ALTER generation SET DEFAULT 0"
        )
        await store.open()
        try:
            yield SqlBench(store, functions, connection, by_id)
        finally:
            await store.close()


def ready_platform(dsn: str, tables: str = PLATFORM) -> None:
    """Migrate an empty database after it has had these tables."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(tables.encode())
    migrate(dsn)


def ready_roles(dsn: str) -> None:
    """Migrate an empty database, with XNovu's roles."""
    migrate(dsn)
    make_roles(dsn)


def ready_supabase_platform(dsn: str) -> None:
    prepare(dsn)
    ready_platform(dsn, PLATFORM + EXPOSED)


READY: Mapping[Callable[[str], object], Make] = {
    postgres: migrate,
    platform: ready_platform,
    as_stage: ready_roles,
    supabase: ready_project,
    supabase_platform: ready_supabase_platform,
}
BENCHES = (
    *(memory, postgres, platform, as_stage, supabase),
    # The same functions with the tables of `platform`, over the REST API of `supabase`.
    pytest.param(supabase_platform, marks=pytest.mark.exhaustive),
)


@pytest.fixture(params=BENCHES, ids=lambda make: make.__name__)
async def bench(request: pytest.FixtureRequest, databases: Databases) -> AsyncIterator[Bench]:
    make = request.param
    if make in (supabase, supabase_platform):
        request.getfixturevalue("postgrest_program")
    with databases.one(READY[make]) if make in READY else nullcontext("") as dsn:
        async with make(dsn) as bench:
            yield bench
