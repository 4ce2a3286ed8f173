"""A temporary slot, asked for what has been committed, as Supabase's own server does."""

import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import psycopg
from psycopg import sql

from .changes import Change
from .messages import Decoder

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
