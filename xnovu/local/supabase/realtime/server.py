"""Runs a local Realtime on a port of this machine."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.types import Scope
from uvicorn import Config, Server

from xnovu.local.ports import LOOPBACK

from .app import create_app
from .keys import Keys
from .options import RealtimeOptions
from .state import LocalRealtime


@dataclass(frozen=True, slots=True)
class RunningRealtime:
    """A local Realtime being served: where it is (as clients are told it), and the thing itself."""

    url: str
    realtime: LocalRealtime


@asynccontextmanager
async def running_realtime(
    dsn: str,
    keys: Keys,
    options: RealtimeOptions | None = None,
    *,
    host: str = LOOPBACK,
    port: int = 0,
) -> AsyncGenerator[RunningRealtime]:
    """A local Realtime on the running event loop, on a free port unless told one; ready."""
    realtime = LocalRealtime(dsn, keys, options)
    server = _server(realtime)
    with _listening(host, port) as listener:
        await _start(server, listener)
        await realtime.start()
        try:
            await realtime.ready()
            yield RunningRealtime(
                f"http://{host}:{listener.getsockname()[1]}/realtime/v1", realtime
            )
        finally:
            await realtime.stop()
            await _stop(server)


def _listening(host: str, port: int) -> socket.socket:
    """A listening socket; only one that is TCP by name gets TCP_NODELAY from asyncio."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def _server(realtime: LocalRealtime) -> Server:
    app = create_app(realtime)
    server = Server(
        Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="websockets-sansio",
            ws_ping_interval=None,  # Supabase's does not ping either
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )

    def transport_of(scope: Scope) -> asyncio.Transport:
        connections = list(server.server_state.connections)
        (found,) = (
            each for each in connections if getattr(each, "client", None) == scope["client"]
        )
        return found.transport

    app.state.transport_of = transport_of
    return server


async def _start(server: Server, listener: socket.socket) -> None:
    """The first part of `Server.serve`, without its signal handlers and its main loop."""
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup(sockets=[listener])


async def _stop(server: Server) -> None:
    """Closes at once what is open: nobody waits for answers that were never to come."""
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
