"""What a database lets its role do, tried before a row needs it; nothing of it stays."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import psycopg
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.rows import TupleRow, tuple_row

from xnovu.adapters.postgres.connection import PATIENCE, settings
from xnovu.adapters.postgres.errors import unreached
from xnovu.finding import Finding
from xnovu.sql.needs import ALWAYS, NEEDS, TRIED

OLDEST = 15
"""The first Postgres whose SQL ours is."""
SETTINGS = settings(local=True, statement_timeout="5000", lock_timeout="1s")
DENIED = b"""
SELECT p.oid::regprocedure::text FROM pg_catalog.pg_proc p
WHERE p.pronamespace = to_regnamespace('notify') AND p.proname = ANY ($1)
  AND NOT has_function_privilege(p.oid, 'EXECUTE') ORDER BY 1
"""
MISSING = b"""
SELECT name FROM unnest($1::text[]) AS name
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_proc p
                  WHERE p.pronamespace = to_regnamespace('notify') AND p.proname = name)
"""
ABOUT = b"""
SELECT current_setting('server_version_num')::int / 10000, current_user::text, clock_timestamp(),
       pg_is_in_recovery(), coalesce(has_schema_privilege(to_regnamespace('notify'), 'USAGE'), true)
"""

Database = AsyncConnection[TupleRow]


async def preflight(dsn: str, stages: Iterable[str]) -> Sequence[Finding]:
    """
    What these stages will need of the database, a finding each.

    Raises:
        Paused: it cannot be reached.
    """
    async with _connected(dsn) as database:
        each = [await _of_stage(database, dsn, stage) for stage in stages]
        return [Finding("database"), *await _about(database), *each]


@asynccontextmanager
async def _connected(dsn: str) -> AsyncGenerator[Database]:
    try:
        database = await AsyncConnection.connect(
            dsn, autocommit=True, application_name="xnovu config check", **PATIENCE
        )
    except psycopg.Error as error:
        raise unreached(error, dsn) from None
    try:
        database.row_factory = tuple_row
        database.cursor_factory = AsyncRawCursor
        yield database
    finally:
        await database.close()


async def _about(database: Database) -> Sequence[Finding]:
    before = datetime.now(UTC)
    row = await (await database.execute(ABOUT)).fetchone()
    version, role, now, standby, used = row or (0, "", before, False, True)
    middle = before + (datetime.now(UTC) - before) / 2
    old = f"Postgres {version} is too old: {OLDEST} or newer is needed"
    away = "it is a stand-by, and takes no writes: give the primary's address"
    shut = f'role {role} may not use schema notify: GRANT USAGE ON SCHEMA notify TO "{role}"'
    return [
        Finding("database server", old if version < OLDEST else away if standby else None),
        Finding("database clock", note=apart((now - middle).total_seconds())),
        *([] if used else [Finding("database schema", shut)]),
    ]


def apart(seconds: float) -> str:
    """How far a server's clock is from this machine's."""
    if abs(seconds) < 1.0:
        return ""
    much = f"{abs(seconds):,.0f} s {'ahead of' if seconds > 0 else 'behind'} this machine's"
    return f"{much}: nothing here depends on it, but compare logs with care"


async def _of_stage(database: Database, dsn: str, stage: str) -> Finding:
    name, needed = f"database: {stage}", {**ALWAYS, **NEEDS[stage]}
    role = database.info.user
    names = list(needed)
    if missing := [each for (each,) in await _all(database, MISSING, names)]:
        told = ", ".join(f"notify.{each}" for each in missing)
        return Finding(name, f"the database has no {told}: run `xnovu migrate`")
    if denied := [each for (each,) in await _all(database, DENIED, names)]:
        grant = f'GRANT EXECUTE ON FUNCTION {", ".join(denied)} TO "{role}"'
        return Finding(name, f"role {role} may not call what {stage} needs: {grant}")
    faults = [await _tried(database, dsn, each, given) for each, given in needed.items()]
    return Finding(name, next(filter(None, faults), None))


async def _all(database: Database, query: bytes, names: list[str]) -> Sequence[TupleRow]:
    return await (await database.execute(query, [names])).fetchall()


async def _tried(database: Database, dsn: str, function: str, arguments: str) -> str | None:
    """Call it on nothing, and take that back: whatever right it lacks inside is then known."""
    if not (arguments or function in TRIED):
        return None
    query = f"SELECT * FROM notify.{function}({arguments})"  # noqa: S608 - ours, all of it
    try:
        async with database.transaction(force_rollback=True):
            await database.execute(SETTINGS)
            await database.execute(query.encode())
    except psycopg.Error as error:
        return f"notify.{function}: {unreached(error, dsn)}"
    return None
