"""
The messages of pgoutput, Postgres's own plugin for logical replication, protocol version 1.

Source: https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import Struct

import psycopg

from .changes import UNCHANGED, Change, Kind, Value

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
