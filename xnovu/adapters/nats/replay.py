"""Messages that a stream still holds, handed to a consumer once more."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

from xnovu.adapters.nats.archive import PATIENCE
from xnovu.adapters.nats.arrival import ATTEMPTS
from xnovu.adapters.nats.client import caught_up, jetstream_of
from xnovu.adapters.nats.consumer import unsettled
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.topology import (
    Lane,
    retries_of,
    stream_name,
    token_of,
)
from xnovu.adapters.nats.visit import Visitor
from xnovu.archive import Kept, Target
from xnovu.errors import ConfigurationError

NO_RESPONDERS = "503"
"""What the server answers where nobody listens."""


class StreamRecipient:
    """
    :class:`xnovu.archive.Recipient`: a mailbox, or a subject of one's own.

    What a mailbox is handed is a copy, and says that it may have been handled before.
    """

    def __init__(self, client: Visitor, options: NatsOptions, target: Target) -> None:
        self._client = client
        self._jetstream = jetstream_of(client, PATIENCE)
        self._options = options
        self._target = target
        self._run = uuid4().hex[:12]
        self._is_heard = False

    async def waiting(self) -> int:
        if not (stage := self._target.stage):
            return 0
        stream = stream_name(self._options.prefix, retries_of(stage))
        return unsettled(await self._jetstream.consumer_info(stream, stage))

    async def take(self, messages: Sequence[Kept]) -> None:
        first = messages[:0] if self._is_heard else messages[:1]  # refused, no other is sent
        for kept in first:
            await self._hand_over(kept)
        self._is_heard = True
        await asyncio.gather(*map(self._hand_over, messages[len(first) :]))

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
