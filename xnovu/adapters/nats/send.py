"""
How messages get onto their streams: many at once, each with an answer of its own.

Those of one stream go as a batch, which has a single answer: "fast ingest", ADR-50 of
nats-io/nats-architecture-and-design, for half the work on both sides. The server stores each as it
comes and says at the end that it has all of them. Whatever else it says, they are sent once more,
one by one, and answered for one by one: what is there already it knows by its id.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nats.aio.client import Client
from nats.errors import BadHeaderError, BadSubjectError, MaxPayloadError
from nats.errors import Error as NatsError
from nats.js.errors import APIError

from xnovu.adapters.nats.connection import Broker, takes_batches
from xnovu.adapters.nats.replies import Answer, Replies
from xnovu.errors import Paused, Permanent, XNovuError

WINDOW = 512
"""Messages sent before their answers are waited for."""
WINDOWS = 8
"""Windows at a time."""
FEW = 4
"""Fewer than so many are cheaper one by one."""
BEGIN, ADD, END = 0, 1, 2
"""What a message is to its batch."""
FLOW = 1000
"""After so many messages the server may say how far it is: never within a window."""
NO_BATCHES = 10205
"""JetStream's error code for a stream that takes none."""
ASK_AGAIN = 60.0
"""Seconds until it is asked again: it may have been provisioned meanwhile."""
APART = 30.0
"""Seconds in which messages go one by one after a batch had no answer: it may be one's fault."""

Sent = asyncio.Future[Answer] | XNovuError


class Parcel(NamedTuple):
    """A message as it goes onto the wire; where a stream is named, in company."""

    subject: str
    body: bytes
    headers: dict[str, str]
    stream: str = ""

    @property
    def size(self) -> int:
        """What the server counts: the body, and the headers with their framing."""
        size = len(self.body) + 12
        for name, value in self.headers.items():
            size += len(name) + len(value.encode()) + 4
        return size

    def require_writable(self) -> None:
        """Raises what its headers raise where they cannot be put onto the wire."""
        for name, value in self.headers.items():
            f"{name}: {value}".encode()


class Sender:
    """Whatever this process publishes goes through here; ``timeout`` is in seconds."""

    def __init__(self, broker: Broker, timeout: float) -> None:
        self._broker = broker
        self._timeout = timeout
        self._replies = Replies()
        self._windows = asyncio.Semaphore(WINDOWS)
        self._refused: dict[str, float] = {}

    async def send(self, parcels: Sequence[Parcel]) -> list[Answer]:
        """
        Send all, and say of each, in order, what the server made of it.

        An answer may be an error of the server's or the client's, or one of ours: Permanent is
        what does not fit, Paused what could not be sent.
        """
        answers: list[Answer] = [None] * len(parcels)
        for places in windows(parcels):
            async with self._windows:
                said = await self._window([parcels[place] for place in places])
            for place, answer in zip(places, said, strict=True):
                answers[place] = answer
        return answers

    async def _window(self, parcels: Sequence[Parcel]) -> Sequence[Answer]:
        deadline = asyncio.get_running_loop().time() + self._timeout
        client, stream = self._broker.client, parcels[0].stream
        if client and stream and self._may_go_together(client, parcels):
            match await self._as_batch(client, parcels, deadline):
                case None:
                    return [None] * len(parcels)
                case TimeoutError() as answer:
                    self._refused[stream] = deadline + APART
                    return [answer] * len(parcels)
                case APIError(err_code=code) if code == NO_BATCHES:
                    self._refused[stream] = deadline + ASK_AGAIN
                case _:
                    pass  # it may have some of them
        return await self._one_by_one(parcels, deadline)

    def _may_go_together(self, client: Client, parcels: Sequence[Parcel]) -> bool:
        if len(parcels) < FEW or not takes_batches(client):
            return False
        if self._refused.get(parcels[0].stream, 0.0) > asyncio.get_running_loop().time():
            return False
        return all(parcel.size <= client.max_payload for parcel in parcels)

    async def _as_batch(self, client: Client, parcels: Sequence[Parcel], deadline: float) -> Answer:
        """The server's answer to all of them; TimeoutError if there is none."""
        try:
            address, answer = await self._replies.to_batch(client, len(parcels))
        except (NatsError, OSError, TimeoutError) as error:
            return error
        try:
            await _publish_all(client, parcels, address, deadline)
            left = deadline - asyncio.get_running_loop().time()
            await asyncio.wait([answer], timeout=max(left, 0.0))
            return answer.result() if answer.done() else TimeoutError()
        except (NatsError, OSError, TimeoutError) as error:
            return error
        finally:
            answer.cancel()

    async def _one_by_one(self, parcels: Sequence[Parcel], deadline: float) -> list[Answer]:
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
            return Paused("NATS does not keep up", code="broker")
        try:
            return await self._send(parcel)
        except XNovuError as error:
            return error
        except (BadHeaderError, BadSubjectError, MaxPayloadError) as error:
            return unpublishable(f"it cannot be written: {type(error).__name__}")
        except (NatsError, OSError, TimeoutError) as error:
            return Paused(f"NATS: {type(error).__name__}", code="broker_unavailable")

    async def _send(self, parcel: Parcel) -> asyncio.Future[Answer]:
        client = self._broker.client
        if not client:
            raise Paused(self._broker.trouble, code="broker_unavailable")
        if parcel.size > client.max_payload:  # the server would hang up, headers count too
            limit = client.max_payload
            raise too_large(f"{parcel.size} bytes, and NATS takes {limit} (max_payload)")
        address, answer = await self._replies.to_one(client)
        await _publish(client, parcel, address)
        return answer


async def _publish_all(
    client: Client, parcels: Sequence[Parcel], address: str, deadline: float
) -> None:
    """
    Raises TimeoutError once it is too late.

    Not by ``asyncio.timeout``: while nats-py waits for the socket, it swallows a cancellation.
    """
    loop, last = asyncio.get_running_loop(), len(parcels)
    for number, parcel in enumerate(parcels, 1):
        if loop.time() > deadline:
            raise TimeoutError
        step = END if number == last else BEGIN if number == 1 else ADD
        reply = f"{address}.{FLOW}.fail.{number}.{step}.$FI"
        if step == ADD:
            await client._send_command(_command(parcel, reply))  # pyright: ignore[reportPrivateUsage] - in LEANS_ON
        else:  # looks whether the connection takes anything, and has it written
            await _publish(client, parcel, reply)


async def _publish(client: Client, parcel: Parcel, reply: str) -> None:
    await client.publish(parcel.subject, parcel.body, reply=reply, headers=parcel.headers)


def _command(parcel: Parcel, reply: str) -> bytes:
    """What ``Client.publish`` would send, in a third of the time."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in parcel.headers.items()])
    if lines.count("\r") + lines.count("\n") > 2 * len(parcel.headers):  # a value has some, too
        plain = ((name, " ".join(value.split())) for name, value in parcel.headers.items())
        lines = "".join([f"{name}: {value}\r\n" for name, value in plain])
    headers = f"NATS/1.0\r\n{lines}\r\n".encode()
    size = len(headers)
    command = f"HPUB {parcel.subject} {reply} {size} {size + len(parcel.body)}\r\n"
    return b"".join((command.encode(), headers, parcel.body, b"\r\n"))


def windows(parcels: Sequence[Parcel]) -> Iterator[Sequence[int]]:
    """The places of those of one stream, WINDOW at most."""
    streams: dict[str, list[int]] = {}
    for place, parcel in enumerate(parcels):
        streams.setdefault(parcel.stream, []).append(place)
    for places in streams.values():
        for start in range(0, len(places), WINDOW):
            yield places[start : start + WINDOW]


def too_large(how: str) -> Permanent:
    """A message that can never be published."""
    return Permanent(f"the message is too large: {how}", code="too_large")


def unpublishable(why: str) -> Permanent:
    """Another that can never be published, whatever the reason."""
    return Permanent(f"the message cannot be published: {why}", code="unpublishable")


def _settled(sent: Sent) -> Answer:
    """The answer; what is still unanswered is called off, or it would be waited for for ever."""
    if isinstance(sent, XNovuError):
        return sent
    if sent.done():
        return sent.result()
    sent.cancel()
    return TimeoutError()
