"""
The pull loop: how batches come out of a mailbox.

FastStream's own loses deliveries under load, waits for a timeout with every batch that is not full,
and does not notice that a consumer is gone. This one hands its batches to the same FastStream
subscriber, so its middlewares and dependencies work as ever.
"""

import asyncio
from typing import Self

from faststream.nats.subscriber.usecases import BatchPullStreamSubscriber
from nats.errors import Error as NatsError

from xnovu.adapters.nats.connection import Broker
from xnovu.adapters.nats.inbox import Unanswered
from xnovu.adapters.nats.later import Copies
from xnovu.adapters.nats.rights import require_jetstream
from xnovu.adapters.nats.slot import Slot
from xnovu.errors import Paused

FAREWELL = 1.0
"""Seconds for the slots to give back what they hold, once the batches in hand are settled."""


class PullLoop:
    """A subscriber's slots: started and stopped by FastStream as if it were its subscription."""

    def __init__(
        self, broker: Broker, copies: Copies, subscriber: BatchPullStreamSubscriber
    ) -> None:
        self._broker = broker
        self._consumer = copies.consumer
        self._make = lambda: Slot(broker, copies, subscriber)
        self._slots: list[Slot] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._count = copies.consumer.mailbox.policy.slots
        broker.attach(subscriber, self)

    async def subscribe(self) -> Self:
        """Raises ConfigurationError where there is no JetStream; the slots see to all else."""
        try:
            await self._consumer.ensure(self._broker)
        except (Paused, Unanswered, NatsError, TimeoutError) as error:
            require_jetstream(error.__cause__ or error, self._broker.client)
        self._slots = [self._make() for _ in range(self._count)]
        self._tasks = [asyncio.create_task(slot.run(), name="nats-slot") for slot in self._slots]
        return self

    def interrupt(self) -> None:
        for slot in self._slots:
            slot.interrupt()

    def take_no_more(self) -> None:
        for slot in self._slots:
            slot.take_no_more()

    async def unsubscribe(self) -> None:
        """End the slots; a batch that is in hand even now has had its time, and is given back."""
        self.take_no_more()
        others = [task for task in self._tasks if task is not asyncio.current_task()]
        if others:
            _, late = await asyncio.wait(others, timeout=FAREWELL)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
