"""What of the schema a database has, and how it gets the rest."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime

import psycopg
from psycopg.rows import kwargs_row

from xnovu.adapters.postgres.connection import settings
from xnovu.adapters.postgres.errors import unreached
from xnovu.errors import ConfigurationError, XNovuError
from xnovu.sql.schema import Migration, functions, functions_script, migrations, roles_script

Database = psycopg.Connection[tuple[object, ...]]

# One runner at a time; held by the transaction, so that it also works through a pooler.
LOCK = b"SELECT pg_advisory_xact_lock(7817238011)"
# A table that is in use is waited for, but not for so long that all its users queue up behind.
SETTINGS = settings(local=True, lock_timeout="10s")
TRIES = 10
"""Of one step: where its locks and those of a stage form a circle, Postgres ends either."""
KNOWN = b"SELECT to_regclass(%s) IS NOT NULL"
VERSIONS, TEXTS = "notify.xnovu_migration", "notify.xnovu_function"
LINES = {
    VERSIONS: b"SELECT version, name, checksum, applied_at FROM notify.xnovu_migration",
    TEXTS: b"SELECT 0 AS version, name, checksum, applied_at FROM notify.xnovu_function",
}


@dataclass(frozen=True, slots=True)
class Step:
    """What was done to a database, and when; or None where that is still to be done."""

    name: str
    applied_at: datetime | None
    script: str = field(repr=False, default="")
    newer: bool = False
    """Of a newer XNovu, to which the database is left."""


@dataclass(frozen=True, slots=True)
class _Line:
    """Of a ledger."""

    version: int
    name: str
    checksum: str
    applied_at: datetime


def plan(dsn: str) -> Sequence[Step]:
    """
    What has been done to this database and what is to be done; changes nothing.

    Raises:
        ConfigurationError: a migration that was applied has been changed since.
        Paused: the database cannot be reached.
    """
    with _connected(dsn) as database, database.transaction():
        database.execute(SETTINGS)
        return _steps(database)


def migrate(dsn: str) -> Sequence[str]:
    """
    Bring a database up to date, each step in a transaction of its own; return what was done.

    Two that run at once take turns. A database of a newer XNovu stays as it is. ``dsn`` must be of
    the owner of the tables, if there are any.

    Raises:
        ConfigurationError: the database is one that cannot be migrated; the message says why.
        Paused: the database cannot be reached, or a table was in use for too long.
    """
    applied: list[str] = []
    with _connected(dsn) as database:
        while step := _advanced(database):
            applied.append(step.name)
    return applied


def make_roles(dsn: str) -> None:
    """
    Make XNovu's roles where they are missing, and let them into this database, which is up to date.

    Raises:
        ConfigurationError: ``dsn`` is of one who may not; the message says what to do.
        Paused: the database cannot be reached, or a table was in use for too long.
    """
    with _connected(dsn) as database, database.transaction():
        database.execute(SETTINGS)
        database.execute(LOCK)
        database.execute(roles_script().encode())


@contextmanager
def _connected(dsn: str) -> Generator[Database]:
    try:
        with psycopg.connect(
            dsn, autocommit=True, connect_timeout=10, application_name="xnovu migrate"
        ) as database:
            database.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            yield database
    except psycopg.Error as error:
        raise _explained(error, dsn) from None


def _advanced(database: Database) -> Step | None:
    for _ in range(TRIES - 1):
        with suppress(psycopg.errors.DeadlockDetected):
            return _advance(database)
    return _advance(database)


def _advance(database: Database) -> Step | None:
    """Take the next pending step, if there is one."""
    with database.transaction():
        database.execute(SETTINGS)
        database.execute(LOCK)
        steps = _steps(database)
        pending = [step for step in steps if step.applied_at is None]
        if not pending or steps[-1].newer:
            return None
        database.execute(pending[0].script.encode())
        return pending[0]


def _steps(database: Database) -> Sequence[Step]:
    """The tables', and all functions as one; or what a newer XNovu has done."""
    applied = {line.version: line for line in _lines(database, VERSIONS)}
    steps = [_step(migration, applied.get(migration.version)) for migration in migrations()]
    if newer := [line for line in applied.values() if line.version > migrations()[-1].version]:
        return [*steps, *(Step(line.name, line.applied_at, newer=True) for line in newer)]
    has = {line.checksum: line.applied_at for line in _lines(database, TEXTS)}
    applied_at = has.get(functions()[-1].checksum)
    return [*steps, Step("functions", applied_at, functions_script(functions()))]


def _lines(database: Database, table: str) -> Iterable[_Line]:
    (known,) = database.execute(KNOWN, [table]).fetchone() or (False,)
    if not known:
        return []
    with database.cursor(row_factory=kwargs_row(_Line)) as cursor:
        return cursor.execute(LINES[table]).fetchall()


def _step(migration: Migration, line: _Line | None) -> Step:
    if line and line.checksum != migration.checksum:
        raise ConfigurationError(
            f"migration {migration.name} was changed after it had been applied:"
            " restore its text, and put the change into a new one"
        )
    return Step(migration.name, line and line.applied_at, migration.script)


def _explained(error: psycopg.Error, dsn: str) -> XNovuError:
    """Of a statement it cannot run (class 42) Postgres names the object, as one needs to know."""
    if (error.sqlstate or "").startswith("42"):
        said = error.diag.message_primary
        return ConfigurationError(f"the database cannot be migrated: {said} ({error.sqlstate})")
    return unreached(error, dsn)
