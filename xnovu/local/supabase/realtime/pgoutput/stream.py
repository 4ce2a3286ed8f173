"""A stream of changes, over a replication connection of its own."""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from struct import Struct
from typing import Any, Self

import psycopg
from psycopg import generators, pq, sql

from xnovu.sql.readable import readable

from .changes import Change
from .messages import EPOCH, Decoder

CREATE_SLOT = "CREATE_REPLICATION_SLOT {} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing')"
START = "START_REPLICATION SLOT {} LOGICAL 0/0 (proto_version '1', publication_names {})"

_DATA = Struct(">xQQq")
_KEEPALIVE = Struct(">xQqB")
_REPORT = Struct(">cQQQqB")
_TURN = 64
"""Messages taken in one go, before others on the event loop have theirs."""


@asynccontextmanager
async def replicate(dsn: str, publication: str, *, beat: float = 10.0) -> AsyncGenerator["Changes"]:
    """
    What is committed to the publication's tables from now on, transaction by transaction.

    It reads through a temporary slot: one that ends with the connection, so that nothing is kept
    for who has gone. Opening it waits for the transactions that are writing at the time. Every
    ``beat`` seconds it reports what it has read. The server needs ``wal_level = logical``.

    Raises:
        psycopg.errors.UndefinedObject: there is no such publication.
        psycopg.Error: the server cannot be reached, refuses, or ends the stream.
    """
    connection = await psycopg.AsyncConnection.connect(
        dsn, autocommit=True, replication="database", client_encoding="utf8"
    )
    try:
        await _start(connection, publication)
        changes = Changes(connection.pgconn)
        reporting = asyncio.create_task(changes.report_for_ever(beat), name="local-realtime-report")
        try:
            yield changes
        finally:
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)
    finally:
        await connection.close()


class Changes:
    """
    The changes of one connection, an iterator that ends only by an error.

    Who asks for the next change has dealt with the one before: so much is then acknowledged.
    """

    def __init__(self, connection: pq.abc.PGconn) -> None:
        self._connection = connection
        self._decoder = Decoder()
        self._read: deque[Change] = deque()
        self._acknowledged = 0
        self._taken = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        while not self._read:
            self._take(await self._message())
        return self._read.popleft()

    async def report_for_ever(self, beat: float) -> None:
        """Tell the server that somebody reads, and have it answer."""
        while True:
            await asyncio.sleep(beat)
            with suppress(psycopg.Error):  # the reader will notice, and say what it is
                self._report(answer=True)

    def _take(self, message: bytes) -> None:
        if message[:1] == b"k":
            self._keepalive(*_KEEPALIVE.unpack_from(message))
            return
        self._read.extend(self._decoder.read(message[_DATA.size :]))
        self._acknowledged = max(self._acknowledged, self._decoder.committed)

    def _keepalive(self, end: int, _sent: int, answer: int) -> None:
        """Between transactions all up to here has been read: what was left out is not ours."""
        if not self._decoder.within:
            self._acknowledged = max(self._acknowledged, end)
        if answer:
            self._report(answer=False)

    def _report(self, *, answer: bool) -> None:
        now = int((time.time() - EPOCH.timestamp()) * 1_000_000)
        read = self._acknowledged
        self._connection.put_copy_data(_REPORT.pack(b"r", read, read, read, now, answer))
        self._connection.flush()

    async def _message(self) -> bytes:
        while True:
            size, data = self._connection.get_copy_data(1)
            if size < 0:
                raise await self._end()
            if size:
                self._taken += 1
                if self._taken % _TURN == 0:
                    await asyncio.sleep(0)
                return bytes(data)
            await readable(self._connection.socket)
            self._connection.consume_input()

    async def _end(self) -> psycopg.Error:
        """Why the server has ended the stream."""
        while self._connection.is_busy():
            await readable(self._connection.socket)
            self._connection.consume_input()
        result = self._connection.get_result()
        if result and result.status == pq.ExecStatus.FATAL_ERROR:
            return psycopg.errors.error_from_result(result)
        return psycopg.OperationalError("the server has ended the stream")


async def _start(connection: psycopg.AsyncConnection[Any], publication: str) -> None:
    """A missing publication is told here: from Postgres 18 on it would only be a warning."""
    known = sql.SQL("SELECT FROM pg_catalog.pg_publication WHERE pubname = {}")
    cursor = await connection.execute(known.format(sql.Literal(publication)))
    if cursor.rowcount == 0:
        raise psycopg.errors.UndefinedObject(f'publication "{publication}" does not exist')
    slot = sql.Identifier(f"xnovu_{secrets.token_hex(8)}")
    await connection.execute(sql.SQL(CREATE_SLOT).format(slot))
    names = sql.Literal(sql.Identifier(publication).as_string(connection))
    command = sql.SQL(START).format(slot, names)
    connection.pgconn.send_query(command.as_bytes(connection))
    (result,) = await connection.wait(generators.execute(connection.pgconn))
    if result.status != pq.ExecStatus.COPY_BOTH:
        raise psycopg.errors.error_from_result(result)
