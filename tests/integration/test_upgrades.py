"""From every version that databases have, `migrate` leads to the same schema, and rows are kept."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.conftest import server_of_its_own
from tests.contract.store_fixtures import PLATFORM
from tests.integration.schema_text import schema_text
from tests.integration.test_migrations import ENUMS
from tests.upgrades import old_scripts, skip_unless_known
from xnovu.adapters.postgres.migrations import migrate, plan
from xnovu.adapters.postgres.store import postgres_store
from xnovu.sql.schema import ACCESS, Function, functions, functions_script, migrations
from xnovu_local.postgres import EmbeddedPostgres
from xnovu_local.supabase import prepare

VERSIONS = range(1, len(old_scripts()) + 1)
TABLES = {"own": "", "platform": PLATFORM, "enums": ENUMS}
STATUSES = ("PENDING", "PROCESSING", "SENT", "FAILED", "RETRACTED")
STALE = "the database is not up to date: run `xnovu migrate`"
LEDGER = "SELECT name, checksum, applied_at FROM notify.xnovu_function ORDER BY name"
ROWS = "SELECT * FROM notify.ent_notification ORDER BY id"
NEWER = (
    "INSERT INTO notify.xnovu_migration (version, name, checksum) VALUES (9999, '9999_newer', '')"
)
Databases = Callable[[str], str]


@pytest.fixture(scope="module")
def plain() -> Iterator[Databases]:
    """Databases of a server that has never heard of Supabase, whose roles are all of a server's."""
    with server_of_its_own() as server:
        yield server.create_database


@pytest.fixture(scope="module")
def supabase(postgres_server: EmbeddedPostgres) -> Databases:
    def create(name: str) -> str:
        dsn = postgres_server.create_database(name)
        prepare(dsn)
        return dsn

    return create


@pytest.fixture(scope="module", params=["plain", "supabase"])
def databases(request: pytest.FixtureRequest) -> Databases:
    """Empty databases."""
    create = request.getfixturevalue(request.param)
    return lambda name: create(f"{name}_{uuid4().hex[:8]}")


@pytest.fixture(scope="module")
def fresh(databases: Databases) -> Callable[[str], str]:
    """What `migrate` makes of an empty database, or of one with these tables."""

    @cache
    def text(tables: str) -> str:
        dsn = databases("fresh")
        run(dsn, TABLES[tables])
        migrate(dsn)
        return schema_text(dsn, bodies=True)

    return text


def run(dsn: str, *scripts: str) -> None:
    """Each in a transaction of its own."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for script in filter(None, scripts):
            connection.execute(script.encode())


def rows(dsn: str, query: str = ROWS) -> Sequence[dict[str, Any]]:
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        return connection.execute(query.encode()).fetchall()


def at_version(databases: Databases, version: int, tables: str = "own") -> str:
    """A database as it was then."""
    dsn = databases(f"version_{version}")
    with psycopg.connect(dsn) as connection:
        skip_unless_known(connection.info, version)
    run(dsn, TABLES[tables], *list(old_scripts().values())[:version])
    return dsn


async def not_ready(dsn: str) -> str | None:
    store = postgres_store(dsn)
    await store.open()
    try:
        return await store.ready()
    finally:
        await store.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_becomes_what_a_fresh_one_is(
    databases: Databases, fresh: Callable[[str], str], version: int
) -> None:
    dsn = at_version(databases, version)
    with psycopg.connect(dsn) as connection:
        connection.cursor().executemany(
            "INSERT INTO notify.ent_notification (enterprise_id, notification_status, recipients)"
            " VALUES (%s, %s, %s)",
            [(uuid4(), status, [uuid4()]) for status in STATUSES],
        )
    before = rows(dsn)
    migrate(dsn)
    assert schema_text(dsn, bodies=True) == fresh("own")
    kept = rows(dsn)
    assert [row | was for row, was in zip(kept, before, strict=True)] == kept
    assert migrate(dsn) == []


@pytest.mark.parametrize("version", [2, 5, 8, 13, 19])
@pytest.mark.parametrize("tables", ["platform", "enums"])
def test_so_does_a_platforms(
    databases: Databases, fresh: Callable[[str], str], version: int, tables: str
) -> None:
    dsn = at_version(databases, version, tables)
    migrate(dsn)
    assert schema_text(dsn, bodies=True) == fresh(tables)


def test_both_ways_lead_to_one_ledger(databases: Databases) -> None:
    """So an older version, and files of older versions, find nothing to do."""
    upgraded, new = at_version(databases, 19), databases("new")
    known = rows(upgraded, "SELECT version, name, checksum FROM notify.xnovu_migration")
    for dsn in (upgraded, new):
        migrate(dsn)
    versions = "SELECT version, name, checksum FROM notify.xnovu_migration ORDER BY version"
    assert rows(upgraded, versions) == rows(new, versions)
    assert [line for line in rows(new, versions) if line["version"] <= 19] == known
    before = schema_text(new, bodies=True)
    run(new, *old_scripts().values())
    assert schema_text(new, bodies=True) == before


def test_stages_of_before_ask_for_its_state_as_they_did(databases: Databases) -> None:
    dsn = at_version(databases, 19)
    (before,) = rows(dsn, "SELECT notify.state() AS it")
    migrate(dsn)
    (after,) = rows(dsn, "SELECT notify.state() AS it")
    assert after["it"]["version"] == migrations()[-1].version
    assert after["it"] | before["it"] | {"version": after["it"]["version"]} == after["it"]


async def test_a_newer_database_is_left_as_it_is(databases: Databases) -> None:
    dsn = databases("newer")
    migrate(dsn)
    run(dsn, NEWER, "DELETE FROM notify.xnovu_migration WHERE version = 2")
    run(dsn, "UPDATE notify.xnovu_function SET checksum = 'newer'", "DROP FUNCTION notify.failed")
    before, ledger = schema_text(dsn, bodies=True), rows(dsn, LEDGER)
    assert [step.name for step in plan(dsn) if step.newer] == ["9999_newer"]
    assert migrate(dsn) == []
    run(dsn, functions_script(functions()))
    assert (schema_text(dsn, bodies=True), rows(dsn, LEDGER)) == (before, ledger)
    assert await not_ready(dsn) is None


@pytest.mark.parametrize("version", [6, 19])
async def test_an_older_database_is_not_ready(databases: Databases, version: int) -> None:
    dsn = at_version(databases, version)
    assert await not_ready(dsn) == STALE
    run(dsn, *(migration.script for migration in migrations()))
    assert await not_ready(dsn) == STALE
    migrate(dsn)
    assert await not_ready(dsn) is None
    run(dsn, "UPDATE notify.xnovu_function SET checksum = 'another' WHERE name = 'xnovu_access'")
    assert await not_ready(dsn) == STALE


def test_only_what_has_changed_is_run(databases: Databases) -> None:
    dsn = databases("changed")
    migrate(dsn)
    before, text = rows(dsn, LEDGER), schema_text(dsn, bodies=True)
    changed = ("load", ACCESS)
    run(dsn, f"UPDATE notify.xnovu_function SET checksum = 'another' WHERE name IN {changed}")
    assert migrate(dsn) == ["functions"]
    after = rows(dsn, LEDGER)
    assert [line["name"] for line in after if line not in before] == [*changed]
    assert schema_text(dsn, bodies=True) == text


def test_a_function_that_fails_leaves_all_as_they_were(databases: Databases) -> None:
    dsn = at_version(databases, 19)
    run(dsn, *(migration.script for migration in migrations()))
    before = schema_text(dsn, bodies=True)
    broken = Function("xnovu_zzz", "f" * 64, "SELECT 1 / 0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        run(dsn, functions_script([*functions()[:-1], broken, functions()[-1]]))
    assert schema_text(dsn, bodies=True) == before
