"""One parameter per transport. A new one is one line in ``TRANSPORTS``."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import pytest
from nats.aio.client import Client

from tests.builders import namespace
from xnovu.adapters.memory.transport import MemoryTransport
from xnovu.adapters.nats import NatsOptions, NatsTransport, provision
from xnovu.local.nats import EmbeddedNats
from xnovu.policy import Policy
from xnovu.ports import Transport

LEASE = 0.6
"""Seconds: short, so that what outlives a lease can be seen to."""

Mailboxes = Mapping[str, tuple[Sequence[str], Policy]]


@dataclass(frozen=True)
class Bench:
    """A transport to test, and what only its maker can do to it."""

    transport: Transport
    foreign: Callable[[str, bytes], Awaitable[None]]
    """Put bytes on a kind's subject that no XNovu has written."""
    another: Callable[[], Transport]
    """A second process on the same subjects."""
    large: int
    """More bytes than it takes."""


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


TRANSPORTS = [memory, nats]


@pytest.fixture(params=TRANSPORTS, ids=lambda make: make.__name__)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async for bench in request.param(request):
        yield bench


@pytest.fixture
def transport(bench: Bench) -> Transport:
    return bench.transport


@pytest.fixture
def mailbox() -> str:
    return f"box-{uuid.uuid4().hex[:8]}"
