"""How messages get onto their streams: many at once, each with an answer of its own."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import APIError, NoStreamResponseError

from xnovu.adapters.nats.connection import Broker
from xnovu.errors import Paused, Permanent, Retryable, XNovuError

WINDOW = 256
"""Messages sent before their answers are waited for."""
WINDOWS = 8
"""Windows at a time."""

Answer = Exception | None
"""None: the server has it."""

Sent = asyncio.Future[Answer] | XNovuError


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
        self._replies = Replies()
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
            return await self._send(parcel)
        except XNovuError as error:
            return error
        except (NatsError, OSError, TimeoutError) as error:
            return Paused(f"NATS: {type(error).__name__}", code="broker_unavailable")

    async def _send(self, parcel: Parcel) -> asyncio.Future[Answer]:
        client = self._broker.client
        if not client:
            raise Paused(self._broker.trouble, code="broker_unavailable")
        if parcel.size > client.max_payload:  # the server would hang up, headers count too
            limit = client.max_payload
            raise too_large(f"{parcel.size} bytes, and NATS takes {limit} (max_payload)")
        address, answer = await self._replies.expect(client)
        headers = dict(parcel.headers)
        await client.publish(parcel.subject, parcel.body, reply=address, headers=headers)
        return answer


class Replies:
    """
    Where the server answers to what is published.

    nats-py's ``publish_async`` would do, but it loses every refusal: its handler raises what it
    should set, and whoever waits, waits for ever (2.16).
    """

    def __init__(self) -> None:
        self._client: Client | None = None
        self._address = ""
        self._number = 0
        self._awaited: dict[str, asyncio.Future[Answer]] = {}
        self._lock = asyncio.Lock()

    async def expect(self, client: Client) -> tuple[str, asyncio.Future[Answer]]:
        """An address for one answer, and the answer."""
        if client is not self._client:
            async with self._lock:
                await self._listen(client)
        self._number += 1
        address = f"{self._address}.{self._number}"
        answer = self._awaited[address] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda _: self._awaited.pop(address, None))
        return address, answer

    async def _listen(self, client: Client) -> None:
        if client is not self._client:
            address = client.new_inbox()
            await client.subscribe(f"{address}.*", cb=self._receive)  # pyright: ignore[reportUnknownMemberType]
            self._address, self._client = address, client

    async def _receive(self, message: Msg) -> None:
        answer = self._awaited.get(message.subject)
        if answer and not answer.done():
            answer.set_result(_said(message))


def _said(message: Msg) -> Answer:
    if (message.headers or {}).get("Status") == "503":
        return NoStreamResponseError()
    try:
        if error := json.loads(message.data).get("error"):
            APIError.from_error(error)
    except (APIError, ValueError) as refusal:
        return refusal
    return None


def too_large(how: str) -> Permanent:
    """A message that can never be published."""
    return Permanent(f"the message is too large: {how}", code="too_large")


def _settled(sent: Sent) -> Answer:
    """The answer; what is still unanswered is called off, or it would be waited for for ever."""
    if isinstance(sent, XNovuError):
        return sent
    if sent.done():
        return sent.result()
    sent.cancel()
    return TimeoutError()
