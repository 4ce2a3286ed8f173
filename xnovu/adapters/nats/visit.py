"""A short visit to the broker: what commands do there and then leave."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import APIError

from xnovu.adapters.nats.address import Access, Url, access_of
from xnovu.adapters.nats.client import GuardedClient
from xnovu.adapters.nats.rights import denied, way_out
from xnovu.errors import ConfigurationError, Paused

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5


@asynccontextmanager
async def visiting(where: str | Url | Access) -> AsyncGenerator[Client]:
    """
    A connection for as long as the visit lasts.

    Raises:
        ConfigurationError: NATS refuses what is asked, or the credentials.
        Paused: it cannot be reached.
    """
    client = await _connected(access_of(where))
    try:
        yield client
    except APIError as error:
        raise ConfigurationError(f"NATS refuses: {error.description} ({error.err_code})") from error
    except (NatsError, OSError, TimeoutError) as error:
        raise Paused(f"NATS: {type(error).__name__}", code="broker_unavailable") from error
    finally:
        await client.close()


async def _connected(access: Access) -> Client:
    """To the first server that lets one in. Raises Paused: none does."""
    refusals: list[BaseException] = []
    for server in access.servers:
        try:
            return await _connected_to(server, access)
        except (NatsError, OSError, TimeoutError) as error:
            refusals.append(error)
    said = "; ".join(dict.fromkeys(str(each) or type(each).__name__ for each in refusals))
    where = f"cannot connect to NATS at {', '.join(access.servers)} as {access.who}"
    raise Paused(f"{where}: {said}", code="broker_unavailable") from refusals[-1]


async def _connected_to(server: str, access: Access) -> Client:
    client = GuardedClient(access)

    async def give_up(error: Exception) -> None:
        if not denied(str(error)):
            raise error
        log.warning("NATS at %s: %s", server, way_out(str(error), access.who))

    try:
        await client.connect(
            [server],
            allow_reconnect=False,
            connect_timeout=CONNECT_TIMEOUT,
            error_cb=give_up,
            **access.introduction(),
        )
    except BaseException:
        await client.close()
        raise
    return client
