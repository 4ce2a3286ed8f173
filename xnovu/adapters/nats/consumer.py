"""A mailbox's durable consumer, as its pull loop sees it."""

import asyncio
import logging
from dataclasses import replace

from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo
from nats.js.errors import NotFoundError

from xnovu.adapters.nats.configuration import consumer_config
from xnovu.adapters.nats.connection import Broker
from xnovu.adapters.nats.declare import Streams, declare_consumer, missing_stream
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.rights import GRANT
from xnovu.adapters.nats.topology import (
    ADVISORY,
    Lane,
    Mailbox,
    acknowledgements,
    mailbox_of,
    retries_of,
    stream_name,
)
from xnovu.errors import Paused
from xnovu.policy import Stride
from xnovu.ports import Backlog

log = logging.getLogger(__name__)

MICROSECONDS = 1_000_000
NO_STREAM = 10059
"""JetStream's error code for a stream that does not exist."""


class Consumer:
    """
    Where it is, how long it leases a message (seconds), and whether anything is wrong with it.

    Its configuration is the provisioning's: here it is only made anew where there is none.

    ``unheard`` says why no message can be acknowledged, if so: then none is to be taken, either.
    ``made`` tells this consumer from one of the same name before it. The slot that holds
    ``pulling`` may ask for a batch, as large as the ``stride``.
    """

    def __init__(self, options: NatsOptions, mailbox: Mailbox, streams: Streams) -> None:
        self.mailbox = mailbox
        self.stream = stream_name(options.prefix, mailbox.kind)
        self.request = f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{mailbox.durable}"
        self.lease = options.lease
        self.unheard = ""
        self.made = 0
        self.pulling = asyncio.Lock()
        self.stride = Stride(mailbox.policy.batch)
        self._options = options
        self._streams = streams
        self._trouble = ""
        self._era = -1
        self._lock = asyncio.Lock()

    def __str__(self) -> str:
        return f"consumer {self.mailbox.durable} of stream {self.stream}"

    async def ensure(self, broker: Broker) -> None:
        """
        Look at it, once in each era of the connection, and make it if it is missing.

        Raises ConfigurationError if its stream is missing and cannot be made, Paused if nothing
        could be acknowledged: whatever was taken would come again and again.
        """
        async with self._lock:
            if broker.era != self._era:
                era = broker.era
                await self._look(broker)
                self._era = era

    async def found(self, jetstream: JetStreamContext) -> ConsumerInfo | str:
        """What the server says of it or, if it is not there, what to say then."""
        try:
            return await jetstream.consumer_info(self.stream, self.mailbox.durable)
        except NotFoundError as error:
            gone = missing_stream(self.stream)
            return gone if error.err_code == NO_STREAM else f"{self} is missing"

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

    async def _look(self, broker: Broker) -> None:
        if self.mailbox.kind == ADVISORY:  # there is one of these in each process
            await self._streams.ensure_all(broker)
        await self._streams.ensure(broker, self.mailbox.kind)
        info = await self._found_or_made(broker, self.mailbox)
        if self.mailbox.lane is Lane.DUE:
            await self._found_or_made(broker, replace(self.mailbox, lane=Lane.AT))
        await self._streams.ensure(broker, retries_of(self.mailbox.name))
        self.lease = info.config.ack_wait or self.lease
        self.made = int(info.created.timestamp() * MICROSECONDS)
        await self._look_at_rights(broker)

    async def _look_at_rights(self, broker: Broker) -> None:
        subject = acknowledgements(self.stream, self.mailbox.durable)
        said = f"NATS does not let {broker.who} publish to {subject}.>: {GRANT}"
        self.unheard = "" if await broker.lets_acknowledge(subject) else said
        if self.unheard:
            raise Paused(said, code="broker_permission")

    async def _found_or_made(self, broker: Broker, mailbox: Mailbox) -> ConsumerInfo:
        try:
            return await broker.jetstream.consumer_info(self.stream, mailbox.durable)
        except NotFoundError:
            if client := broker.client:
                config = consumer_config(self._options, mailbox)
                await declare_consumer(client, self.stream, config)
            return await broker.jetstream.consumer_info(self.stream, mailbox.durable)


def unsettled(info: ConsumerInfo) -> int:
    """How many messages a consumer has still to give out, or to see settled."""
    return (info.num_pending or 0) + (info.num_ack_pending or 0)


def backlog(info: ConsumerInfo) -> Backlog:
    """The same, and how much is ready to be given out; what is in a lane beside never is."""
    beside = info.name.removeprefix(mailbox_of(info.name))
    if beside == f"+{Lane.ADVICE}":
        return Backlog()
    return Backlog(unsettled(info), 0 if beside else info.num_pending or 0)
