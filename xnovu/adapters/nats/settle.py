"""What becomes of a message: settled by its fate, or given back."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from xnovu.policy import Dead, Done, Fate, Retry

Retries = Sequence[tuple[Msg, Retry]]

AGAIN_AFTER = 1.0
"""Seconds until a batch whose handler raised comes again."""


async def settle(
    messages: Sequence[Msg],
    fates: Sequence[Fate],
    keep: Callable[[Retries], Awaitable[Sequence[bool]]],
) -> None:
    """
    All of them or, where the handler has miscounted, none.

    ``keep`` puts off what is to come again; what it could not, the consumer itself has to.
    """
    if len(messages) != len(fates):
        raise ValueError(f"{len(fates)} fates for {len(messages)} messages")
    retries: list[tuple[Msg, Retry]] = []
    for message, fate in zip(messages, fates, strict=True):
        match fate:
            case Done():
                await message.ack()
            case Retry() as retry:
                retries.append((message, retry))
            case Dead():
                await message.term()
    for (message, retry), kept_elsewhere in zip(retries, await keep(retries), strict=True):
        await (message.ack() if kept_elsewhere else message.nak(max(retry.after, 0.0)))


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
