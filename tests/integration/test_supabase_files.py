"""The schema as files: applied as the Supabase CLI does, as the SQL editor does, and again."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import psycopg
import pytest
from psycopg.errors import DivisionByZero, UnsafeNewEnumValueUsage

from tests.contract.store_fixtures import PLATFORM
from tests.integration.schema_text import schema_text
from tests.integration.supabase_project import ACME, Project, project
from tests.integration.test_migrations import ENUMS, TABLES
from tests.upgrades import old_scripts
from xnovu.adapters.postgres.migrations import migrate, plan
from xnovu.cli.migration_files import migration_files
from xnovu.sql.schema import Migration

__all__ = ["project"]

# What the CLI's parser makes of a file.
STATEMENT = re.compile(
    r"^SELECT set_config.*?;$|^DO \$xnovu\$.*?^END \$xnovu\$;$", re.MULTILINE | re.DOTALL
)
LEDGERS = """
SELECT version::text AS name, checksum FROM notify.xnovu_migration
UNION ALL SELECT name, checksum FROM notify.xnovu_function ORDER BY 1, 2"""
Way = Callable[[psycopg.Connection, Iterable[str]], None]


def in_transactions(connection: psycopg.Connection, scripts: Iterable[str]) -> None:
    """One transaction each."""
    for script in scripts:
        with connection.transaction():
            connection.execute(script.encode())


def in_batches(connection: psycopg.Connection, scripts: Iterable[str]) -> None:
    """As the CLI does: each statement prepared on its own, a file's in one implicit transaction."""
    for script in scripts:
        with connection.pipeline():
            for statement in STATEMENT.findall(script):
                connection.execute(statement.encode(), prepare=True)


def in_one_go(connection: psycopg.Connection, scripts: Iterable[str]) -> None:
    """As the SQL editor does: one string of many statements, one implicit transaction."""
    connection.execute("\n".join(scripts).encode())


def without_a_search_path(connection: psycopg.Connection, scripts: Iterable[str]) -> None:
    connection.execute("SET search_path = ''")
    in_transactions(connection, scripts)


WAYS: list[Way] = [in_transactions, in_batches, in_one_go, without_a_search_path]
ways = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Those of a project that has none, written."""
    for file in migration_files(tmp_path):
        file.write()
    return written(tmp_path)


@pytest.fixture
def files_after_old(tmp_path: Path) -> list[str]:
    """Those of a project that has the files of versions 1 to 19."""
    folder = tmp_path / "supabase" / "migrations"
    folder.mkdir(parents=True)
    for name, text in old_scripts().items():
        (folder / f"20260101{int(name[:4]):06}_xnovu_{name}.sql").write_text(text)
    for file in migration_files(tmp_path):
        if not file.written:
            file.write()
    return written(tmp_path)


def written(tmp_path: Path) -> list[str]:
    return [path.read_text() for path in sorted(tmp_path.glob("supabase/migrations/*"))]


def apply(project: Project, way: Way, scripts: Iterable[str]) -> None:
    with psycopg.connect(project.owner, autocommit=True) as connection:
        way(connection, scripts)


def state(project: Project) -> tuple[str, list[dict[str, str]]]:
    return schema_text(project.owner, bodies=True), project.run(LEDGERS)


@ways
@pytest.mark.parametrize("which", ["files", "files_after_old"])
@pytest.mark.parametrize("before", ["", PLATFORM], ids=["fresh", "platform"])
def test_they_do_what_migrate_does(
    project: Project, request: pytest.FixtureRequest, way: Way, which: str, before: str
) -> None:
    if before:
        project.run(before)
    apply(project, way, request.getfixturevalue(which))
    by_files = state(project)
    assert all(step.applied_at for step in plan(project.owner))
    assert migrate(project.owner) == []
    project.run("DROP SCHEMA notify CASCADE")
    project.run("DROP PUBLICATION xnovu_wake")
    if before:
        project.run(before)
    project.migrate()
    assert state(project) == by_files


@ways
def test_again_they_change_nothing(project: Project, way: Way, files_after_old: list[str]) -> None:
    project.migrate()
    row = project.insert()
    before, applied = state(project), plan(project.owner)
    apply(project, way, files_after_old)
    apply(project, in_one_go, [files_after_old[2], *files_after_old])
    assert state(project) == before
    assert plan(project.owner) == applied
    assert project.user(ACME, "SELECT id FROM notify.ent_notification") == [{"id": row}]


def test_the_rest_may_come_the_other_way(project: Project, files: list[str]) -> None:
    apply(project, in_transactions, files[:1])
    assert migrate(project.owner)[0] == TABLES[1]
    apply(project, in_batches, files)


@pytest.mark.parametrize("way", [in_transactions, in_batches], ids=lambda way: way.__name__)
def test_a_platforms_own_enum_learns_its_values(
    project: Project, way: Way, files: list[str]
) -> None:
    project.run(ENUMS)
    apply(project, way, files)
    assert project.insert(notification_status="RETRACTED")


def test_new_values_of_an_enum_must_be_committed_first(project: Project, files: list[str]) -> None:
    """Postgres's own rule; the whole of it is refused, and says so."""
    project.run(ENUMS)
    before = schema_text(project.owner)
    with pytest.raises(UnsafeNewEnumValueUsage):
        apply(project, in_one_go, files)
    assert schema_text(project.owner) == before


def test_a_step_that_fails_leaves_nothing(project: Project) -> None:
    broken = Migration(1, "0001_broken", "x", "CREATE TABLE notify.t (); SELECT 1 / 0;")
    with pytest.raises(DivisionByZero):
        apply(project, in_batches, [broken.script])
    assert project.run("SELECT to_regnamespace('notify') AS it") == [{"it": None}]


def test_one_that_was_changed_is_refused(project: Project) -> None:
    project.migrate()
    changed = Migration(1, TABLES[0], "another", "SELECT 1;")
    with pytest.raises(psycopg.Error, match="0001_tables was changed"):
        apply(project, in_transactions, [changed.script])
