"""Messages that a stream still holds, handed to a consumer once more."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from uuid import uuid4

from xnovu.adapters.nats.archive import PATIENCE, StreamArchive
from xnovu.adapters.nats.arrival import ATTEMPTS
from xnovu.adapters.nats.client import caught_up, jetstream_of
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.topology import (
    Lane,
    retries_of,
    stream_name,
    token_of,
)
from xnovu.adapters.nats.visit import Visitor
from xnovu.archive import Kept, Selection, Target
from xnovu.errors import ConfigurationError

NO_RESPONDERS = "503"
"""What the server answers where nobody listens."""
WINDOW = 200
"""Messages sent before their answers are waited for, and the backlog is looked at again."""
LOOK_AGAIN = 0.2
"""Seconds until a full mailbox is looked at again."""


class StreamReplay:
    """
    One run. What it hands to a stage is a copy that may have been handled before, and says so.

    ``rate`` is messages a second at the most (0: as fast as the mailbox empties). Once ``stopping``
    is set it ends after what it has begun; ``last`` is the number of the last message handed over.
    """

    def __init__(self, client: Visitor, options: NatsOptions, target: Target, rate: float) -> None:
        self._archive = StreamArchive(client, options)
        self._client = client
        self._jetstream = jetstream_of(client, PATIENCE)
        self._options = options
        self._target = target
        self._rate = rate
        self._run = uuid4().hex[:12]
        self._is_heard = False
        self.stopping = asyncio.Event()
        self.last = 0

    async def count(self, selection: Selection) -> int:
        """How many messages would be handed over."""
        return await self._archive.count(selection)

    async def run(self, selection: Selection, progress: Callable[[int], None]) -> int:
        """Hand all over; says how many it were, also as it goes on."""
        done, began = 0, asyncio.get_running_loop().time()
        async with aclosing(self._windows(selection)) as windows:
            async for window in windows:
                await self._have_room()
                first = [] if self._is_heard else window[:1]  # if it is refused, no other is sent
                for kept in first:
                    await self._hand_over(kept)
                self._is_heard = True
                await asyncio.gather(*map(self._hand_over, window[len(first) :]))
                done, self.last = done + len(window), window[-1].number
                progress(done)
                if self._rate:
                    due = began + done / self._rate - asyncio.get_running_loop().time()
                    await self._rest(due)
                if self.stopping.is_set():
                    break
        return done

    async def _windows(self, selection: Selection) -> AsyncGenerator[list[Kept]]:
        size = min(WINDOW, max(1, int(self._rate))) if self._rate else WINDOW
        window: list[Kept] = []
        async with aclosing(self._archive.read(selection)) as reading:
            async for kept in reading:
                window.append(kept)
                if len(window) == size:
                    yield window
                    window = []
        if window:
            yield window

    async def _have_room(self) -> None:
        """Wait while the mailbox is full: the replay must not push aside what is new."""
        while (stage := self._target.stage) and not self.stopping.is_set():
            stream = stream_name(self._options.prefix, retries_of(stage))
            info = await self._jetstream.consumer_info(stream, stage)
            if (info.num_pending or 0) + (info.num_ack_pending or 0) < self._target.room:
                return
            await self._rest(LOOK_AGAIN)

    async def _rest(self, seconds: float) -> None:
        if seconds > 0:
            await asyncio.wait([asyncio.ensure_future(self.stopping.wait())], timeout=seconds)

    async def _hand_over(self, kept: Kept) -> None:
        """To a stage it is confirmed; a subject of one's own need not be a stream's."""
        headers = {name: value for name, value in kept.headers.items() if name != ATTEMPTS}
        if subject := self._target.subject:
            await self._publish(subject, kept.body, headers)
        else:
            headers[ATTEMPTS] = "0"
            subject = self._copy_of(kept)
            await self._jetstream.publish(subject, kept.body, headers=headers)

    async def _publish(self, subject: str, body: bytes, headers: dict[str, str]) -> None:
        """The first one asks for an answer: without listeners, the server itself gives one."""
        if self._is_heard:
            await self._client.publish(subject, body, headers=headers)
            return
        inbox = self._client.new_inbox()
        answers = await self._client.subscribe(inbox)  # pyright: ignore[reportUnknownMemberType]
        await self._client.publish(subject, body, reply=inbox, headers=headers)
        await caught_up(self._client)
        answer = await answers.next_msg() if answers.pending_msgs else None
        await answers.unsubscribe()
        if answer and (answer.headers or {}).get("Status") == NO_RESPONDERS:
            raise ConfigurationError(f"nobody listens at {subject}: nothing was sent")

    def _copy_of(self, kept: Kept) -> str:
        enterprise = token_of(kept.address.enterprise_id)
        words = (retries_of(self._target.stage or ""), Lane.DUE, enterprise)
        return ".".join([self._options.prefix, *words, f"replay-{self._run}-{kept.number}"])
