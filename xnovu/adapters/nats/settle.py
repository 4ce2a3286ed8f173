"""What becomes of a message: opened, kept while it is worked on, and settled by its fate."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from xnovu.policy import Dead, Done, Fate, Retry
from xnovu.ports import Delivery

MESSAGE_ID = "Nats-Msg-Id"
AGAIN_AFTER = 1.0
"""Seconds until a batch whose handler raised comes again."""


def delivery(message: Msg, old: int = 0) -> Delivery:
    """
    The message as the port has it; its id travels as JetStream's own.

    One up to number ``old`` of its stream may have been delivered before, whatever the count says.
    """
    headers = dict(message.headers or {})
    if identity := headers.pop(MESSAGE_ID, None):
        headers["id"] = identity
    attempt, number = _counted(message)
    return Delivery(headers, message.data, attempt, suspect=number <= old)


def _counted(message: Msg) -> tuple[int, int]:
    """
    How often it was delivered, and its number in the stream.

    nats-py's ``Msg.metadata`` says the same and takes four times as long. The form is in ADR-15 of
    nats-io/nats-architecture-and-design: with a JetStream domain, two words more come first.
    """
    words = message.reply.split(".")
    first = 4 if len(words) == 9 else 6
    return int(words[first]), int(words[first + 1])


async def settle(messages: Sequence[Msg], fates: Sequence[Fate]) -> None:
    """All of them or, where the handler has miscounted, none."""
    if len(messages) != len(fates):
        raise ValueError(f"{len(fates)} fates for {len(messages)} messages")
    for message, fate in zip(messages, fates, strict=True):
        match fate:
            case Done():
                await message.ack()
            case Retry(after=after):
                await message.nak(max(after, 0.0))
            case Dead():
                await message.term()


async def give_back(messages: Iterable[Msg], after: float = 0.0) -> int:
    """
    Return what was not settled, to come again ``after`` so many seconds; says how many there were.

    What cannot be returned comes again when its lease ends.
    """
    unsettled = [message for message in messages if not message.is_acked]
    with suppress(NatsError):
        for message in unsettled:
            await message.nak(after)
    return len(unsettled)


@asynccontextmanager
async def kept(messages: Sequence[Msg], lease: float) -> AsyncGenerator[None]:
    """Keep the broker from giving these messages to someone else while they are in hand."""
    keeper = asyncio.create_task(_keep(messages, lease / 3), name="nats-lease")
    try:
        yield
    finally:
        keeper.cancel()
        await asyncio.wait([keeper])


async def _keep(messages: Sequence[Msg], every: float) -> None:
    while True:
        await asyncio.sleep(every)
        with suppress(NatsError):  # the connection is down: nothing to keep it with
            for message in messages:
                if not message.is_acked:
                    await message.in_progress()
