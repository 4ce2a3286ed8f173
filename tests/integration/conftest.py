"""The fixtures of the integration suites."""

from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from tests.supabase_fixtures import postgrest_program, project, supabase
from xnovu_local.nats import EmbeddedNats

__all__ = ["postgrest_program", "project", "supabase"]


@pytest.fixture
async def jetstream(nats_server: EmbeddedNats) -> AsyncIterator[JetStreamContext]:
    """The server as anybody else sees it."""
    client = Client()
    await client.connect(nats_server.url)
    yield client.jetstream()
    await client.close()
