"""Pauses of a mailbox: the server itself gives out nothing more, to no process."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo
from nats.js.errors import NotFoundError

from xnovu.adapters.nats.address import Access, access_of
from xnovu.adapters.nats.client import jetstream_of
from xnovu.adapters.nats.clock import ServerClock
from xnovu.adapters.nats.connection import API_TIMEOUT, Broker
from xnovu.adapters.nats.consumer import Consumer
from xnovu.adapters.nats.inbox import NANOSECONDS
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.rights import require_jetstream
from xnovu.adapters.nats.said import cause
from xnovu.adapters.nats.topology import retries_of, stream_name
from xnovu.adapters.nats.visit import visiting
from xnovu.errors import Paused

NUDGE = json.dumps({"batch": 1, "max_bytes": 1, "expires": NANOSECONDS // 20}).encode()
"""A pull request that no message is small enough for (nats-server 2.15 does without one wait for
the next sign of life of whoever pulls, which is seconds)."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """What the server says of it, and what nobody but us could: why."""

    broker: Broker
    options: NatsOptions
    clock: ServerClock

    async def pause(self, consumers: Sequence[Consumer], seconds: float, reason: str) -> None:
        """Pause these, which are one mailbox's, and leave word why."""
        async with reached():
            until = (await self.clock.now() + timedelta(seconds=seconds)).isoformat()
            for name in {box.mailbox.name for box in consumers}:
                await self._tell(name, reason)
            pause = self.broker.jetstream.pause_consumer
            await asyncio.gather(*(pause(c.stream, c.mailbox.durable, until) for c in consumers))

    async def resume(self, consumers: Sequence[Consumer]) -> None:
        async with reached():
            await asyncio.gather(*(self._resume(consumer) for consumer in consumers))

    async def paused(self, consumers: Sequence[Consumer]) -> bool:
        async with reached():
            info = self.broker.jetstream.consumer_info
            infos = await asyncio.gather(*(info(c.stream, c.mailbox.durable) for c in consumers))
        return any(info.paused for info in infos)

    async def told(self, consumer: Consumer, info: ConsumerInfo) -> str | None:
        """Until when at the latest it is paused, and why; None if it is not."""
        if not info.paused:
            return None
        left = int(info.pause_remaining or 0) / NANOSECONDS
        why = await _reason(self.broker.jetstream, self.options.prefix, consumer.mailbox.name)
        return f"{consumer} is paused in the whole fleet, {left:.0f} s more at the most: {why}"

    async def _resume(self, consumer: Consumer) -> None:
        """The server looks at what is waiting only when something happens: so something does."""
        await self.broker.jetstream.resume_consumer(consumer.stream, consumer.mailbox.durable)
        if client := self.broker.client:
            await client.request(consumer.request, NUDGE, timeout=1.0)

    async def _tell(self, name: str, reason: str) -> None:
        headers = {"Nats-Rollup": "sub"}
        subject = _subject(self.options.prefix, name)
        await self.broker.jetstream.publish(subject, reason.encode(), headers=headers)


@asynccontextmanager
async def reached(client: Client | None = None) -> AsyncGenerator[None]:
    """Raise Paused for what says that NATS is away, ConfigurationError if it has no JetStream."""
    try:
        yield
    except (NatsError, OSError, TimeoutError) as error:
        require_jetstream(error, client)
        raise Paused(f"NATS: {cause(error)}", code="broker_unavailable") from error


async def paused(
    url: str | Callable[[], str] | Access, options: NatsOptions, stages: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """
    Those of the stages (with the kinds each accepts) that are paused in the whole fleet, and why.

    Raises Paused if NATS cannot be reached, or does not say.
    """
    async with visiting(access_of(url, options)) as client:
        jetstream = jetstream_of(client, API_TIMEOUT)
        found: dict[str, str] = {}
        for name, kinds in stages.items():
            for kind in kinds:
                with suppress(NotFoundError):  # no stage has run yet
                    info = await jetstream.consumer_info(stream_name(options.prefix, kind), name)
                    if info.paused:
                        found[name] = await _reason(jetstream, options.prefix, name)
        return found


async def _reason(jetstream: JetStreamContext, prefix: str, name: str) -> str:
    try:
        subject = _subject(prefix, name)
        stream = stream_name(prefix, retries_of(name))
        told = await jetstream.get_last_msg(stream, subject, direct=True)
    except NotFoundError:
        return "nobody says why"
    return (told.data or b"").decode(errors="replace")


def _subject(prefix: str, name: str) -> str:
    return f"{prefix}.{retries_of(name)}.paused"
