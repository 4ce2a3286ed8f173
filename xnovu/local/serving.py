"""Serves an ASGI application on a port of this machine, on the running event loop."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Literal

from starlette.applications import Starlette
from starlette.types import Receive, Scope
from uvicorn import Config, Server

from xnovu.local.ports import LOOPBACK

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
        self._websockets: Literal["websockets-sansio", "none"] = (
            "websockets-sansio" if websockets else "none"
        )
        self._server: Server | None = None
        app.state.transport_of = self._transport_of

    @property
    def url(self) -> str:
        """Where clients connect; known once it was started."""
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listens; raises OSError where the port is taken."""
        listener = _listening(self._host, self._port)
        self._port = listener.getsockname()[1]
        server = self._server = Server(self._config())
        # The first part of `Server.serve`, without its signal handlers and its main loop.
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup(sockets=[listener])

    async def stop(self) -> None:
        """Closes at once what is open: nobody waits for answers that were never to come."""
        server, self._server = self._server, None
        if server is None:
            return
        for listening in server.servers:
            listening.close()
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        tasks = list(server.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listening in server.servers:
            await listening.wait_closed()

    def _config(self) -> Config:
        return Config(
            self._app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws=self._websockets,
            ws_ping_interval=None,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )

    def _transport_of(self, scope: Scope) -> asyncio.Transport | None:
        connections = self._server.server_state.connections if self._server else ()
        for connection in list(connections):
            if getattr(connection, "client", None) == scope["client"]:
                return connection.transport
        return None


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
