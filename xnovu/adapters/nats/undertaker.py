"""
Dead letters for messages whose every worker vanished.

Nobody is left to give such a message up: it is delivered as often as it may be, and then no more.
The server says so, and that is kept in a stream, whether anybody listens or not.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from nats.aio.msg import Msg
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError
from pydantic import BaseModel, ValidationError

from xnovu.adapters.nats.arrival import attempts_before, plain
from xnovu.adapters.nats.connection import Broker
from xnovu.adapters.nats.topology import OURS, address_of, mailbox_of
from xnovu.handling import buried
from xnovu.ports import Delivery, Publisher

log = logging.getLogger(__name__)

LATER_ON = 5.0
"""Seconds until a dead letter that could not be published is tried again."""


class Advisory(BaseModel, frozen=True, extra="ignore"):
    """What the server says: which message of which stream, and how often it was delivered."""

    stream: str
    consumer: str
    stream_seq: int
    deliveries: int

    def __str__(self) -> str:
        return f"message {self.stream_seq} of stream {self.stream}"


@dataclass(frozen=True, slots=True)
class Undertaker:
    """
    Buries what the advisories tell of; any number of one mailbox's may do so side by side.

    Each buries its own mailbox's only: whoever buried others' had to read what is theirs, and to
    speak in their name. A letter has the same id as the stage's own would have, so however many are
    written, by whom ever, the broker keeps one, and the database counts one.
    """

    broker: Broker
    publisher: Publisher

    async def __call__(self, advisories: Sequence[Msg]) -> None:
        for advisory in advisories:
            if await self._is_done(advisory):
                await advisory.ack()
            else:
                await advisory.nak(LATER_ON)

    async def _is_done(self, message: Msg) -> bool:
        try:
            advisory = Advisory.model_validate_json(message.data)
        except ValidationError:
            return True
        if not await self._is_ours(advisory):
            return True
        if corpse := await self._corpse(advisory):
            return await self._buried(advisory, corpse, message.metadata.timestamp)
        log.error("%s killed every worker of %s, and is gone", advisory, advisory.consumer)
        return True

    async def _is_ours(self, advisory: Advisory) -> bool:
        try:
            info = await self.broker.jetstream.consumer_info(advisory.stream, advisory.consumer)
        except NotFoundError:
            return False
        return info.config.description == OURS

    async def _corpse(self, advisory: Advisory) -> RawStreamMsg | None:
        try:
            return await self.broker.jetstream.get_msg(advisory.stream, advisory.stream_seq)
        except NotFoundError:
            return None

    async def _buried(self, advisory: Advisory, corpse: RawStreamMsg, at: datetime) -> bool:
        headers, body = plain(corpse.headers), corpse.data or b""  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        attempts = attempts_before(headers) + advisory.deliveries
        delivery = Delivery(headers, body, attempts, address_of(corpse.subject or ""))
        stage = mailbox_of(advisory.consumer)
        return await buried(self.publisher, delivery, stage, at, str(advisory))
