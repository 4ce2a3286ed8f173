"""The schema's versions: which a database has, and how it gets the rest."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import kwargs_row

from xnovu.adapters.postgres.errors import translate
from xnovu.errors import ConfigurationError, XNovuError
from xnovu.sql.schema import Migration, migrations

Database = psycopg.Connection[tuple[object, ...]]

# One runner at a time; held by the transaction, so that it also works through a pooler.
LOCK = b"SELECT pg_advisory_xact_lock(7817238011)"
# A table that is in use is waited for, but not for so long that all its users queue up behind.
PATIENCE = (
    b"SELECT set_config('lock_timeout', '10s', true), set_config('statement_timeout', '0', true)"
)
KNOWN = b"SELECT to_regclass('notify.xnovu_migration') IS NOT NULL"
APPLIED = b"SELECT version, checksum, applied_at FROM notify.xnovu_migration"


@dataclass(frozen=True, slots=True)
class Step:
    """A migration in one database: when it was applied, or None where that is still to be done."""

    migration: Migration
    applied_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Applied:
    version: int
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
        return _steps(database)


def migrate(dsn: str) -> Sequence[Migration]:
    """
    Bring a database up to date, each step in a transaction of its own; return what was done.

    Two that run at once take turns. ``dsn`` must be of the owner of the tables, if there are any.

    Raises:
        ConfigurationError: the database is one that cannot be migrated; the message says why.
        Paused: the database cannot be reached.
        Retryable: a table was in use for too long.
    """
    applied: list[Migration] = []
    with _connected(dsn) as database:
        while step := _advance(database):
            applied.append(step)
    return applied


@contextmanager
def _connected(dsn: str) -> Generator[Database]:
    try:
        with psycopg.connect(
            dsn, autocommit=True, connect_timeout=10, application_name="xnovu migrate"
        ) as database:
            yield database
    except psycopg.Error as error:
        raise _explained(error) from None


def _advance(database: Database) -> Migration | None:
    """Apply the next pending migration, if there is one."""
    with database.transaction():
        database.execute(PATIENCE)
        database.execute(LOCK)
        pending = [step.migration for step in _steps(database) if step.applied_at is None]
        if not pending:
            return None
        database.execute(pending[0].script.encode())
        return pending[0]


def _steps(database: Database) -> Sequence[Step]:
    (known,) = database.execute(KNOWN).fetchone() or (False,)
    if not known:
        return [Step(migration, None) for migration in migrations()]
    with database.cursor(row_factory=kwargs_row(_Applied)) as cursor:
        applied = {row.version: row for row in cursor.execute(APPLIED)}
    return [_step(migration, applied.get(migration.version)) for migration in migrations()]


def _step(migration: Migration, applied: _Applied | None) -> Step:
    if applied and applied.checksum != migration.checksum:
        raise ConfigurationError(
            f"migration {migration.name} was changed after it had been applied:"
            " restore its text, and put the change into a new one"
        )
    return Step(migration, applied.applied_at if applied else None)


def _explained(error: psycopg.Error) -> XNovuError:
    """Of a statement it cannot run (class 42) Postgres names the object, as one needs to know."""
    if (error.sqlstate or "").startswith("42"):
        said = error.diag.message_primary
        return ConfigurationError(f"the database cannot be migrated: {said} ({error.sqlstate})")
    return translate(error)
