"""A short visit to the broker: what commands do there and then leave."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import APIError

from xnovu.adapters.nats.address import Url, asked, bare_servers, credentials
from xnovu.errors import ConfigurationError, Paused

CONNECT_TIMEOUT = 5


@asynccontextmanager
async def visiting(url: str | Url) -> AsyncGenerator[Client]:
    """
    A connection for as long as the visit lasts.

    Raises:
        ConfigurationError: NATS refuses what is asked, or the credentials.
        Paused: it cannot be reached.
    """
    client = await _connected(asked(url))
    try:
        yield client
    except APIError as error:
        raise ConfigurationError(f"NATS refuses: {error.description} ({error.err_code})") from error
    except (NatsError, OSError, TimeoutError) as error:
        raise Paused(f"NATS: {type(error).__name__}", code="broker_unavailable") from error
    finally:
        await client.close()


async def _connected(url: Url) -> Client:
    client, servers = Client(), bare_servers(url)

    async def give_up(error: Exception) -> None:
        raise error

    try:
        await client.connect(
            servers,
            allow_reconnect=False,
            connect_timeout=CONNECT_TIMEOUT,
            error_cb=give_up,
            **credentials(url),
        )
    except (NatsError, OSError, TimeoutError) as error:
        await client.close()
        where = f"cannot connect to NATS at {', '.join(servers)}"
        raise Paused(
            f"{where}: {error or type(error).__name__}", code="broker_unavailable"
        ) from error
    return client
