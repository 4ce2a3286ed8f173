"""How long messages in hand are ours, and how they are kept so."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from xnovu.adapters.nats.connection import Broker
from xnovu.adapters.nats.consumer import Consumer

STILL_AT_WORK = b"+WPI"
"""What the server takes for a sign of life, and confirms if asked (docs.nats.io: AckProgress)."""
SAFE = 2 / 3
"""The share of a lease after which nothing is to be begun any more: it would not end in time."""


@dataclass(slots=True)
class InHand:
    """
    The lease of a batch; see :class:`xnovu.ports.Lease`.

    It counts from the last sign of life that the server has confirmed: one that was only sent may
    have gone into a connection that has been dead for a while.
    """

    broker: Broker
    consumer: Consumer
    era: int
    made: int
    confirmed: float

    @classmethod
    def of(cls, broker: Broker, consumer: Consumer) -> "InHand":
        return cls(broker, consumer, broker.era, consumer.made, _now())

    @property
    def shaken(self) -> bool:
        """The connection went, if only for a moment, or the consumer is another of the name."""
        same = (self.era, self.made) == (self.broker.era, self.consumer.made)
        return not (same and self.broker.client)

    @property
    def lapsed(self) -> bool:
        return _now() - self.confirmed > self.consumer.lease * SAFE

    async def keep(self, messages: Sequence[Msg]) -> None:
        """Renew it for what is not settled, until it lapses all the same."""
        while not self.lapsed:
            await asyncio.sleep(self.consumer.lease / 3)
            unsettled = [message for message in messages if not message.is_acked]
            if unsettled and not self.lapsed:
                await self._renew(unsettled)

    async def _renew(self, messages: Sequence[Msg]) -> None:
        """Only the last is confirmed: the server takes them in their order."""
        asked, (*others, last) = _now(), messages
        try:
            for message in others:
                await message.in_progress()
            if client := self.broker.client:
                await client.request(last.reply, STILL_AT_WORK, timeout=self.consumer.lease / 3)
                self.confirmed = asked
        except (NatsError, TimeoutError):
            pass  # the connection is down, or the server does not answer: it counts on


_current: ContextVar[InHand] = ContextVar("lease")


@asynccontextmanager
async def kept(
    messages: Sequence[Msg], broker: Broker, consumer: Consumer
) -> AsyncGenerator[InHand]:
    """Keep the broker from giving these messages to somebody else while they are in hand."""
    lease = InHand.of(broker, consumer)
    token = _current.set(lease)
    keeper = asyncio.create_task(lease.keep(messages), name="nats-lease")
    try:
        yield lease
    finally:
        keeper.cancel()
        await asyncio.wait([keeper])
        _current.reset(token)


def current_lease() -> InHand:
    """The lease of the batch that is being handled."""
    return _current.get()


def _now() -> float:
    return asyncio.get_running_loop().time()
