"""One slot of a pull loop: pulls a batch, has it handled, and pulls the next."""

import asyncio
import logging
from contextlib import suppress

from faststream.nats.subscriber.usecases import BatchPullStreamSubscriber
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from xnovu.adapters.nats.connection import Broker
from xnovu.adapters.nats.inbox import Inbox, Interrupted, Unanswered
from xnovu.adapters.nats.later import Copies
from xnovu.adapters.nats.settle import AGAIN_AFTER, give_back, kept
from xnovu.errors import Paused, describe

log = logging.getLogger(__name__)

EXPIRES = 30.0
"""How long an idle slot's request stands before it is renewed, in seconds."""
LAST_CALL = 0.1
"""Seconds at stop in which an open request may still be answered."""
REST_MIN, REST_MAX = 0.05, 5.0
"""Seconds between attempts while nothing works."""


class Slot:
    """Read :meth:`_serve` first: it is the pull loop."""

    def __init__(
        self, broker: Broker, copies: Copies, subscriber: BatchPullStreamSubscriber
    ) -> None:
        consumer = copies.consumer
        self._broker = broker
        self._copies = copies
        self._consumer = consumer
        self._subscriber = subscriber
        self._policy = consumer.mailbox.policy
        self._inbox: Inbox | None = None
        self._news = asyncio.Event()
        self._stopping = False
        self._rest = REST_MIN

    def take_no_more(self) -> None:
        """What is on its way is let in, to be given back: cut off, it would wait for its lease."""
        self._stopping = True
        self._news.set()
        if self._inbox:
            asyncio.get_running_loop().call_later(LAST_CALL, self._inbox.interrupt)

    def interrupt(self) -> None:
        """Look at the world again: the connection went or came back."""
        self._news.set()
        if self._inbox:
            self._inbox.interrupt()

    async def run(self) -> None:
        """Serve until told to stop, whatever happens; at longer intervals while nothing works."""
        while not self._stopping:
            self._news.clear()
            try:
                if client := self._broker.client:
                    await self._serve(client)
            except (Paused, Unanswered, NatsError, OSError, TimeoutError) as error:
                self._consumer.ails(str(error) or type(error).__name__)
            except Exception as error:  # noqa: BLE001 - a slot must not end unnoticed
                self._consumer.ails(describe(error))
            await self._wait()

    async def _serve(self, client: Client) -> None:
        """Pull, hand over, pull again: until we stop or the connection changes."""
        await self._consumer.ensure(self._broker.jetstream, self._broker.era)
        inbox = self._inbox = await Inbox.open(client, self._consumer.request)
        batch: list[Msg] = []
        try:
            while not self._stopping:
                busy, batch = len(batch) == self._policy.batch, []
                try:
                    await self._pull(inbox, batch, busy=busy)
                finally:
                    await self._hand_over(batch)
                self._consumer.recovers()
                self._rest = REST_MIN
        except Interrupted:
            return
        finally:
            self._inbox = None
            await inbox.close()

    async def _pull(self, inbox: Inbox, batch: list[Msg], *, busy: bool) -> None:
        """Wait for a first message, if need be for ever, then for its company, not for long."""
        size, linger = self._policy.batch, self._policy.linger
        if busy:
            await inbox.fill(batch, size, linger)
        if not batch and not self._stopping:
            await inbox.fill(batch, 1, EXPIRES)
            if batch:
                await inbox.fill(batch, size, linger)

    async def _hand_over(self, batch: list[Msg]) -> None:
        """Have a batch handled and settled; whatever is not settled then comes again."""
        if not batch:
            return
        if self._stopping:
            await give_back(batch)
            return
        try:
            async with kept(batch, self._consumer.lease):
                if ours := await self._without_put_off(batch):
                    await self._subscriber.consume(ours)
        finally:
            if count := await give_back(batch, AGAIN_AFTER):
                log.warning(
                    "%s: %d messages were not settled; they come again", self._consumer, count
                )

    async def _without_put_off(self, batch: list[Msg]) -> list[Msg]:
        """Those for which no copy stands in."""
        doubtful = [one for one in batch if self._consumer.may_have_put_off(one)]
        found = await asyncio.gather(*map(self._copies.has, doubtful))
        for message, has_copy in zip(doubtful, found, strict=True):
            if has_copy:
                await message.ack()
        return [message for message in batch if not message.is_acked]

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0 if self._stopping else self._rest):
                await self._news.wait()
        self._rest = min(REST_MAX, self._rest * 2)
