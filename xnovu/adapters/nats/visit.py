"""A connection of an operator's command: short, and not kept when it is lost."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from nats.errors import Error as NatsError

from xnovu.adapters.nats import said
from xnovu.adapters.nats.address import Access, Url, access_of
from xnovu.adapters.nats.client import GuardedClient, leave
from xnovu.adapters.nats.rights import denied, stands_alone, way_out

CONNECT_TIMEOUT = 5


class Visitor(GuardedClient):
    """A connection that takes note of what the server does not let it do."""

    def __init__(self, access: Access) -> None:
        super().__init__(access)
        self.denials: dict[str, str] = {}
        """What the server said, with the way out, by the subject that it said it of."""

    async def heard(self, error: Exception) -> None:
        """What the server says on the side, once the connection stands."""
        if not self.is_connected:
            raise error
        if subject := denied(str(error)):
            self.denials[subject] = way_out(str(error), self._access.who)


@asynccontextmanager
async def visiting(where: str | Url | Access) -> AsyncGenerator[Visitor]:
    """
    A connection for as long as the visit lasts, to the first server that lets one in.

    Raises:
        ConfigurationError: NATS refuses what is asked, or the credentials, or has no JetStream.
        Paused: it cannot be reached.
    """
    access = access_of(where)
    address = ", ".join(access.servers)
    client = await _connected(access, address)
    try:
        yield client
    except (NatsError, OSError, TimeoutError) as error:
        denials, alone = list(client.denials.values()), stands_alone(client)
        raise said.unanswered(error, address, denials, alone=alone) from error
    finally:
        await leave(client)


async def _connected(access: Access, address: str) -> Visitor:
    refusals: list[BaseException] = []
    for server in access.servers:
        try:
            return await _connected_to(server, access)
        except (NatsError, OSError, TimeoutError) as error:
            refusals.append(error)
    raise said.not_connected(refusals, address, access.who) from refusals[-1]


async def _connected_to(server: str, access: Access) -> Visitor:
    client = Visitor(access)
    try:
        await client.connect(
            [server],
            allow_reconnect=False,
            connect_timeout=CONNECT_TIMEOUT,
            error_cb=client.heard,
            **access.introduction(),
        )
    except BaseException:
        await leave(client)
        raise
    return client
