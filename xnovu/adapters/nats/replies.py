"""Where the server answers to what is published: to one message, or to a batch of them."""

import asyncio
import json
import secrets
from collections.abc import Callable
from typing import Any, Literal

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import APIError, NoStreamResponseError

Answer = Exception | None
"""None: the server has it."""

_Read = Callable[[Msg], Answer | Literal[False]]


class Unsure(Exception):
    """The server may have some of a batch: only one by one it says which."""


class Replies:
    """
    One subscription for all answers, each at an address of its own below it.

    nats-py's ``publish_async`` would do for single messages, but it loses every refusal: its
    handler raises what it should set, and whoever waits, waits for ever (2.16).
    """

    def __init__(self) -> None:
        self._client: Client | None = None
        self._address = ""
        self._name = ""
        self._number = 0
        self._awaited: dict[str, tuple[asyncio.Future[Answer], _Read]] = {}
        self._lock = asyncio.Lock()

    async def to_one(self, client: Client) -> tuple[str, asyncio.Future[Answer]]:
        """An address for the answer to a message, and the answer."""
        return await self._expect(client, _of_one)

    async def to_batch(self, client: Client, size: int) -> tuple[str, asyncio.Future[Answer]]:
        """The same for so many messages; Unsure where the server has not taken all of them."""
        return await self._expect(client, lambda message: _of_batch(message, size))

    async def _expect(self, client: Client, read: _Read) -> tuple[str, asyncio.Future[Answer]]:
        if client is not self._client:
            async with self._lock:
                await self._listen(client)
        self._number += 1
        name = f"{self._name}{self._number}"
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._awaited[name] = answer, read
        answer.add_done_callback(lambda _: self._awaited.pop(name, None))
        return self._address + name, answer

    async def _listen(self, client: Client) -> None:
        if client is not self._client:
            address = client.new_inbox() + "."
            await client.subscribe(f"{address}>", cb=self._receive)  # pyright: ignore[reportUnknownMemberType]
            self._address, self._client = address, client
            self._name = secrets.token_hex(6)  # the server tells batches apart by it

    async def _receive(self, message: Msg) -> None:
        name = message.subject[len(self._address) :].partition(".")[0]
        answer, read = self._awaited.get(name, (None, _of_one))
        if answer and not answer.done() and (said := read(message)) is not False:
            answer.set_result(said)


def _of_one(message: Msg) -> Answer:
    said = _said(message)
    return said if isinstance(said, Exception) else None


def _of_batch(message: Msg, size: int) -> Answer | Literal[False]:
    """What is said of the batch as a whole; False for what is said on its way."""
    said = _said(message)
    if isinstance(said, Exception):
        return said
    match said:
        case {"type": "ack"}:
            return False
        case {"count": count} if count == size:
            return None
        case _:
            return Unsure()


def _said(message: Msg) -> dict[str, Any] | Exception:
    if (message.headers or {}).get("Status") == "503":
        return NoStreamResponseError()
    try:
        said: dict[str, Any] = json.loads(message.data)
        if error := said.get("error"):
            APIError.from_error(error)
    except (APIError, ValueError) as refusal:
        return refusal
    return said
