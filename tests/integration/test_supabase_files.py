"""The migrations as files: applied as the Supabase CLI does, as the SQL editor does, and again."""

from collections.abc import Callable, Iterable

import psycopg
import pytest
from psycopg.errors import DivisionByZero, UnsafeNewEnumValueUsage

from tests.contract.store_fixtures import PLATFORM
from tests.integration.supabase_project import ACME, Project, project
from tests.integration.test_migrations import ENUMS
from xnovu.adapters.postgres.migrations import migrate, plan
from xnovu.sql.schema import Migration, migrations

__all__ = ["project"]

SCRIPTS = [migration.script for migration in migrations()]
NAMES = [migration.name for migration in migrations()]
# Whatever makes one schema another: columns, functions, policies, triggers, indexes and rights.
SCHEMA = """
SELECT concat_ws(' ', kind, name, told) AS it FROM (
    SELECT 'column' AS kind, table_name || '.' || column_name AS name,
           concat_ws(' ', data_type, column_default, is_nullable) AS told
    FROM information_schema.columns WHERE table_schema = 'notify'
    UNION ALL SELECT 'function', oid::regprocedure::text, concat_ws(' ', proacl, prosrc)
    FROM pg_proc WHERE pronamespace = 'notify'::regnamespace
    UNION ALL SELECT 'policy', tablename || '.' || policyname,
                     concat_ws(' ', cmd, roles, qual, with_check)
    FROM pg_policies WHERE schemaname = 'notify'
    UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(oid)
    FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'notify'
    UNION ALL SELECT 'rights', relname, concat_ws(' ', relacl, relrowsecurity)
    FROM pg_class WHERE relnamespace = 'notify'::regnamespace
    UNION ALL SELECT 'rights', attname, attacl::text FROM pg_attribute
    WHERE attrelid = to_regclass('notify.ent_notification') AND attacl IS NOT NULL
) AS everything"""
Way = Callable[[psycopg.Connection, Iterable[str]], None]


def in_transactions(connection: psycopg.Connection, scripts: Iterable[str]) -> None:
    """One transaction each."""
    for script in scripts:
        with connection.transaction():
            connection.execute(script.encode())


def in_batches(connection: psycopg.Connection, scripts: Iterable[str]) -> None:
    """As the CLI does: each statement prepared on its own, a file's in one implicit transaction."""
    for script in scripts:
        patience, statement, rest = script.partition("DO $xnovu$")
        with connection.pipeline():
            connection.execute(patience.encode(), prepare=True)
            connection.execute((statement + rest).encode(), prepare=True)


def in_one_go(connection: psycopg.Connection, scripts: Iterable[str]) -> None:
    """As the SQL editor does: one string of many statements, one implicit transaction."""
    connection.execute("\n".join(scripts).encode())


def without_a_search_path(connection: psycopg.Connection, scripts: Iterable[str]) -> None:
    connection.execute("SET search_path = ''")
    in_transactions(connection, scripts)


WAYS: list[Way] = [in_transactions, in_batches, in_one_go, without_a_search_path]
ways = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


def apply(project: Project, way: Way, scripts: Iterable[str] = tuple(SCRIPTS)) -> None:
    with psycopg.connect(project.owner, autocommit=True) as connection:
        way(connection, scripts)


def schema(project: Project) -> list[str]:
    return sorted(row["it"] for row in project.run(SCHEMA))


@ways
@pytest.mark.parametrize("before", ["", PLATFORM], ids=["fresh", "platform"])
def test_they_do_what_migrate_does(project: Project, way: Way, before: str) -> None:
    if before:
        project.run(before)
    apply(project, way)
    by_files = schema(project)
    assert all(step.applied_at for step in plan(project.owner))
    assert list(migrate(project.owner)) == []
    project.run("DROP SCHEMA notify CASCADE")
    if before:
        project.run(before)
    project.migrate()
    assert schema(project) == by_files


@ways
def test_again_they_change_nothing(project: Project, way: Way) -> None:
    project.migrate()
    row = project.insert()
    before, applied = schema(project), plan(project.owner)
    apply(project, way)
    apply(project, in_one_go, [SCRIPTS[2], *SCRIPTS])
    assert schema(project) == before
    assert plan(project.owner) == applied
    assert project.user(ACME, "SELECT id FROM notify.ent_notification") == [{"id": row}]


def test_the_rest_may_come_the_other_way(project: Project) -> None:
    apply(project, in_transactions, SCRIPTS[:3])
    assert [migration.name for migration in migrate(project.owner)] == NAMES[3:]
    apply(project, in_batches)


@pytest.mark.parametrize("way", [in_transactions, in_batches], ids=lambda way: way.__name__)
def test_a_platforms_own_enum_learns_its_values(project: Project, way: Way) -> None:
    project.run(ENUMS)
    apply(project, way)
    assert project.insert(notification_status="RETRACTED")


def test_new_values_of_an_enum_must_be_committed_first(project: Project) -> None:
    """Postgres's own rule; the whole of it is refused, and says so."""
    project.run(ENUMS)
    before = schema(project)
    with pytest.raises(UnsafeNewEnumValueUsage):
        apply(project, in_one_go)
    assert schema(project) == before


def test_a_step_that_fails_leaves_nothing(project: Project) -> None:
    broken = Migration(1, "0001_broken", "x", b"CREATE TABLE notify.t (); SELECT 1 / 0;")
    with pytest.raises(DivisionByZero):
        apply(project, in_batches, [broken.script])
    assert project.run("SELECT to_regnamespace('notify') AS it") == [{"it": None}]


def test_one_that_was_changed_is_refused(project: Project) -> None:
    project.migrate()
    changed = Migration(1, NAMES[0], "another", b"SELECT 1;")
    with pytest.raises(psycopg.Error, match="0001_tables was changed"):
        apply(project, in_transactions, [changed.script])
