"""How messages in hand are kept from being given to somebody else."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

RENEWALS = 3
"""Signs of life in the time after which the server takes a worker for dead."""


@asynccontextmanager
async def kept(messages: Sequence[Msg], lease: float) -> AsyncGenerator[None]:
    """
    Keep the broker from redelivering what is not settled yet; ``lease`` is its ``ack_wait``.

    Where that fails, somebody else is given the message, too: the send record tells who may send.
    """
    keeper = asyncio.create_task(_renew(messages, lease / RENEWALS), name="nats-lease")
    try:
        yield
    finally:
        keeper.cancel()
        await asyncio.wait([keeper])


async def _renew(messages: Sequence[Msg], interval: float) -> None:
    while True:
        await asyncio.sleep(interval)
        with suppress(NatsError):  # the connection is down, and comes back
            for message in messages:
                if not message.is_acked:
                    await message.in_progress()
