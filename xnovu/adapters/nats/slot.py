"""One slot of a pull loop: pulls a batch, has it handled, and pulls the next."""

import asyncio
import logging
from contextlib import nullcontext, suppress
from itertools import chain

from faststream.nats.subscriber.usecases import BatchPullStreamSubscriber
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from xnovu.adapters.nats.connection import Broker
from xnovu.adapters.nats.inbox import Inbox, Interrupted, Unanswered
from xnovu.adapters.nats.later import Copies
from xnovu.adapters.nats.lease import kept
from xnovu.adapters.nats.settle import AGAIN_AFTER, give_back, settle
from xnovu.adapters.nats.topology import Lane
from xnovu.adapters.nats.triage import Triage
from xnovu.errors import Paused, describe
from xnovu.policy import Retry

log = logging.getLogger(__name__)

EXPIRES = 30.0
"""How long an idle slot's request stands before it is renewed, in seconds."""
LAST_CALL = 0.1
"""Seconds at stop in which an open request may still be answered."""
GLANCE = 0.05
LOOK_EVERY = 3.0
"""Seconds in which a message that is to be alone is looked for, and between two such looks."""
FLUSH_SECONDS = 5
"""How long the server may take to have seen that a group is settled."""
REST_MIN, REST_MAX = 0.05, 5.0
"""Seconds between attempts while nothing works."""


class Slot:
    """Read :meth:`_serve` first: it is the pull loop."""

    def __init__(
        self, broker: Broker, copies: Copies, subscriber: BatchPullStreamSubscriber
    ) -> None:
        self._broker = broker
        self._consumer = consumer = copies.consumer
        self._triage = Triage(copies)
        self._alone = consumer.mailbox.lane is Lane.ALONE
        self._turn = broker.alone if self._alone else nullcontext()
        self._subscriber = subscriber
        self._linger = consumer.mailbox.policy.linger
        self._busy = False
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
        await self._consumer.ensure(self._broker)
        inbox = self._inbox = await Inbox.open(client, self._consumer.request)
        try:
            while not self._stopping:
                async with self._turn:
                    pulled = await self._round(inbox)
                self._consumer.recovers()
                self._rest = REST_MIN
                if self._alone and not pulled:
                    await self._news_within(LOOK_EVERY)
        except Interrupted:
            return
        finally:
            self._inbox = None
            await inbox.close()

    async def _round(self, inbox: Inbox) -> int:
        batch: list[Msg] = []
        try:
            await (self._look(inbox, batch) if self._alone else self._pull(inbox, batch))
        finally:
            await self._hand_over(batch)
        self._consumer.stride.done(len(batch), asyncio.get_running_loop().time())
        return len(batch)

    async def _look(self, inbox: Inbox, batch: list[Msg]) -> None:
        """Take one, if there is one: the turn is not kept from others by waiting for it."""
        if not self._stopping:
            await inbox.fill(batch, 1, GLANCE)

    async def _pull(self, inbox: Inbox, batch: list[Msg]) -> None:
        """
        Wait for a first message, if need be for ever, then for its company, not for long.

        One slot at a time: what comes together is not scattered over all of them.
        """
        size, linger = self._consumer.stride.size, self._linger
        async with self._consumer.pulling:
            if self._busy and not self._stopping:
                await inbox.fill(batch, size, linger)
            if not batch and not self._stopping:
                await inbox.fill(batch, 1, EXPIRES)
                if batch:
                    await inbox.fill(batch, size, linger)
            self._busy = len(batch) == size

    async def _hand_over(self, batch: list[Msg]) -> None:
        """Have a batch handled and settled; whatever is not settled then comes again."""
        if not batch:
            return
        async with kept(batch, self._consumer.lease):
            try:
                await self._return(await self._handle(batch))
            finally:
                count = await give_back(batch, AGAIN_AFTER)
        if count:
            log.warning("%s: %d messages were not settled; they come again", self._consumer, count)

    async def _handle(self, batch: list[Msg]) -> list[Msg]:
        """Group by group, each settled before the next; says what was not begun as we must stop."""
        if self._stopping:
            return batch
        groups = await self._triage.groups(batch)
        for begun, group in enumerate(groups):
            if self._stopping:
                return list(chain.from_iterable(groups[begun:]))
            await self._subscriber.consume(group)
            if len(groups) > 1 and (client := self._broker.client):
                await client.flush(FLUSH_SECONDS)
        return []

    async def _return(self, messages: list[Msg]) -> None:
        """What was not begun comes to another, and costs no attempt."""
        unspent = [Retry(0.0, "given back", "stopping", spent=False)] * len(messages)
        await settle(messages, unspent, self._triage.copies.keep)

    async def _wait(self) -> None:
        await self._news_within(0 if self._stopping else self._rest)
        self._rest = min(REST_MAX, self._rest * 2)

    async def _news_within(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
