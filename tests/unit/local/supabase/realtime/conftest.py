"""A database as Supabase makes one, a local Realtime on it, and the real client."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from psycopg import sql
from realtime import AsyncRealtimeChannel, AsyncRealtimeClient
from websockets.asyncio.client import ClientConnection, connect

from tests.conftest import eventually
from xnovu.testing.contract.store_bench import ACME
from xnovu_local.supabase import Keys, prepare
from xnovu_local.supabase.realtime import RealtimeOptions, RunningRealtime, running_realtime

TABLES = """
CREATE SCHEMA notify;
GRANT USAGE ON SCHEMA notify TO anon, authenticated, service_role;
CREATE TABLE notify.note (
    id bigint PRIMARY KEY, enterprise_id uuid, text text, amount numeric(10,2), done boolean,
    tags text[], data jsonb, at timestamptz
);
ALTER TABLE notify.note ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON notify.note TO authenticated, service_role;
CREATE POLICY own ON notify.note FOR SELECT TO authenticated
    USING (enterprise_id = (auth.jwt() ->> 'enterprise_id')::uuid);
ALTER PUBLICATION supabase_realtime ADD TABLE notify.note;
"""
FAST = RealtimeOptions(poll=0.0, resubscribe_delay=0.01, join_error_delay=0.0)
TOPIC = "realtime:notes"
ASKED = {"event": "INSERT", "schema": "notify", "table": "note"}


@dataclass
class Notes:
    """The table, as another user of the database would change it."""

    connection: psycopg.AsyncConnection

    @classmethod
    @asynccontextmanager
    async def connected(cls, database: str) -> AsyncIterator["Notes"]:
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
            yield cls(connection)

    async def insert(self, *ids: int, **columns: Any) -> None:
        """Rows of ACME, in one transaction."""
        row = {"enterprise_id": ACME} | columns
        names = sql.SQL(", ").join(map(sql.Identifier, ["id", *row]))
        places = sql.SQL(", ").join([sql.Placeholder()] * (len(row) + 1))
        query = sql.SQL("INSERT INTO notify.note ({}) VALUES ({})").format(names, places)
        async with self.connection.transaction():
            for number in ids:
                await self.connection.execute(query, [number, *row.values()])

    async def execute(self, query: str) -> None:
        await self.connection.execute(query)


@dataclass
class Listener:
    """A channel of the real client, and all that it was told."""

    client: AsyncRealtimeClient
    channel: AsyncRealtimeChannel
    states: list[str] = field(default_factory=list)
    system: list[str] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)

    @property
    def told(self) -> list[dict[str, Any]]:
        return [each["data"] for each in self.changes]

    @property
    def ids(self) -> list[int]:
        """The numbers of the rows told of."""
        return [each["record"]["id"] for each in self.told]

    def listen(self, event: str = "INSERT", **asked: Any) -> "Listener":
        asked = {"schema": "notify", "table": "note"} | asked
        self.channel.on_postgres_changes(event, self.changes.append, **asked)
        return self

    async def join(self) -> "Listener":
        """Until the join is answered."""
        self.channel.on_system(lambda payload: self.system.append(payload.message))
        await self.channel.subscribe(lambda state, _: self.states.append(state.value))
        return self

    async def subscribe(self) -> "Listener":
        """Until the database listens."""
        await self.join()
        await eventually(lambda: self.system)
        return self


class Clients:
    """Makes clients, and closes them in the end."""

    def __init__(self, url: str, keys: Keys) -> None:
        self.keys = keys
        self._url = url
        self._made: list[AsyncRealtimeClient] = []
        self._sockets: list[ClientConnection] = []

    def listener(
        self, key: str | None = None, bearer: str | None = None, channel: str = "notes"
    ) -> Listener:
        key = key or self.keys.secret
        client = AsyncRealtimeClient(self._url, key, initial_backoff=0.01)
        client.access_token = bearer or key
        self._made.append(client)
        return Listener(client, client.channel(channel))

    def user(self, enterprise_id: str = ACME, lives: float = 3600) -> Listener:
        """A listener for a user of this enterprise."""
        token = self.keys.user_token(enterprise_id, exp=time.time() + lives)
        return self.listener(self.keys.publishable, token)

    async def socket(self, key: str | None = None) -> "Socket":
        """Without the client: it drops some of what comes."""
        address = f"{self._url.replace('http', 'ws')}/websocket?vsn=1.0.0"
        given = f"&apikey={key or self.keys.secret}" if key != "" else ""
        connection = await connect(address + given)
        self._sockets.append(connection)
        return Socket(connection)

    async def close(self) -> None:
        for client in self._made:
            await client.close()
        for connection in self._sockets:
            await connection.close()


@dataclass
class Socket:
    """The protocol, spoken by hand."""

    connection: ClientConnection
    refs: int = 0

    async def send(self, topic: str, event: str, **payload: Any) -> str:
        self.refs += 1
        frame = {"topic": topic, "event": event, "payload": payload, "ref": str(self.refs)}
        await self.connection.send(json.dumps({**frame, "join_ref": "1"}))
        return frame["ref"]

    async def receive(self) -> dict[str, Any]:
        return json.loads(await self.connection.recv())

    async def ask(self, topic: str, event: str, **payload: Any) -> dict[str, Any]:
        """Until the next frame, which is to be the answer."""
        ref = await self.send(topic, event, **payload)
        answer = await self.receive()
        assert (answer["event"], answer["ref"]) == ("phx_reply", ref)
        return answer["payload"]

    async def join(self, **asked: Any) -> dict[str, Any]:
        config = {"config": {"postgres_changes": [ASKED | asked]}}
        return await self.ask(TOPIC, "phx_join", **config)

    async def subscribe(self, **asked: Any) -> "Socket":
        """Until the database listens."""
        assert (await self.join(**asked))["status"] == "ok"
        frame = await self.receive()
        assert (frame["event"], frame["payload"]["status"]) == ("system", "ok")
        return self

    async def change(self) -> dict[str, Any]:
        frame = await self.receive()
        assert frame["event"] == "postgres_changes"
        return frame["payload"]["data"]


@pytest.fixture
async def notes(database: str) -> AsyncIterator[Notes]:
    prepare(database)
    async with Notes.connected(database) as notes:
        await notes.execute(TABLES)
        yield notes


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
async def running(database: str, notes: Notes, keys: Keys) -> AsyncIterator[RunningRealtime]:
    del notes
    async with running_realtime(database, keys, FAST) as running:
        yield running


@pytest.fixture
async def clients(running: RunningRealtime, keys: Keys) -> AsyncIterator[Clients]:
    clients = Clients(running.url, keys)
    yield clients
    running.realtime.outage(60)
    await clients.close()
