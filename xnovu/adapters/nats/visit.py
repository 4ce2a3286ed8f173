"""A short visit to the broker: what commands do there and then leave."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from nats.aio.client import Client
from nats.errors import Error as NatsError

from xnovu.adapters.nats import said
from xnovu.adapters.nats.address import Url, asked, bare_servers, credentials
from xnovu.adapters.nats.rights import denied

CONNECT_TIMEOUT = 5


class Visitor(Client):
    """A connection that takes note of what the server does not let it do."""

    def __init__(self) -> None:
        super().__init__()
        self.denials: dict[str, str] = {}
        """What the server said, by the subject that it said it of."""

    async def heard(self, error: Exception) -> None:
        """What the server says on the side, once the connection stands."""
        if not self.is_connected:
            raise error
        if subject := denied(str(error)):
            self.denials[subject] = str(error)


@asynccontextmanager
async def visiting(url: str | Url) -> AsyncGenerator[Visitor]:
    """
    A connection for as long as the visit lasts.

    Raises:
        ConfigurationError: NATS refuses what is asked, or the credentials, or has no JetStream.
        Paused: it cannot be reached.
    """
    client, address = await _connected(asked(url))
    try:
        yield client
    except (NatsError, OSError, TimeoutError) as error:
        raise said.unanswered(error, address, list(client.denials.values())) from error
    finally:
        await client.close()


async def _connected(url: Url) -> tuple[Visitor, str]:
    client, servers, known = Visitor(), bare_servers(url), credentials(url)
    address = ", ".join(servers)
    try:
        await client.connect(
            servers,
            allow_reconnect=False,
            connect_timeout=CONNECT_TIMEOUT,
            error_cb=client.heard,
            **known,
        )
    except (NatsError, OSError, TimeoutError) as error:
        await client.close()
        raise said.not_connected(error, address, as_somebody=bool(known)) from error
    return client, address
