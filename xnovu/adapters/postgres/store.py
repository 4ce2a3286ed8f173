"""The database of record, over a pool of direct connections; the SQL is `xnovu/sql/migrations`."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt
from pydantic_core import from_json

from xnovu.adapters.postgres import rows as read
from xnovu.adapters.postgres.connection import PATIENCE
from xnovu.adapters.postgres.errors import translated
from xnovu.adapters.postgres.migrations import migrations
from xnovu.errors import XNovuError
from xnovu.events import Key, StatusChanged
from xnovu.ports import Claim, Outcome, Row

CLAIM = b"SELECT * FROM notify.claim(%s::int, %s::float8)"
RELEASE = b"SELECT * FROM notify.release(%s)"
NEXT_DUE = b"SELECT notify.next_due() AS seconds"
LOAD = b"SELECT * FROM notify.load(%s)"
STILL_WANTED = b"SELECT * FROM notify.still_wanted(%s)"
RECORD = b"SELECT * FROM notify.record(%s)"
REDRIVE = b"SELECT * FROM notify.redrive(%s)"
RETRACT = b"SELECT * FROM notify.retract(%s, %s)"
ENQUEUE = b"SELECT id FROM notify.enqueue(%s) AS id"
HISTORY = b"SELECT notify.history(%s::bigint) AS history"
READY = b"""
SELECT (SELECT max(version) FROM notify.xnovu_migration) AS version,
       row_security_active('notify.ent_notification') AS hidden, current_user AS role"""


class PostgresOptions(BaseModel):
    """
    How the store uses its database.

    ``pool_max`` connections at most; ``timeout`` seconds for one statement, waiting for a
    connection included. ``transaction_pooler`` where a pooler shares sessions by transaction
    (PgBouncer, port 6543 of Supabase): no statement is then prepared.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["postgres"] = "postgres"
    pool_max: PositiveInt = 4
    timeout: PositiveFloat = 15.0
    transaction_pooler: bool = False


class PostgresStore:
    """
    ``Store`` and ``Desk`` on Postgres 15 and up.

    ``dsn`` is asked for each new connection, so a password can be changed without a restart.
    Connects in the background and reconnects for ever; meanwhile every method raises Paused.

    Every method raises:
        Paused: the database cannot be reached, or does not answer.
        Retryable: it was busy: a deadlock, a lock held for too long.
        Permanent: it refused a value; names the column, never the value.
        ConfigurationError: it is not migrated.
    """

    def __init__(
        self,
        dsn: Callable[[], str] | str,
        options: PostgresOptions | None = None,
        application_name: str = "xnovu",
    ) -> None:
        self._options = options or PostgresOptions()
        self._pool = AsyncConnectionPool(
            dsn,
            kwargs={
                **PATIENCE,
                "application_name": application_name,
                "autocommit": True,
                "prepare_threshold": None if self._options.transaction_pooler else 5,
                "row_factory": dict_row,
            },
            configure=_configure,
            name=application_name,
            min_size=1,
            max_size=self._options.pool_max,
            timeout=self._options.timeout,
            reconnect_timeout=5.0,  # then the next call tries anew, instead of ever longer waits
            open=False,
        )

    async def open(self) -> None:
        """Begin to connect; does not wait for it."""
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close()

    async def ready(self) -> str | None:
        """What is wrong with the database, in words; None if nothing is."""
        try:
            (state,) = await self._ask(READY)
        except XNovuError as error:
            return str(error)
        if (state["version"] or 0) < migrations()[-1].version:
            return "the database is not up to date: run `xnovu migrate`"
        if state["hidden"]:
            return f"row-level security hides notify.ent_notification from role {state['role']}"
        return None

    async def claim(self, limit: int, lease: float) -> Sequence[Claim]:
        return [read.claim(record) for record in await self._ask(CLAIM, limit, lease)]

    async def release(self, keys: Sequence[Key]) -> None:
        await self._ask(RELEASE, read.keys_json(keys))

    async def next_due(self) -> float | None:
        (record,) = await self._ask(NEXT_DUE)
        return record["seconds"]

    async def load(self, keys: Sequence[Key]) -> Mapping[Key, Row]:
        return read.rows(await self._ask(LOAD, read.keys_json(keys)))

    async def still_wanted(self, keys: Sequence[Key]) -> frozenset[Key]:
        return frozenset(map(read.key, await self._ask(STILL_WANTED, read.keys_json(keys))))

    async def record(self, outcomes: Sequence[Outcome]) -> Sequence[StatusChanged]:
        """As the port says; a returned event carries the row's ``claims``, whoever stated it."""
        return [read.change(row) for row in await self._ask(RECORD, read.outcomes_json(outcomes))]

    async def redrive(self, keys: Sequence[Key]) -> Sequence[Key]:
        """Send FAILED notifications again as a new generation; return the keys they now have."""
        return [read.key(row) for row in await self._ask(REDRIVE, read.keys_json(keys))]

    async def retract(self, keys: Sequence[Key], reason: str | None = None) -> Sequence[Key]:
        """Take notifications back, in whatever generation; return the keys of those changed."""
        return [read.key(row) for row in await self._ask(RETRACT, read.keys_json(keys), reason)]

    async def insert(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[int]:
        return [record["id"] for record in await self._ask(ENQUEUE, read.columns_json(rows))]

    async def history(self, notification_id: int) -> Mapping[str, Any] | None:
        (record,) = await self._ask(HISTORY, notification_id)
        return from_json(record["history"]) if record["history"] else None

    async def _ask(self, query: bytes, *arguments: object) -> list[dict[str, Any]]:
        with translated():
            async with asyncio.timeout(self._options.timeout), self._pool.connection() as database:
                answer = await database.execute(query, arguments)
                return await answer.fetchall()


async def _configure(database: AsyncConnection[Any]) -> None:
    database.adapters.register_loader("jsonb", read.RawJson)
