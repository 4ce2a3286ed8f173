"""How messages get onto their streams: many at once, each with an answer of its own."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nats.errors import Error as NatsError
from nats.js.api import PubAck

from xnovu.adapters.nats.connection import Broker
from xnovu.errors import Paused, Permanent, Retryable, XNovuError

WINDOW = 256
"""Messages sent before their answers are waited for."""
WINDOWS = 8
"""Windows at a time: together they stay below the 4000 at which nats-py blocks for good."""

Answer = BaseException | None
"""None: the server has it."""

Sent = asyncio.Future[PubAck] | XNovuError


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message as it goes onto the wire."""

    subject: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def size(self) -> int:
        """What the server counts: the body, and the headers with their framing."""
        framed = sum(len(k) + len(v.encode()) + 4 for k, v in self.headers.items())
        return len(self.body) + 12 + framed


class Sender:
    """Whatever this process publishes goes through here; ``timeout`` is in seconds."""

    def __init__(self, broker: Broker, timeout: float) -> None:
        self._broker = broker
        self._timeout = timeout
        self._windows = asyncio.Semaphore(WINDOWS)

    async def send(self, parcels: Sequence[Parcel]) -> list[Answer]:
        """
        Send all, and say of each, in order, what the server made of it.

        An answer may be an error of the server's or the client's, or one of ours: Permanent is
        what does not fit, Paused what could not be sent, Retryable what was not in time.
        """
        answers: list[Answer] = []
        for start in range(0, len(parcels), WINDOW):
            async with self._windows:
                answers += await self._window(parcels[start : start + WINDOW])
        return answers

    async def _window(self, parcels: Sequence[Parcel]) -> list[Answer]:
        deadline = asyncio.get_running_loop().time() + self._timeout
        sent: list[Sent] = []
        try:
            for parcel in parcels:
                answer = await self._sent(parcel, deadline)
                sent.append(answer)
            futures = [answer for answer in sent if isinstance(answer, asyncio.Future)]
            if futures:
                left = deadline - asyncio.get_running_loop().time()
                await asyncio.wait(futures, timeout=max(left, 0.0))
        finally:
            answers = [_settled(answer) for answer in sent]
        return answers

    async def _sent(self, parcel: Parcel, deadline: float) -> Sent:
        if asyncio.get_running_loop().time() > deadline:
            return Retryable("NATS does not keep up", code="broker")
        try:
            self._check_size(parcel)
            return await self._broker.jetstream.publish_async(  # pyright: ignore[reportUnknownMemberType]
                parcel.subject, parcel.body, headers=dict(parcel.headers)
            )
        except XNovuError as error:
            return error
        except (NatsError, OSError, TimeoutError) as error:
            return Paused(f"NATS: {type(error).__name__}", code="broker_unavailable")

    def _check_size(self, parcel: Parcel) -> None:
        """The server hangs up on a message over its limit, headers and all."""
        client = self._broker.client
        if client and parcel.size > client.max_payload:
            limit = client.max_payload
            raise too_large(f"{parcel.size} bytes, and NATS takes {limit} (max_payload)")


def too_large(how: str) -> Permanent:
    """A message that can never be published."""
    return Permanent(f"the message is too large: {how}", code="too_large")


def _settled(sent: Sent) -> Answer:
    """The answer; what is still unanswered is called off, or the client would wait for ever."""
    if isinstance(sent, XNovuError):
        return sent
    if sent.done():
        return sent.exception()
    sent.cancel()
    return TimeoutError()
