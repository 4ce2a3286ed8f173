"""
Events from stage to stage by tables of the database that the rows are in.

A message is written once, and each mailbox that reads its kind has a delivery of it, which is taken
with a lease, settled one by one, put off, or given up. What is settled stays to be replayed.
"""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar, Protocol

from xnovu.adapters.mailboxes.box import Box
from xnovu.adapters.mailboxes.calls import Calls, Message, message_of
from xnovu.adapters.mailboxes.options import MailboxOptions
from xnovu.envelope import Envelope
from xnovu.errors import Permanent, XNovuError
from xnovu.events import Event
from xnovu.policy import Policy
from xnovu.ports import Backlog, Features, Handler, Start
from xnovu.sql.functions import Functions

DAY = 86_400.0
TIDY_EVERY = 60.0
"""Seconds, more or less, between two looks at what need not be kept any longer."""
LARGEST = 8 * 1024 * 1024
"""Bytes of a message at the most."""


class Hints(Protocol):
    """Tells, as soon as may be, that a mailbox may have something; or says nothing."""

    def start(self, tell: "Tell") -> None: ...

    async def stop(self) -> None: ...


class Tell(Protocol):
    """``mailbox``: which one; None: any."""

    def __call__(self, mailbox: str | None) -> None: ...


class PostgresTransport:
    """
    :class:`xnovu.ports.Transport` on Postgres 15 and up, migrated by XNovu.

    Any number of processes share the work. Without ``hints`` a mailbox is looked into every
    ``options.poll`` seconds.
    """

    features: ClassVar[Features] = Features(persistent=True, deduplicates=True, competing=True)

    def __init__(
        self, functions: Functions, options: MailboxOptions, hints: Hints | None = None
    ) -> None:
        self._functions, self._options, self._hints = functions, options, hints
        self._calls = Calls(functions)
        self._boxes: dict[str, Box] = {}
        self._tidier: asyncio.Task[None] | None = None

    def subscribe(
        self,
        name: str,
        kinds: Sequence[str],
        policy: Policy,
        handler: Handler,
        start: Start = "all",
    ) -> None:
        self._boxes[name] = Box(name, kinds, policy, handler, start)

    async def start(self) -> None:
        """Begin to connect, and to work. ConfigurationError: the database is not migrated."""
        await self._functions.open()
        for box in self._boxes.values():
            await box.begin(self._calls, self, self._options)
        if self._hints:
            self._hints.start(self._told)
        self._tidier = asyncio.create_task(self._tidy(), name="tidier of messages")

    async def stop(self) -> None:
        await asyncio.gather(*(box.end() for box in self._boxes.values()))
        if self._hints:
            await self._hints.stop()
        if self._tidier:
            self._tidier.cancel()
            await asyncio.gather(self._tidier, return_exceptions=True)
        await self._functions.close()

    async def publish(self, envelopes: Sequence[Envelope[Event]]) -> Sequence[XNovuError | None]:
        messages = [message_of(envelope) for envelope in envelopes]
        told = [_too_large(message) for message in messages]
        fit = [message for message, error in zip(messages, told, strict=True) if not error]
        answers = iter(await self._published(fit))
        return [error or next(answers) for error in told]

    async def ready(self) -> str | None:
        try:
            states = {state.name: state for state in await self._calls.states(list(self._boxes))}
        except XNovuError as error:
            return str(error)
        for name, box in self._boxes.items():
            if box.trouble or name not in states:
                return box.trouble or f"mailbox {name} is not there yet"
            if left := states[name].paused:
                why = states[name].reason
                said = f"mailbox {name} is paused in the whole fleet"
                return f"{said}, {left:.0f} s more at the most: {why}"
        return None

    async def backlog(self, names: Sequence[str]) -> Backlog:
        """Raises Paused while the database is away, ConfigurationError if it is not migrated."""
        states = await self._calls.states(names)
        return sum((state.backlog for state in states), Backlog())

    async def pause(self, name: str, seconds: float, reason: str) -> None:
        if not await self._calls.pause(name, seconds, reason) and (box := self._boxes.get(name)):
            await box.open()
            await self._calls.pause(name, seconds, reason)

    async def resume(self, name: str) -> None:
        await self._calls.pause(name, None)

    async def paused(self, name: str) -> bool:
        return any(state.paused for state in await self._calls.states([name]))

    async def _published(self, messages: Sequence[Message]) -> Sequence[XNovuError | None]:
        """What the database refuses is one message's alone: halved until it is known whose."""
        if not messages:
            return []
        try:
            await self._calls.publish(messages)
        except Permanent as error:
            if len(messages) == 1:
                return [error]
            half = len(messages) // 2
            parts = messages[:half], messages[half:]
            return [told for part in parts for told in await self._published(part)]
        except XNovuError as error:
            return [error] * len(messages)
        return [None] * len(messages)

    def _told(self, mailbox: str | None) -> None:
        for name, box in self._boxes.items():
            if mailbox in (None, name):
                box.hint()

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_EVERY * random.uniform(0.5, 1.5))  # noqa: S311 - spread
            with suppress(XNovuError):
                await self._calls.tidy(self._options.retention_days * DAY)


def _too_large(message: Message) -> Permanent | None:
    if message.size <= LARGEST:
        return None
    said = f"the message is too large: {message.size} bytes of {LARGEST}"
    return Permanent(said, code="too_large")
