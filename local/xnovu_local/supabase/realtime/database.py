"""What the Realtime asks the database: about tables, about values, and on behalf of a role."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, LiteralString, cast

import psycopg
from psycopg import sql
from psycopg.rows import dict_row, kwargs_row

from .filters import OPERATORS, Filter
from .keys import Claims

Connection = psycopg.AsyncConnection[dict[str, Any]]
Texts = Mapping[str, str | None]

BECOME = b"SELECT set_config('role', %s, false), set_config('request.jwt.claims', %s, false)"
SETTLE = 0.002
"""Seconds between two looks for transactions that are not to be seen yet."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column as one role may see it."""

    name: str
    type: str
    cast_type: str
    key: bool
    selectable: bool
    secured: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table as one role may see it."""

    schema: str
    name: str
    columns: Mapping[str, Column]

    @property
    def key(self) -> Sequence[Column]:
        return [column for column in self.columns.values() if column.key]

    @property
    def secured(self) -> bool:
        """Whether row level security is on."""
        return any(column.secured for column in self.columns.values())


@dataclass(frozen=True, slots=True)
class Value:
    """A value as JSON, and how many bytes that takes."""

    json: Any
    size: int


class Database:
    """Asked by one at a time; its errors are psycopg's. ``guise`` asks in the names of others."""

    def __init__(self, connection: Connection, guise: Connection) -> None:
        self._connection = connection
        self._guise = guise
        self._worn = ""
        self._turn = asyncio.Lock()

    async def published(
        self, publication: str, schema: str, table: str
    ) -> Sequence[Mapping[str, str]]:
        """The tables that a subscription means, as ``schema`` and ``table``."""
        named = {"publication": publication, "schema": schema, "table": table}
        return await self._ask(query("published.sql"), named)

    async def table(self, schema: str, name: str, role: str) -> Table:
        named = {"schema": schema, "table": name, "role": role}
        async with self._turn, self._connection.cursor(row_factory=kwargs_row(Column)) as cursor:
            await cursor.execute(query("table.sql"), named)
            return Table(schema, name, {column.name: column async for column in cursor})

    async def settled(self, transactions: Iterable[int]) -> None:
        """Until others can see what these transactions did."""
        named = {"transactions": [str(number) for number in transactions]}
        while await self._ask(query("unfinished.sql"), named):  # noqa: ASYNC110 - not our own doing
            await asyncio.sleep(SETTLE)

    async def values(self, table: Table, texts: Texts) -> Mapping[str, Value]:
        """Values as Postgres makes JSON of them; columns that are gone are left out."""
        known = [name for name in texts if name in table.columns]
        if not known:
            return {}
        casts = (
            sql.SQL("%s::{} AS {}").format(
                _verbatim(table.columns[name].cast_type), sql.Identifier(name)
            )
            for name in known
        )
        statement = sql.SQL(
            "SELECT key, value::text FROM (SELECT {}) r, LATERAL jsonb_each(to_jsonb(r))"
        ).format(sql.SQL(", ").join(casts))
        rows = await self._ask(statement, [texts[name] for name in known])
        return {row["key"]: _value(row["value"]) for row in rows}

    async def holds(self, table: Table, texts: Texts, filters: Sequence[Filter]) -> bool:
        """Whether a row fulfils all filters; a value that is not known fulfils none."""
        if not filters:
            return True
        if any(each.column not in texts or each.column not in table.columns for each in filters):
            return False
        conditions = [_condition(each, table.columns[each.column].cast_type) for each in filters]
        given = [
            value
            for each in filters
            for value in (texts[each.column], *(() if each.operator == "is" else (each.value,)))
        ]
        statement = sql.SQL("SELECT {} AS holds").format(sql.SQL(" AND ").join(conditions))
        (row,) = await self._ask(statement, given)
        return bool(row["holds"])

    async def sees(self, table: Table, claims: Claims, texts: Texts) -> bool:
        """Whether the bearer of these claims may see the row, by its primary key."""
        conditions = [
            sql.SQL("{} = %s").format(sql.Identifier(column.name)) for column in table.key
        ]
        statement = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {}) AS seen").format(
            sql.Identifier(table.schema, table.name), sql.SQL(" AND ").join(conditions)
        )
        given = [texts[column.name] for column in table.key]
        async with self._turn:
            await self._become(claims)
            (row,) = await (await self._guise.execute(statement, given)).fetchall()
            return bool(row["seen"])

    async def _become(self, claims: Claims) -> None:
        wanted = json.dumps(dict(claims), sort_keys=True)
        if wanted != self._worn:
            await self._guise.execute(BECOME, [claims["role"], wanted])
            self._worn = wanted

    async def _ask(
        self, statement: bytes | sql.Composed, given: Mapping[str, Any] | Sequence[Any]
    ) -> list[dict[str, Any]]:
        async with self._turn:
            return await (await self._connection.execute(statement, given)).fetchall()


@asynccontextmanager
async def connected(dsn: str) -> AsyncGenerator[Database]:
    """Connections of its own; raises psycopg.Error."""
    async with AsyncExitStack() as stack:
        connections: list[Connection] = []
        for _ in range(2):
            connection = await psycopg.AsyncConnection[dict[str, Any]].connect(
                dsn,
                autocommit=True,
                row_factory=dict_row,
                application_name="realtime_rls",
                options="-c timezone=UTC -c search_path=",
            )
            stack.push_async_callback(connection.close)
            connections.append(connection)
        yield Database(*connections)


@cache
def query(name: str) -> bytes:
    """The text of one of the queries beside this module."""
    return files(__package__ or "").joinpath(name).read_bytes()


def _value(text: str) -> Value:
    return Value(json.loads(text), len(text.encode()))


def _condition(each: Filter, cast_type: str) -> sql.Composable:
    kind, negation = _verbatim(cast_type), sql.SQL("NOT " if each.negated else "")
    if each.operator == "is":
        return sql.SQL("%s::{} IS {}{}").format(kind, negation, _verbatim(each.value))
    array = sql.SQL("[]" if each.operator == "in" else "")
    operator = _verbatim(OPERATORS[each.operator])
    return sql.SQL("{}(%s::{} {} (%s::{}{}))").format(negation, kind, operator, kind, array)


def _verbatim(text: str) -> sql.SQL:
    """A type's name from the catalog, an operator or a keyword: none of a client's own words."""
    return sql.SQL(cast("LiteralString", text))
