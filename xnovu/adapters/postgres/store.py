"""The database of record, over a pool of direct connections; its SQL is in `xnovu/sql`."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Literal

import psycopg
from psycopg import AsyncConnection, IsolationLevel
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from xnovu.adapters.postgres.connection import PATIENCE, Door, settings
from xnovu.adapters.postgres.errors import translated
from xnovu.sql.errors import outdated, suspect
from xnovu.sql.store import SqlStore


class PostgresOptions(BaseModel):
    """
    How the store uses its database.

    ``pool_max`` connections at most; ``timeout`` seconds for one statement, waiting for a
    connection included. ``transaction_pooler`` where a pooler shares sessions by transaction
    (PgBouncer, port 6543 of Supabase): no statement is then prepared.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["postgres"] = "postgres"
    pool_max: int = Field(default=4, ge=1, le=1000)
    timeout: float = Field(default=15.0, gt=0, le=3600, allow_inf_nan=False)
    transaction_pooler: bool = False


def postgres_store(
    dsn: Callable[[], str] | str,
    options: PostgresOptions | None = None,
    application_name: str = "xnovu",
    enterprise_id: str | None = None,
) -> SqlStore:
    """The store over direct or pooled connections, not yet open."""
    return SqlStore(PostgresFunctions(dsn, options, application_name), enterprise_id)


class PostgresFunctions:
    """
    The functions of schema ``notify`` on Postgres 15 and up, over a pool of connections.

    ``dsn`` is asked at each call and for each new connection: once it has changed (a password was
    replaced), every connection is made anew as soon as it is free. Connects in the background and
    reconnects for ever; meanwhile every call raises Paused, and says if the database refuses us.
    """

    most = None

    def __init__(
        self,
        dsn: Callable[[], str] | str,
        options: PostgresOptions | None = None,
        application_name: str = "xnovu",
    ) -> None:
        options = options or PostgresOptions()
        self._timeout = options.timeout
        allowed = {"statement_timeout": str(math.ceil(options.timeout * 1000))}
        self._settings = settings(options.transaction_pooler, **allowed)
        self._shared = options.transaction_pooler
        self._door = Door(dsn)
        self._pool = AsyncConnectionPool(
            self._door.address,
            connection_class=self._door.connections,
            kwargs={
                **PATIENCE,
                "application_name": application_name,
                "autocommit": True,
                "prepare_threshold": None if options.transaction_pooler else 5,
                "row_factory": dict_row,
            },
            configure=self._configure,
            check=self._door.check,
            name=application_name,
            min_size=1,
            max_size=options.pool_max,
            timeout=options.timeout,
            reconnect_timeout=5.0,  # then the next call tries anew, instead of ever longer waits
            open=False,
        )

    async def open(self) -> None:
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close()

    async def renew(self) -> None:
        """One that is being made at this moment would outlive the drain; it fails the check."""
        self._door.era += 1
        await self._pool.drain()

    async def call(self, function: str, **arguments: Any) -> Sequence[Any]:
        query = _query(function, tuple(arguments))
        given = {name: _json(value) for name, value in arguments.items()}
        if self._door.moved():
            await self.renew()
        with translated(self._door):
            async with asyncio.timeout(self._timeout):
                records = await self._up_to_date(query, given)
        return records if not records or function not in records[0] else _values(records)

    async def _up_to_date(self, query: bytes, given: Mapping[str, Any]) -> Sequence[Any]:
        """Ask; and once more of a new session if this one may only not have seen a change."""
        try:
            return await self._ask(query, given)
        except psycopg.Error as error:  # so that nothing was done
            if not outdated(error.sqlstate):
                raise
        await self.renew()
        return await self._ask(query, given)

    async def _ask(self, query: bytes, given: Mapping[str, Any]) -> Sequence[Any]:
        async with self._pool.connection() as database:
            try:
                async with self._settled(database):
                    return await (await database.execute(query, given)).fetchall()
            except psycopg.Error as error:
                if suspect(error.sqlstate):
                    await database.close()
                raise

    @asynccontextmanager
    async def _settled(self, database: AsyncConnection[Any]) -> AsyncGenerator[None]:
        """Where sessions are shared by transaction, each sets for itself what it relies on."""
        if not self._shared:
            yield
            return
        async with database.transaction():
            await database.execute(self._settings)
            yield

    async def _configure(self, database: AsyncConnection[Any]) -> None:
        database.adapters.register_loader("jsonb", RawJson)
        if self._shared:
            await database.set_isolation_level(IsolationLevel.READ_COMMITTED)
        else:
            await database.execute(self._settings)


@cache
def _query(function: str, arguments: tuple[str, ...]) -> bytes:
    """Our own names only; the same text each time, so that the server can keep it prepared."""
    given = ", ".join(f"{name} => %({name})s" for name in arguments)
    return f"SELECT * FROM notify.{function}({given})".encode()  # noqa: S608 - as said


def _json(value: Any) -> Any:
    return to_json(value).decode() if isinstance(value, list | dict) else value


def _values(records: Sequence[Mapping[str, Any]]) -> list[Any]:
    """A function that returns no columns is its own only column."""
    return [value for record in records for value in record.values()]


class RawJson(Loader):
    """JSON left as it came: a batch often carries one workflow a hundred times over."""

    def load(self, data: Buffer) -> bytes:
        return bytes(data)
