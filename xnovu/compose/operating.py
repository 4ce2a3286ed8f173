"""What the transport of these settings keeps, for an operator's visit."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from xnovu.adapters.mailboxes import MailboxOptions
from xnovu.adapters.mailboxes.archive import MessageArchive, MessageMailboxes, MessageRecipient
from xnovu.adapters.mailboxes.calls import Calls
from xnovu.adapters.nats.archive import StreamArchive
from xnovu.adapters.nats.clock import time_at
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.pause import paused as paused_at_nats
from xnovu.adapters.nats.removal import StreamMailboxes
from xnovu.adapters.nats.replay import StreamRecipient
from xnovu.adapters.nats.visit import visiting
from xnovu.archive import Archives
from xnovu.compose.broker import functions_on_postgres, nats_access, nats_options
from xnovu.compose.settings import Settings
from xnovu.sql.store import SqlStore


@asynccontextmanager
async def archives(settings: Settings) -> AsyncGenerator[Archives]:
    """
    For as long as a command works with it.

    Raises:
        ConfigurationError: this transport keeps nothing.
    """
    if isinstance(settings.transport, MailboxOptions):
        async with _tables(settings, settings.transport) as found:
            yield found
    else:
        async with _streams(settings, nats_options(settings)) as found:
            yield found


async def paused(settings: Settings) -> Mapping[str, str]:
    """Stages that are paused in the whole fleet, and why. Raises Paused where nobody says."""
    stages = settings.pipeline.reads
    match settings.transport:
        case NatsOptions() as options:
            return await paused_at_nats(nats_access(settings), options, stages)
        case MailboxOptions() as options:
            functions = functions_on_postgres(settings, options)
            await functions.open()
            try:
                states = await Calls(functions).states(list(stages))
            finally:
                await functions.close()
            return {each.name: each.reason for each in states if each.paused}
        case _:
            return {}


@asynccontextmanager
async def _tables(settings: Settings, options: MailboxOptions) -> AsyncGenerator[Archives]:
    functions = functions_on_postgres(settings, options)
    await functions.open()
    try:
        yield Archives(
            MessageArchive(functions),
            MessageMailboxes(functions),
            partial(MessageRecipient, functions),
            SqlStore(functions).now,
        )
    finally:
        await functions.close()


@asynccontextmanager
async def _streams(settings: Settings, options: NatsOptions) -> AsyncGenerator[Archives]:
    async with visiting(nats_access(settings)) as client:
        yield Archives(
            StreamArchive(client, options),
            StreamMailboxes(client, options),
            partial(StreamRecipient, client, options),
            partial(time_at, client, options),
            options.prefix,
        )
