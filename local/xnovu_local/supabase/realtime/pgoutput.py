"""
What is committed to a database, change by change: Postgres's own plugin for logical replication.

A temporary slot is asked for it, as Supabase's own server does. Source of the messages (protocol
version 1): https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
"""

import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import chain
from struct import Struct
from typing import Any, Literal

import psycopg
from psycopg import sql

Kind = Literal["INSERT", "UPDATE", "DELETE"]


class Unchanged(Enum):
    """The mark of :data:`UNCHANGED`."""

    UNCHANGED = "unchanged"


UNCHANGED = Unchanged.UNCHANGED
"""A large (TOASTed) value that an update left alone: the log does not repeat it."""

Value = str | None | Unchanged
"""A column's value as Postgres prints it, None for NULL."""


@dataclass(frozen=True, slots=True)
class Change:
    """
    One row inserted, updated or deleted.

    ``columns`` is the row as it is now; empty where there is none any more. ``old`` is what the log
    keeps of the row before, by the table's REPLICA IDENTITY: by default the primary key, and of an
    update only where that has changed; else None. ``commit_time`` and ``transaction`` (its id, 32
    bits) are the same for all changes of a transaction.
    """

    kind: Kind
    schema: str
    table: str
    columns: Mapping[str, Value]
    old: Mapping[str, str | None] | None
    commit_time: datetime
    transaction: int


EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""Where Postgres begins to count its microseconds."""

_BEGIN = Struct(">8xqI")
_TYPE_AND_MODIFIER = Struct(">8x")
_INT8, _INT16, _INT32 = Struct(">B"), Struct(">H"), Struct(">I")
_PART_OF_KEY = 1
_KINDS: Mapping[bytes, Kind] = {b"I": "INSERT", b"U": "UPDATE", b"D": "DELETE"}


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    key: bool


@dataclass(frozen=True, slots=True)
class _Relation:
    schema: str
    table: str
    columns: tuple[_Column, ...]


@dataclass(frozen=True, slots=True)
class _Transaction:
    commit_time: datetime
    id: int


class Decoder:
    """
    Reads messages in the order in which they come; a transaction's come together, once committed.

    Of a table that is emptied (TRUNCATE) Supabase's server does not tell.
    """

    def __init__(self) -> None:
        self._relations: dict[int, _Relation] = {}
        self._transaction: _Transaction | None = None

    def read(self, message: bytes) -> Sequence[Change]:
        """The changes that one message tells of; raises psycopg's InterfaceError on others'."""
        body = _Body(message)
        match message[:1]:
            case b"I" | b"U" | b"D":
                return (self._change(message[:1], body),)
            case b"B":
                microseconds, number = body.take(_BEGIN)
                self._transaction = _Transaction(_moment(microseconds), number)
            case b"C":
                self._transaction = None
            case b"R":
                self._learn(body)
            case b"T" | b"O" | b"Y" | b"M":  # truncation, origin, a type, an application's word
                pass
            case kind:
                raise psycopg.InterfaceError(f"pgoutput sent a message of unknown kind {kind!r}")
        return ()

    def _learn(self, body: "_Body") -> None:
        number = body.number(_INT32)
        schema, table = body.string() or "pg_catalog", body.string()
        body.number(_INT8)  # the replica identity; each column says whether it is part of it
        columns = tuple(body.column() for _ in range(body.number(_INT16)))
        self._relations[number] = _Relation(schema, table, columns)

    def _change(self, kind: bytes, body: "_Body") -> Change:
        relation = self._relations[body.number(_INT32)]
        old: Mapping[str, str | None] | None = None
        columns: Mapping[str, Value] = {}
        while tag := body.byte():
            row = body.row(relation)
            if tag == b"N":
                columns = row
            else:
                old = _known(relation, row, key_only=tag == b"K")
        return self._told(_KINDS[kind], relation, columns, old)

    def _told(
        self,
        kind: Kind,
        relation: _Relation,
        columns: Mapping[str, Value],
        old: Mapping[str, str | None] | None,
    ) -> Change:
        transaction = self._transaction
        if transaction is None:
            raise psycopg.InterfaceError("pgoutput sent a change outside of any transaction")
        return Change(
            kind=kind,
            schema=relation.schema,
            table=relation.table,
            columns=columns,
            old=old,
            commit_time=transaction.commit_time,
            transaction=transaction.id,
        )


class _Body:
    """A message being read, from behind its first byte."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._at = 1

    def take(self, form: Struct) -> tuple[int, ...]:
        values = form.unpack_from(self._message, self._at)
        self._at += form.size
        return values

    def number(self, form: Struct) -> int:
        return self.take(form)[0]

    def string(self) -> str:
        """Up to its closing zero byte."""
        end = self._message.index(0, self._at)
        text = self._message[self._at : end].decode()
        self._at = end + 1
        return text

    def column(self) -> _Column:
        flags, name = self.number(_INT8), self.string()
        self.take(_TYPE_AND_MODIFIER)
        return _Column(name, bool(flags & _PART_OF_KEY))

    def byte(self) -> bytes:
        """The next byte; empty at the end."""
        self._at += 1
        return self._message[self._at - 1 : self._at]

    def row(self, relation: _Relation) -> Mapping[str, Value]:
        count = self.number(_INT16)
        return {column.name: self.value() for column in relation.columns[:count]}

    def value(self) -> Value:
        match self.byte():
            case b"n":
                return None
            case b"u":
                return UNCHANGED
            case _:
                start = self._at + _INT32.size
                self._at = start + self.number(_INT32)
                return self._message[start : self._at].decode()


def _known(
    relation: _Relation, row: Mapping[str, Value], *, key_only: bool
) -> Mapping[str, str | None]:
    """A row as it was; where only its key is told, the others come as NULL, which says nothing."""
    told = {column.name for column in relation.columns if column.key or not key_only}
    return {name: value for name, value in row.items() if name in told and value is not UNCHANGED}


def _moment(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


KNOWN = "SELECT FROM pg_catalog.pg_publication WHERE pubname = %s"
CREATE = "SELECT pg_create_logical_replication_slot(%s, 'pgoutput', temporary => true)"
FLUSHED = "SELECT pg_current_wal_flush_lsn()::text"
TAKE = (
    "SELECT data FROM pg_logical_slot_get_binary_changes("
    "%s, NULL, %s, 'proto_version', '1', 'publication_names', %s)"
)
MOST = 1000
"""Changes after which no further transaction is taken in one go."""


@dataclass(slots=True)
class Slot:
    """What is committed to the tables of a publication, from the slot's making on."""

    connection: psycopg.AsyncConnection[Any]
    name: str
    publications: str
    decoder: Decoder = field(default_factory=Decoder)
    flushed: str = ""

    async def take(self) -> Sequence[Change]:
        """
        What has been committed since the last time, whole transactions; raises psycopg.Error.

        What was taken is not kept by the server. It is not asked while its log stands still: it
        would read that from its last checkpoint on.
        """
        ((flushed,),) = await (await self.connection.execute(FLUSHED)).fetchall()
        if flushed == self.flushed:
            return ()
        asked = [self.name, MOST, self.publications]
        messages = await self.connection.execute(TAKE, asked, binary=True)
        read = self.decoder.read
        changes = list(chain.from_iterable([read(data) async for (data,) in messages]))
        self.flushed = "" if messages.rowcount >= MOST else flushed
        return changes


@asynccontextmanager
async def slotted(dsn: str, publication: str) -> AsyncGenerator[Slot]:
    """
    A slot that ends with its connection, so that nothing is kept for who has gone.

    Opening it waits for the transactions that are writing at the time. The server needs
    ``wal_level = logical``.

    Raises:
        psycopg.errors.UndefinedObject: there is no such publication.
        psycopg.Error: the server cannot be reached, or refuses.
    """
    connection = await psycopg.AsyncConnection.connect(
        dsn,
        autocommit=True,
        # Or the server's log would get four lines whenever the slot is asked.
        options="-c log_min_messages=fatal",
    )
    try:
        if not (await connection.execute(KNOWN, [publication])).rowcount:
            # Told here: from Postgres 18 on it would only be a warning.
            raise psycopg.errors.UndefinedObject(f'publication "{publication}" does not exist')
        slot = Slot(
            connection,
            f"xnovu_{secrets.token_hex(8)}",
            sql.Identifier(publication).as_string(connection),
        )
        await connection.execute(CREATE, [slot.name])
        yield slot
    finally:
        await connection.close()
