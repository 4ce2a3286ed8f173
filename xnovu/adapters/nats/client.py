"""nats-py's client, which never says in the clear what is to be said over TLS."""

import ssl
from collections.abc import Generator
from contextlib import contextmanager, suppress

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from xnovu.adapters.nats.address import Access
from xnovu.errors import XNovuError


class Unencrypted(NatsError):
    """The server does not encrypt, and it was asked for TLS."""


class GuardedClient(Client):
    """
    A client that is let in as ``access`` says.

    The certificates and the key are read anew at each connection. nats-py by itself takes a server
    of ``tls://`` that offers no TLS, and tells it the password in the clear.
    """

    def __init__(self, access: Access) -> None:
        super().__init__()
        self._access = access

    @property
    def ssl_context(self) -> ssl.SSLContext:
        with _as_the_clients():
            return self._access.context()

    def _connect_command(self) -> bytes:
        """What is said first, and holds the secrets. Raises Unencrypted: nobody is to hear it."""
        if self._access.encrypted and not self._server_info.get("tls_required"):
            raise Unencrypted(
                "TLS was asked for, and the server offers none, so nothing was said to it:"
                " give it a certificate (tls in its configuration), or use nats://"
            )
        with _as_the_clients():
            if self._access.nkey and (key := self._access.key):
                self._public_nkey = key.public
            return super()._connect_command()


def jetstream_of(client: Client, within: float = 5.0) -> JetStreamContext:
    """JetStream over this connection; its calls have ``within`` seconds. nats-py types it not."""
    return client.jetstream(timeout=within)  # pyright: ignore[reportUnknownMemberType]


async def leave(client: Client) -> None:
    """Close the connection. That it was lost already, or is refused, is no trouble of its own."""
    with suppress(NatsError, OSError, TimeoutError):
        await client.close()


async def caught_up(client: Client) -> None:
    """
    Wait until the server has said what it has to say of all that was published.

    One ping would not do: nats-py writes it ahead of messages that it still holds.
    """
    await client.flush()
    await client.flush()


@contextmanager
def _as_the_clients() -> Generator[None]:
    """Raise what nats-py takes for a failed attempt: after any other error it makes no more."""
    try:
        yield
    except XNovuError as error:
        raise NatsError(str(error)) from error
