"""A database as Supabase makes one, a local Realtime on it, and the real client."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import jwt
import psycopg
import pytest
from realtime import AsyncRealtimeChannel, AsyncRealtimeClient

from tests.conftest import eventually
from xnovu.local.supabase.realtime import RealtimeOptions, RunningRealtime, running_realtime

SECRET = "a-secret-of-at-least-thirty-two-characters"
PUBLISHABLE, SERVICE = "sb_publishable_test", "sb_secret_test"
ACME, GLOBEX = str(uuid4()), str(uuid4())
ROLES = """
DO $$ BEGIN
    IF to_regrole('service_role') IS NULL THEN
        CREATE ROLE anon NOLOGIN;
        CREATE ROLE authenticated NOLOGIN;
        CREATE ROLE service_role NOLOGIN BYPASSRLS;
    END IF;
END $$"""
TABLES = """
CREATE SCHEMA notify;
GRANT USAGE ON SCHEMA notify TO anon, authenticated, service_role;
CREATE TABLE notify.note (
    id bigint PRIMARY KEY, enterprise_id uuid, text text, amount numeric(10,2), done boolean,
    tags text[], data jsonb, at timestamptz
);
ALTER TABLE notify.note ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON notify.note TO authenticated, service_role;
CREATE POLICY own ON notify.note FOR SELECT TO authenticated USING (enterprise_id =
    (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'enterprise_id')::uuid);
CREATE PUBLICATION supabase_realtime FOR TABLE notify.note;
"""


class ProjectKeys:
    """Two API keys, and tokens signed with the project's secret."""

    def claims(self, key_or_token: str) -> dict[str, Any]:
        if key_or_token in (PUBLISHABLE, SERVICE):
            return {"role": "anon" if key_or_token == PUBLISHABLE else "service_role"}
        return jwt.decode(key_or_token, SECRET, ["HS256"], options={"require": ["role", "exp"]})


def token(enterprise: str = ACME, lives: float = 3600, secret: str = SECRET, **claims: Any) -> str:
    """An access token of somebody of this enterprise."""
    said = {"role": "authenticated", "exp": time.time() + lives, "enterprise_id": enterprise}
    return jwt.encode(said | claims, secret)


@pytest.fixture
async def connection(database: str) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute(ROLES)
        await connection.execute(TABLES)
        yield connection


@pytest.fixture
async def running(
    database: str, connection: psycopg.AsyncConnection
) -> AsyncIterator[RunningRealtime]:
    del connection
    options = RealtimeOptions(poll=0.0, resubscribe_delay=0.01, join_error_delay=0.0)
    async with running_realtime(database, ProjectKeys(), options) as running:
        yield running


@dataclass
class Listener:
    """A channel of the real client, and all that it was told."""

    client: AsyncRealtimeClient
    channel: AsyncRealtimeChannel
    states: list[str] = field(default_factory=list)
    system: list[str] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ids(self) -> list[int]:
        """The numbers of the rows told of."""
        return [each["data"].get("record", {}).get("id") for each in self.changes]

    def listen(self, event: str = "INSERT", **asked: Any) -> "Listener":
        asked = {"schema": "notify", "table": "note"} | asked
        self.channel.on_postgres_changes(event, self.changes.append, **asked)
        return self

    async def subscribe(self) -> "Listener":
        """Until the database listens."""
        self.channel.on_system(lambda payload: self.system.append(payload.message))
        await self.channel.subscribe(lambda state, _: self.states.append(state.value))
        await eventually(lambda: self.system)
        return self


class Clients:
    """Makes clients, and closes them in the end."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._made: list[AsyncRealtimeClient] = []

    def client(self, key: str = SERVICE, bearer: str | None = None, **options: Any):
        client = AsyncRealtimeClient(self._url, key, **{"initial_backoff": 0.01} | options)
        client.access_token = bearer or key
        self._made.append(client)
        return client

    def listener(self, key: str = SERVICE, bearer: str | None = None, **options: Any) -> Listener:
        client = self.client(key, bearer, **options)
        return Listener(client, client.channel("notes"))

    async def close(self) -> None:
        for client in self._made:
            await client.close()


@pytest.fixture
async def clients(running: RunningRealtime) -> AsyncIterator[Clients]:
    clients = Clients(running.url)
    yield clients
    running.realtime.drop()
    await clients.close()


async def insert(connection: psycopg.AsyncConnection, *ids: int, **columns: Any) -> None:
    """Rows of ACME, in one transaction."""
    row = {"enterprise_id": ACME} | columns
    names = psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, ["id", *row]))
    places = psycopg.sql.SQL(", ").join([psycopg.sql.Placeholder()] * (len(row) + 1))
    query = psycopg.sql.SQL("INSERT INTO notify.note ({}) VALUES ({})").format(names, places)
    async with connection.transaction():
        for number in ids:
            await connection.execute(query, [number, *row.values()])
