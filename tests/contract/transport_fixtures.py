"""One parameter per transport. A new one is one line in ``TRANSPORTS``."""

from base64 import b64encode
from collections.abc import AsyncIterator

import psycopg
import pytest
from nats.aio.client import Client
from psycopg.types.json import Jsonb

from tests.builders import namespace
from xnovu.adapters.mailboxes import MailboxOptions, PostgresTransport
from xnovu.adapters.mailboxes.transport import LARGEST
from xnovu.adapters.memory.transport import MemoryTransport
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.adapters.postgres.store import PostgresFunctions, PostgresOptions
from xnovu.adapters.postgres.wakeups import NotifyHints
from xnovu.ports import Transport
from xnovu.testing.contract import Bench
from xnovu.testing.contract.transport_bench import LEASE
from xnovu_local.nats import EmbeddedNats


async def memory(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    transport = MemoryTransport(max_payload=100_000)

    async def foreign(kind: str, body: bytes) -> None:
        transport.deliver(kind, {}, body)

    def another() -> Transport:
        pytest.skip("lives in one process")

    yield Bench(transport, foreign, another, 100_001)


async def nats(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    server: EmbeddedNats = request.getfixturevalue("nats_server")
    options = NatsOptions(url=server.url, lease=LEASE, **namespace())
    await provision(server.url, options, {})
    client = Client()
    await client.connect(server.url)

    async def foreign(kind: str, body: bytes) -> None:
        await client.jetstream().publish(f"{options.prefix}.{kind}.acme", body)

    yield Bench(NatsTransport(options), foreign, lambda: NatsTransport(options), 8 * 1024 * 1024)
    await client.close()


async def postgres(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    dsn: str = request.getfixturevalue("migrated")
    options = MailboxOptions(lease=LEASE)

    def transport() -> Transport:
        functions = PostgresFunctions(dsn, PostgresOptions(pool_max=options.pool_max))
        return PostgresTransport(functions, options, NotifyHints(dsn))

    async def foreign(kind: str, body: bytes) -> None:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            line = {"kind": kind, "enterprise_id": "acme", "headers": "{}"}
            line["body"] = b64encode(body).decode()
            await connection.execute("SELECT notify.publish_messages(%s)", [Jsonb([line])])

    yield Bench(transport(), foreign, transport, LARGEST + 1)


TRANSPORTS = [memory, nats, postgres]
