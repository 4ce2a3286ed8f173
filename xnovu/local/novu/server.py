"""Runs the local Novu on a port of this machine."""

import asyncio
import signal
import socket
import struct
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from starlette.types import Scope
from uvicorn import Config, Server

from .app import create_app
from .clock import Clock
from .options import LocalNovuOptions
from .state import LocalNovu
from .workflows import Workflow

LOOPBACK = "127.0.0.1"
_CLOSE_WITH_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for 0 seconds


@dataclass(frozen=True, slots=True)
class RunningNovu:
    """A local Novu being served: where it is, and the thing itself."""

    url: str
    novu: LocalNovu


async def serve(
    options: LocalNovuOptions | None = None, host: str = LOOPBACK, port: int = 8025
) -> None:
    """Serves a local Novu until the process is told to stop (SIGINT or SIGTERM)."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    async with running_novu(options, host=host, port=port):
        await told.wait()


@asynccontextmanager
async def running_novu(
    options: LocalNovuOptions | None = None,
    *,
    workflows: Iterable[Workflow] = (),
    clock: Clock | None = None,
    host: str = LOOPBACK,
    port: int = 0,
) -> AsyncGenerator[RunningNovu]:
    """A local Novu on the running event loop, on a free port unless told one."""
    novu = LocalNovu(options, workflows=workflows, clock=clock)
    server = _server(novu, host, port)
    with _listening(host, port) as listener:
        await _start(server, listener)
        try:
            yield RunningNovu(f"http://{host}:{listener.getsockname()[1]}", novu)
        finally:
            novu.stop()
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


def _server(novu: LocalNovu, host: str, port: int) -> Server:
    app = create_app(novu)
    server = Server(
        Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
    )
    app.state.cut_connection = partial(_cut, server)
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


def _cut(server: Server, scope: Scope) -> bool:
    """Cuts the connection of a request with a TCP reset; False if it is not found."""
    for connection in list(server.server_state.connections):
        if getattr(connection, "client", None) == scope["client"]:
            _reset(connection.transport)
            return True
    return False


def _reset(transport: asyncio.Transport) -> None:
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CLOSE_WITH_RESET)
    transport.abort()
