"""Serves an ASGI application on a port of this machine, on the running event loop."""

import asyncio
import socket
import struct
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.types import Receive, Scope

from xnovu.serving import Bounds, HttpServer
from xnovu_local.ports import LOOPBACK

BOUNDS = Bounds(connections=512, head=10.0, body=60.0, answer=600.0, idle=75.0)
"""Scripts hold answers back for as long as they like."""

TransportOf = Callable[[Scope], asyncio.Transport | None]
_CLOSE_WITH_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for 0 seconds


class Served:
    """
    An application and the port it is reached on; `start` after `stop` takes the same one.

    Port 0 is any free one. The application can reach its connections: see `transport_of`, `cut`.
    Websockets get no pings: some of what they stand for sends none.
    """

    def __init__(
        self, app: Starlette, host: str = LOOPBACK, port: int = 0, *, websockets: bool = False
    ) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._websockets = websockets
        self._server: HttpServer | None = None
        app.state.transport_of = self._transport_of

    @property
    def url(self) -> str:
        """Where clients connect; known once it was started."""
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listens; raises OSError where the port is taken."""
        listener = _listening(self._host, self._port)
        self._port = listener.getsockname()[1]
        self._server = HttpServer(self._app, BOUNDS, websockets=self._websockets)
        self._server.begin(listener)

    async def stop(self) -> None:
        """Closes at once what is open: nobody waits for answers that were never to come."""
        server, self._server = self._server, None
        if server:
            await server.abort()

    def _transport_of(self, scope: Scope) -> asyncio.Transport | None:
        return self._server.transport_to(scope["client"]) if self._server else None


def transport_of(scope: Scope) -> asyncio.Transport | None:
    """The connection that a request came by; None under a server that does not tell."""
    find: TransportOf | None = getattr(scope["app"].state, "transport_of", None)
    return find(scope) if find else None


def reset(transport: asyncio.Transport) -> None:
    """Cuts a connection with a TCP reset."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CLOSE_WITH_RESET)
    transport.abort()


async def cut(scope: Scope, receive: Receive) -> None:
    """Cuts the connection; under a server that cannot (a test client), raises what it would."""
    if (transport := transport_of(scope)) is None:
        raise ConnectionResetError("the local server cut the connection")
    reset(transport)
    await gone(receive)


async def gone(receive: Receive) -> None:
    """Waits until the connection is closed."""
    while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        pass


def _listening(host: str, port: int) -> socket.socket:
    """A listening socket; only one that is TCP by name gets TCP_NODELAY from asyncio."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener
