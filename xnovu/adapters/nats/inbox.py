"""Where one slot's pull requests are answered."""

import asyncio
import json
from contextlib import suppress
from typing import Self

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from xnovu.adapters.nats.settle import give_back

NANOSECONDS = 1_000_000_000
HEARTBEAT = 5.0
"""How often the server says that a long request still stands, in seconds."""
PATIENCE = 2.0
"""How much later than promised an answer may come, in seconds."""


class Interrupted(Exception):
    """The request is void: we are stopping, or the connection went or came back."""


class Unanswered(Exception):
    """The server did not do as asked."""


class NoConsumer(Unanswered):
    """The server does not know the consumer, or no longer."""


class Inbox:
    """
    A slot's own address, with one subaddress per request.

    Every request is for so many messages within so many seconds, and ends when it has got them or
    the server says that time is up. So no request is open, and no message waits in here with its
    lease running out, while a batch is being handled.
    """

    def __init__(self, client: Client, request: str) -> None:
        self._client = client
        self._request = request
        self._address = client.new_inbox()
        self._arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._subscription: Subscription | None = None
        self._number = 0

    @classmethod
    async def open(cls, client: Client, request: str) -> Self:
        """``request`` is the subject that asks for a consumer's next messages."""
        inbox = cls(client, request)
        inbox._subscription = await client.subscribe(f"{inbox._address}.*", cb=inbox._receive)  # pyright: ignore[reportUnknownMemberType]
        return inbox

    def interrupt(self) -> None:
        """End the request that is being waited for."""
        self._arrived.put_nowait(None)

    async def fill(self, batch: list[Msg], size: int, seconds: float) -> None:
        """
        Add messages until the batch has ``size`` of them or the time is over.

        Raises Interrupted or Unanswered; what had arrived by then is in the batch.
        """
        if len(batch) >= size:
            return
        beat = HEARTBEAT if seconds > 2 * HEARTBEAT else 0.0
        patience = (2 * beat or seconds) + PATIENCE
        loop = asyncio.get_running_loop()
        address = await self._ask(size - len(batch), seconds, beat)
        try:
            async with asyncio.timeout(patience) as timer:
                while len(batch) < size:
                    message = await self._next()
                    if message.reply:
                        batch.append(message)
                    elif message.subject == address:
                        if _is_end(message):
                            break
                        timer.reschedule(loop.time() + patience)
        except TimeoutError:
            raise Unanswered("the server does not answer") from None

    async def close(self) -> None:
        """Withdraw what was asked for, and give back what was already on its way."""
        if self._subscription:
            with suppress(NatsError, TimeoutError):
                await self._unsubscribe(self._subscription)
        rest = [self._arrived.get_nowait() for _ in range(self._arrived.qsize())]
        await give_back(message for message in rest if message and message.reply)

    async def _unsubscribe(self, subscription: Subscription) -> None:
        if self._client.is_connected:
            async with asyncio.timeout(PATIENCE):
                await subscription.drain()
        else:
            await subscription.unsubscribe()

    async def _receive(self, message: Msg) -> None:
        self._arrived.put_nowait(message)

    async def _next(self) -> Msg:
        if message := await self._arrived.get():
            return message
        raise Interrupted

    async def _ask(self, count: int, seconds: float, beat: float) -> str:
        """Send a request; returns the address of its answer."""
        self._number += 1
        address = f"{self._address}.{self._number}"
        request = {"batch": count, "expires": int(max(seconds, 0.001) * NANOSECONDS)}
        if beat:
            request["idle_heartbeat"] = int(beat * NANOSECONDS)
        await self._client.publish(self._request, json.dumps(request).encode(), reply=address)
        return address


def _is_end(status: Msg) -> bool:
    """
    Whether the request has run its course.

    The codes are in ADR-13 and ADR-37 of nats-io/nats-architecture-and-design.
    """
    headers = status.headers or {}
    said = headers.get("Description", "").strip() or "no description"
    match headers.get("Status"):
        case "100":
            return False
        case "404" | "408":
            return True
        case "503":
            raise NoConsumer("nobody serves the consumer")
        case "409" if "Deleted" in said:
            raise NoConsumer(said)
        case code:
            raise Unanswered(f"{code} {said}")
