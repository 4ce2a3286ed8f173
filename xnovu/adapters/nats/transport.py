"""The transport: JetStream's streams as subjects, its durable consumers as mailboxes."""

import asyncio
import inspect
import logging
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from faststream import AckPolicy
from faststream.nats import JStream, PullSub
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from pydantic import SkipValidation

from xnovu.adapters.nats.address import Access, Url, access_of
from xnovu.adapters.nats.arrival import delivery
from xnovu.adapters.nats.clock import ServerClock
from xnovu.adapters.nats.connection import Broker, Middleware
from xnovu.adapters.nats.consumer import Consumer, backlog
from xnovu.adapters.nats.declare import Streams, missing_stream
from xnovu.adapters.nats.later import Copies
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.pause import Pauses, reached
from xnovu.adapters.nats.publish import JetStreamPublisher
from xnovu.adapters.nats.pull import PullLoop
from xnovu.adapters.nats.said import cause
from xnovu.adapters.nats.send import Sender
from xnovu.adapters.nats.settle import settle
from xnovu.adapters.nats.topology import (
    ADVISORY,
    Lane,
    Mailbox,
    boxes_of,
    filter_of,
    kinds_of,
    mailbox_of,
    retries_of,
    stream_name,
)
from xnovu.adapters.nats.undertaker import Undertaker
from xnovu.envelope import Envelope
from xnovu.errors import Paused, XNovuError
from xnovu.events import KINDS, Event, Rejected
from xnovu.policy import Policy
from xnovu.ports import Backlog, Features, Handler, Start

log = logging.getLogger(__name__)

READY_WITHIN = 1.0
"""Seconds in which NATS is to say that all is well; who asks does not wait for long."""

OnBatch = Callable[[Any], Awaitable[None]]


class NatsTransport:
    """
    :class:`xnovu.ports.Transport` on NATS JetStream.

    ``broker`` is an ordinary FastStream broker, to build an app on; starting and stopping it is
    starting and stopping the transport. ``url`` may hold credentials; as a callable it is asked at
    each connection. Streams and consumers are :func:`~xnovu.adapters.nats.provision.provision`'s;
    those that are missing are made anew.
    """

    features: ClassVar[Features] = Features(persistent=True, deduplicates=True, competing=True)

    def __init__(
        self,
        options: NatsOptions,
        where: str | Url | Access | None = None,
        middlewares: Sequence[Middleware] = (),
    ) -> None:
        access = access_of(where or options.url, options)
        self.broker = Broker(access, stop_timeout=options.stop_timeout, middlewares=middlewares)
        self._options = options
        self._sender = Sender(self.broker, options.publish_timeout)
        self._streams = Streams(options)
        self._publisher = JetStreamPublisher(self.broker, self._sender, self._streams, options)
        self._clock = ServerClock(self.broker, options)
        self._pauses = Pauses(self.broker, options, self._clock)
        self._consumers: list[Consumer] = []

    def subscribe(
        self,
        name: str,
        kinds: Sequence[str],
        policy: Policy,
        handler: Handler,
        start: Start = "all",
    ) -> None:
        """Each kind is a consumer with ``policy.slots`` slots; ConfigurationError for the name."""
        for mailbox in boxes_of(name, kinds, policy, start):
            match mailbox.lane:
                case Lane.ADVICE:
                    self._serve(mailbox, lambda _: _burying(Undertaker(self.broker, self)))
                case lane if lane is not Lane.AT:
                    self._serve(mailbox, lambda copies: _settling(handler, copies))
                case _:
                    pass  # nobody takes these

    def _serve(self, mailbox: Mailbox, handle: Callable[[Copies], OnBatch]) -> None:
        consumer = Consumer(self._options, mailbox, self._streams)
        event = KINDS.get(mailbox.kind, Event)
        copies = Copies(self.broker, consumer, self._sender, self._options, self._clock)
        subscriber = self.broker.subscriber(
            filter_of(self._options.prefix, mailbox),
            stream=JStream(consumer.stream, declare=False),
            durable=mailbox.durable,
            pull_sub=PullSub(mailbox.policy.batch, batch=True),
            ack_policy=AckPolicy.MANUAL,
            decoder=_sealed,
            no_reply=True,
            title=f"{mailbox.durable}:{mailbox.kind}",
            description=event.__doc__ and inspect.cleandoc(event.__doc__),
            include_in_schema=mailbox.kind in KINDS,
        )
        subscriber(_typed(handle(copies), event))
        PullLoop(self.broker, copies, subscriber)
        self._consumers.append(consumer)

    def announce(self, name: str, events: Sequence[type[Event]]) -> None:
        """Have FastStream's AsyncAPI tell what ``name`` publishes, which it does by other means."""
        for event in events:
            stage = [name] if event is Rejected else []
            self.broker.publisher(
                ".".join([self._options.prefix, event.kind, *stage, "*"]),
                schema=event,
                title=f"{name}:{event.kind}:published",
                description=event.__doc__ and inspect.cleandoc(event.__doc__),
            )

    async def start(self) -> None:
        """Connect, waiting for NATS if need be for ever. ConfigurationError: refused."""
        await self.broker.start()

    async def stop(self) -> None:
        await self.broker.stop()

    async def publish(self, envelopes: Sequence[Envelope[Event]]) -> Sequence[XNovuError | None]:
        return await self._publisher.publish(envelopes)

    async def ready(self) -> str | None:
        try:
            async with asyncio.timeout(READY_WITHIN):
                return await self._trouble()
        except Paused as error:
            return str(error)
        except (NatsError, OSError, TimeoutError) as error:
            said = f"NATS at {self.broker.address} does not answer: {cause(error)}"
            return "; ".join([said, *self.broker.denials.values()])

    async def backlog(self, names: Sequence[str]) -> Backlog:
        """Raises Paused while NATS is away, ConfigurationError where it has no JetStream."""
        async with reached(self.broker.client):
            jetstream = self.broker.jetstream
            theirs = dict.fromkeys([*self._kinds(), *map(retries_of, names)])
            kinds = [kind for kind in theirs if kind != ADVISORY]
            counts = [self._backlog(jetstream, kind, names) for kind in kinds]
            return sum(await asyncio.gather(*counts), Backlog())

    async def pause(self, name: str, seconds: float, reason: str) -> None:
        await self._pauses.pause(self._of(name), seconds, reason)

    async def resume(self, name: str) -> None:
        await self._pauses.resume(self._of(name))

    async def paused(self, name: str) -> bool:
        return await self._pauses.paused(self._of(name))

    def _of(self, name: str) -> list[Consumer]:
        theirs = [each for each in self._consumers if each.mailbox.name == name]
        return [each for each in theirs if each.mailbox.lane is not Lane.ADVICE]

    def _kinds(self) -> Sequence[str]:
        return kinds_of(consumer.mailbox for consumer in self._consumers)

    async def _trouble(self) -> str | None:
        jetstream = self.broker.jetstream
        if unheard := next(filter(None, (each.unheard for each in self._consumers)), None):
            return unheard
        checks = [self._missing_stream(jetstream, kind) for kind in self._kinds()]
        checks += [self._trouble_of(consumer) for consumer in self._consumers]
        told = [*await asyncio.gather(*checks), *self.broker.denials.values()]
        return next(filter(None, told), None)

    async def _trouble_of(self, consumer: Consumer) -> str | None:
        match await consumer.found(self.broker.jetstream):
            case str(missing):
                return missing
            case info:
                return await self._pauses.told(consumer, info)

    async def _missing_stream(self, jetstream: JetStreamContext, kind: str) -> str | None:
        stream = stream_name(self._options.prefix, kind)
        try:
            await jetstream.stream_info(stream)
        except NotFoundError:
            return missing_stream(stream)
        return None

    async def _backlog(
        self, jetstream: JetStreamContext, kind: str, names: Sequence[str]
    ) -> Backlog:
        try:
            infos = await jetstream.consumers_info(stream_name(self._options.prefix, kind))
        except NotFoundError:
            return Backlog()
        return sum((backlog(info) for info in infos if mailbox_of(info.name) in names), Backlog())


def _settling(handler: Handler, copies: Copies) -> OnBatch:
    """The handler as FastStream calls it: settles each message by its fate."""

    async def on_batch(batch: Any) -> None:
        try:
            fates = await handler([delivery(one) for one in batch])
            await settle(batch, fates, copies.keep)
        except Exception as error:
            log.error("a batch was not settled: the handler raised %s", _where(error))
            raise

    return on_batch


def _burying(undertaker: Undertaker) -> OnBatch:
    async def on_batch(batch: Any) -> None:
        try:
            await undertaker(batch)
        except Exception as error:
            log.error("advisories were not dealt with: %s", _where(error))
            raise

    return on_batch


def _typed(on_batch: OnBatch, event: type[Event]) -> OnBatch:
    """The same, annotated for FastStream's AsyncAPI with what each message of a batch is."""
    on_batch.__annotations__["batch"] = SkipValidation[event]
    return on_batch


async def _sealed(message: Any) -> Any:
    """
    The messages as nats-py has them: FastStream decodes a batch as a whole, and fails as a whole.

    As a dependency of the handler it would find them in a thread of their own.
    """
    return message.raw_message


def _where(error: Exception) -> str:
    """The class of an error and the line it comes from: its text may hold anything."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
