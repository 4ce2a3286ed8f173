"""A mailbox's durable consumer, as its pull loop sees it."""

import asyncio
import logging

from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo
from nats.js.errors import NotFoundError

from xnovu.adapters.nats.inbox import NoConsumer
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.topology import Mailbox, consumer_config, stream_name

log = logging.getLogger(__name__)

NO_STREAM = 10059
"""JetStream's error code for a stream that does not exist."""


class Consumer:
    """
    Where it is, how long it leases a message (seconds), and whether anything is wrong with it.

    Its configuration is the provisioning's: here it is only made anew where there is none.

    ``old`` is the last message that was in the stream when we began to pull. Up to there the
    server's own count of deliveries proves nothing: a server that was killed forgets the latest of
    them, and so does a consumer that was made anew.
    """

    def __init__(self, options: NatsOptions, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self.stream = stream_name(options.prefix, mailbox.kind)
        self.request = f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{mailbox.name}"
        self.lease = options.lease
        self.old = 0
        self._config = consumer_config(options, mailbox)
        self._trouble = ""
        self._era = -1
        self._lock = asyncio.Lock()

    def __str__(self) -> str:
        return f"consumer {self.mailbox.name} of stream {self.stream}"

    async def ensure(self, jetstream: JetStreamContext, era: int) -> None:
        """
        Declare it if it is missing, and look at it, once in each ``era`` of the connection.

        Raises NoConsumer if its stream is missing.
        """
        async with self._lock:
            if era != self._era:
                await self._look(jetstream)
                self._era = era

    async def missing(self, jetstream: JetStreamContext) -> str | None:
        """What to do about it if it is not there."""
        try:
            await jetstream.consumer_info(self.stream, self.mailbox.name)
        except NotFoundError as error:
            gone = missing_stream(self.stream)
            return gone if error.err_code == NO_STREAM else f"{self} is missing"
        return None

    def ails(self, trouble: str) -> None:
        """Say what is wrong, once; and look again."""
        self._era = -1
        if trouble != self._trouble:
            self._trouble = trouble
            log.warning("%s: %s", self, trouble)

    def recovers(self) -> None:
        if self._trouble:
            self._trouble = ""
            log.warning("%s: goes on", self)

    async def _look(self, jetstream: JetStreamContext) -> None:
        try:
            info = await self._found_or_made(jetstream)
            stream = await jetstream.stream_info(self.stream)
        except NotFoundError as error:
            raise NoConsumer(missing_stream(self.stream)) from error
        self.lease = info.config.ack_wait or self.lease
        self.old = stream.state.last_seq

    async def _found_or_made(self, jetstream: JetStreamContext) -> ConsumerInfo:
        try:
            return await jetstream.consumer_info(self.stream, self.mailbox.name)
        except NotFoundError:
            info = await jetstream.add_consumer(self.stream, self._config)  # pyright: ignore[reportUnknownMemberType]
            log.warning("%s was missing and has been declared", self)
            return info


def missing_stream(name: str) -> str:
    """What to tell whoever finds a stream missing."""
    return f"stream {name} is missing: run `xnovu provision`"
