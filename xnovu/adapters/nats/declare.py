"""
Streams and consumers that are missing, made anew.

Only what is missing: whatever there is stays as it is, however it differs. Changing it is the
provisioning's, from the same configurations.
"""

import asyncio
import json
import logging

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, StreamInfo
from nats.js.errors import APIError, NotFoundError

from xnovu.adapters.nats.configuration import stream_config
from xnovu.adapters.nats.connection import Broker, takes_batches
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.topology import kinds_of, stream_name
from xnovu.errors import ConfigurationError

log = logging.getLogger(__name__)

EXISTS = 10148
"""JetStream's error code for a consumer that somebody has made meanwhile, otherwise."""
ANSWER_WITHIN = 2.0
"""Seconds for the server to make a consumer."""


class Streams:
    """The streams of one prefix, for everything in this process that finds one missing."""

    def __init__(self, options: NatsOptions) -> None:
        self._options = options
        self._lock = asyncio.Lock()

    async def ensure(self, broker: Broker, kind: str) -> StreamInfo:
        """Find the stream of that kind, or make it. ConfigurationError: it cannot be made."""
        jetstream, client = broker.jetstream, broker.client
        name = stream_name(self._options.prefix, kind)
        async with self._lock:
            try:
                return await jetstream.stream_info(name)
            except NotFoundError:
                batches = client is not None and takes_batches(client)
                return await self._made(jetstream, kind, batches=batches)

    async def ensure_all(self, broker: Broker) -> None:
        for kind in kinds_of([]):
            await self.ensure(broker, kind)

    async def _made(self, jetstream: JetStreamContext, kind: str, *, batches: bool) -> StreamInfo:
        config = stream_config(self._options, kind, batches=batches)
        try:
            info = await jetstream.add_stream(config)  # pyright: ignore[reportUnknownMemberType]
        except (NatsError, TimeoutError) as error:
            why = str(error) or type(error).__name__
            raise ConfigurationError(
                f"stream {config.name} is missing, and cannot be made anew ({why}):"
                " run `xnovu provision`"
            ) from error
        log.warning("stream %s was missing and has been made anew", config.name)
        return info


async def declare_consumer(client: Client, stream: str, config: ConsumerConfig) -> None:
    """Make a consumer, unless there is one by now; nats-py's own way would change that one."""
    filtered = f".{config.filter_subject}" if config.filter_subject else ""
    subject = f"$JS.API.CONSUMER.CREATE.{stream}.{config.name}{filtered}"
    request = {"stream_name": stream, "config": config.as_dict(), "action": "create"}
    answer = await client.request(subject, json.dumps(request).encode(), timeout=ANSWER_WITHIN)
    error = json.loads(answer.data).get("error")
    if error and error.get("err_code") != EXISTS:
        APIError.from_error(error)
    log.warning("consumer %s of stream %s was missing and has been made anew", config.name, stream)


def missing_stream(name: str) -> str:
    """What to tell whoever finds a stream missing."""
    return f"stream {name} is missing"
