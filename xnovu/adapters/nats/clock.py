"""What time it is at the server: whatever it is told to do at a time, it does by its own clock."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from nats.aio.client import Client
from nats.errors import Error as NatsError

from xnovu.adapters.nats.connection import API_TIMEOUT, Broker
from xnovu.adapters.nats.declare import missing_stream
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.topology import ADVISORY, stream_name
from xnovu.errors import ConfigurationError, Paused

NEVER = datetime.min.replace(tzinfo=UTC)
RENEWED_AFTER = 60.0
"""Seconds until the server is asked again."""


@dataclass(slots=True)
class ServerClock:
    """
    The time of the server, as it last told; this machine's is never asked.

    In between, seconds are counted by the event loop. ``_zero`` is what the server's clock showed
    when the loop's was 0, or up to a round trip later: nothing is to happen too early.
    """

    broker: Broker
    options: NatsOptions
    _zero: datetime = NEVER
    _era: int = -1
    _until: float = 0.0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def now(self) -> datetime:
        """Raises Paused where the server cannot be asked, and has not been of late."""
        loop = asyncio.get_running_loop()
        async with self._lock:
            if self.broker.era != self._era or loop.time() >= self._until:
                await self._ask(loop.time)
        return self._zero + timedelta(seconds=loop.time())

    async def _ask(self, time: Callable[[], float]) -> None:
        era, began = self.broker.era, time()
        self._zero = await self._told() - timedelta(seconds=began)
        self._era, self._until = era, time() + RENEWED_AFTER

    async def _told(self) -> datetime:
        if not (client := self.broker.client):
            raise Paused(self.broker.trouble, code="broker_unavailable")
        try:
            return await time_at(client, self.options)
        except (NatsError, OSError, TimeoutError, ValueError) as error:
            said = f"NATS does not tell the time: {type(error).__name__}"
            raise Paused(said, code="broker_unavailable") from error


async def time_at(client: Client, options: NatsOptions) -> datetime:
    """
    What the server's clock shows.

    Raises:
        ConfigurationError: the stream is missing that tells.
    """
    stream = stream_name(options.prefix, ADVISORY)
    answer = await client.request(f"$JS.API.STREAM.INFO.{stream}", timeout=API_TIMEOUT)
    if not (told := json.loads(answer.data).get("ts")):
        raise ConfigurationError(f"{missing_stream(stream)}: run `xnovu provision`")
    return datetime.fromisoformat(told)
