"""The streams as an archive: what they still hold is counted, read again, and taken out."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from datetime import datetime
from uuid import uuid4

from nats.aio.client import Client
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError, NotFoundError

from xnovu.adapters.nats.arrival import MESSAGE_ID
from xnovu.adapters.nats.client import jetstream_of
from xnovu.adapters.nats.consumer import missing_stream
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.topology import address_of, some_subjects, stream_name
from xnovu.archive import Kept, Selection
from xnovu.errors import ConfigurationError

PAGE = 200
FORGOTTEN_AFTER = 60.0
"""Seconds until the server clears away a reader that has left without a word."""
PATIENCE = 10.0
NO_MESSAGE = 10057
"""JetStream's error code for a message that is not, or no longer, in the stream."""


class StreamArchive:
    """
    The streams of one installation, over a visit's connection.

    Raises ConfigurationError where a stream is missing.
    """

    def __init__(self, client: Client, options: NatsOptions) -> None:
        self._jetstream = jetstream_of(client, PATIENCE)
        self._prefix = options.prefix

    async def count(self, selection: Selection) -> int:
        """How many messages are selected; those that come meanwhile may count."""
        count = await self._pending(selection, selection.since)
        if selection.until and count:
            count -= min(count, await self._pending(selection, selection.until))
        return count

    async def read(self, selection: Selection) -> AsyncGenerator[Kept]:
        """Each selected message in order, up to the last one there was when reading began."""
        name, left = await self._reader(selection, selection.since)
        stream = stream_name(self._prefix, selection.kind)
        page = await self._jetstream.pull_subscribe_bind(consumer=name, stream=stream)
        try:
            while left > 0:
                try:
                    messages = await page.fetch(min(PAGE, left), timeout=PATIENCE)
                except (NatsTimeoutError, TimeoutError):  # taken out meanwhile
                    return
                for message in messages:
                    number, at = message.metadata.sequence.stream, message.metadata.timestamp
                    left = min(left - 1, message.metadata.num_pending)
                    if selection.until and at >= selection.until:
                        return
                    headers = dict(message.headers or {})
                    if identity := headers.pop(MESSAGE_ID, None):
                        headers["id"] = identity
                    yield Kept(number, at, address_of(message.subject), message.data, headers)
        finally:
            await page.unsubscribe()
            await self._jetstream.delete_consumer(stream, name)

    async def remove(
        self, kind: str, numbers: Iterable[int], tell: Callable[[int], None] = lambda _: None
    ) -> int:
        """Take messages out for good; says how many there were, and ``tell`` how many are done."""
        removed, stream = 0, stream_name(self._prefix, kind)
        left = list(numbers)
        for at in range(0, len(left), PAGE):
            gone = [self._remove(stream, number) for number in left[at : at + PAGE]]
            removed += sum(await asyncio.gather(*gone))
            tell(at + len(gone))
        return removed

    async def _remove(self, stream: str, number: int) -> bool:
        try:
            return await self._jetstream.delete_msg(stream, number)
        except APIError as error:
            if error.err_code != NO_MESSAGE:
                raise
        return False

    async def _pending(self, selection: Selection, since: datetime | None) -> int:
        name, pending = await self._reader(selection, since)
        await self._jetstream.delete_consumer(stream_name(self._prefix, selection.kind), name)
        return pending

    async def _reader(self, selection: Selection, since: datetime | None) -> tuple[str, int]:
        """A consumer of its own for one reading: its name, and how many messages it will see."""
        stream, name = stream_name(self._prefix, selection.kind), f"reader-{uuid4().hex[:12]}"
        config = ConsumerConfig(
            name=name,
            ack_policy=AckPolicy.NONE,
            deliver_policy=_start(selection, since),
            opt_start_time=since if not selection.first else None,
            opt_start_seq=selection.first,
            filter_subjects=some_subjects(
                self._prefix, selection.kind, selection.enterprise_id, selection.stage
            ),
            inactive_threshold=FORGOTTEN_AFTER,
            mem_storage=True,
        )
        try:
            info = await self._jetstream.add_consumer(stream, config)  # pyright: ignore[reportUnknownMemberType]
        except NotFoundError as error:
            raise ConfigurationError(missing_stream(stream)) from error
        return name, info.num_pending or 0


def _start(selection: Selection, since: datetime | None) -> DeliverPolicy:
    if selection.first:
        return DeliverPolicy.BY_START_SEQUENCE
    return DeliverPolicy.BY_START_TIME if since else DeliverPolicy.ALL
