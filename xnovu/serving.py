"""
An HTTP server as a guest in a running loop, which no client can stop, slow down or fill.

It accepts connections itself, one after the other: asyncio's own server takes as many as come, and
where the process has no file descriptor left says so thousands of times a second.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Literal

from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

log = logging.getLogger(__name__)

LOOK = 0.25
"""Seconds between two looks at how long each connection has taken."""
QUIET = 60.0
"""Seconds for which the same is not said again."""
CLOSING = 1.0
"""Seconds that answers under way have when the server stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """
    How many connections there are at the most, and how long each part of a request may take.

    ``head`` and ``body`` are for what the client sends, ``answer`` for what it is sent, including
    the making of it; ``idle`` for a connection between two requests. All of these are seconds.
    """

    connections: int = 64
    head: float = 5.0
    body: float = 5.0
    answer: float = 15.0
    idle: float = 5.0


class _Phase(Enum):
    """What a connection waits for."""

    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    IDLE = auto()
    UPGRADED = auto()
    """To be a websocket, whose own protocol looks after it."""


@dataclass(slots=True)
class _Turn:
    """What a connection waits for, in which of its requests, and since when (loop time)."""

    phase: _Phase
    request: object
    since: float
    unread: bool = False
    """Whether the client has not taken all of what was answered, to this request or an earlier."""


class HttpServer:
    """
    An application behind a listening socket.

    When all ``connections`` are taken and one more comes, the one that has waited longest for its
    head or for another request is closed: who does ask is always answered.
    """

    def __init__(self, app: ASGIApp, bounds: Bounds, *, websockets: bool = False) -> None:
        kind: Literal["websockets-sansio", "none"] = "websockets-sansio" if websockets else "none"
        self._config = Config(
            app,
            http=H11Protocol,
            ws=kind,
            ws_ping_interval=None,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=int(bounds.idle),
        )
        self._bounds = bounds
        self._state = ServerState()
        self._turns: dict[asyncio.Transport, _Turn] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._listener: socket.socket | None = None

    def begin(self, listener: socket.socket) -> None:
        """Serve from now on what comes to a socket that listens, which is closed in the end."""
        self._config.load()
        listener.setblocking(False)
        self._listener = listener
        self._tasks = [
            asyncio.create_task(self._accept(listener), name="http-accept"),
            asyncio.create_task(self._watch(), name="http-watch"),
        ]

    async def finish(self) -> None:
        """Answer what has been asked, for a second at the most, and stop."""
        await self._close_the_door()
        for protocol in list(self._state.connections):
            protocol.shutdown()
        if tasks := list(self._state.tasks):
            await asyncio.wait(tasks, timeout=CLOSING)
        await self.abort()

    async def abort(self) -> None:
        """Stop at once: nobody waits for answers that were never to come."""
        await self._close_the_door()
        for transport in self._open():
            transport.abort()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def transport_to(self, client: object) -> asyncio.Transport | None:
        """The connection of a client, whom an ASGI scope names."""
        for transport in self._open():
            if getattr(transport.get_protocol(), "client", None) == client:
                return transport
        return None

    async def _close_the_door(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener:
            self._listener.close()

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            await _readable(listener)
            try:
                connection, _ = listener.accept()
            except BlockingIOError:  # it has gone again
                continue
            except OSError as error:  # no file descriptor left, most likely: what is idle may go
                _seldom("no connection can be accepted (%s)", error.strerror or "")
                self._let_go(len(self._turns))
                await asyncio.sleep(LOOK)
                continue
            with ExitStack() as stack:
                stack.callback(connection.close)
                if self._has_room():
                    with suppress(OSError):
                        await self._take_in(connection)
                        stack.pop_all()  # it is its transport's

    async def _take_in(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_accepted_socket(self._protocol, connection)
        self._turns[transport] = _Turn(_Phase.HEAD, None, loop.time())

    def _protocol(self) -> H11Protocol:
        protocol = H11Protocol(self._config, self._state, {})
        protocol.logger = _SELDOM
        return protocol

    def _has_room(self) -> bool:
        for transport in [each for each in self._turns if each.is_closing()]:
            del self._turns[transport]
        over = len(self._turns) + 1 - self._bounds.connections
        return over <= 0 or self._let_go(over) >= over

    def _let_go(self, count: int) -> int:
        """
        Close so many connections of those that ask for nothing, or do not take their answers.

        Says how many there were.
        """
        self._look()
        waiting = [
            transport
            for transport, turn in self._turns.items()
            if turn.unread or turn.phase in (_Phase.HEAD, _Phase.IDLE)
        ]
        waiting.sort(key=lambda each: (self._turns[each].unread, self._turns[each].since))
        for transport in waiting[:count]:
            transport.abort()
            del self._turns[transport]
        return min(count, len(waiting))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            self._look()
            now = asyncio.get_running_loop().time()
            for transport, turn in list(self._turns.items()):
                if transport.is_closing():
                    del self._turns[transport]
                elif now - turn.since > self._allowed(turn.phase):
                    transport.abort()

    def _look(self) -> None:
        """Notice what each connection waits for by now."""
        now = asyncio.get_running_loop().time()
        for transport, turn in self._turns.items():
            phase, request = _phase(transport)
            unread = transport.get_write_buffer_size() > 0
            if phase is not turn.phase or request is not turn.request:
                turn.phase, turn.request = phase, request
                # Who asks again and does not take what he is told has his time only once.
                turn.since = turn.since if unread and turn.unread else now
            turn.unread = unread

    def _allowed(self, phase: _Phase) -> float:
        match phase:
            case _Phase.HEAD:
                return self._bounds.head
            case _Phase.BODY:
                return self._bounds.body
            case _Phase.ANSWER:
                return self._bounds.answer
            case _Phase.IDLE:
                return self._bounds.idle + self._bounds.head
            case _Phase.UPGRADED:
                return float("inf")

    def _open(self) -> Iterator[asyncio.Transport]:
        yield from [transport for transport in self._turns if not transport.is_closing()]


async def _readable(listener: socket.socket) -> None:
    """Wait until a connection can be accepted; who is cancelled meanwhile has taken none."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(listener, lambda: ready.done() or ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(listener)


def _phase(transport: asyncio.Transport) -> tuple[_Phase, object]:
    """What a connection waits for, and in which of its requests."""
    protocol = transport.get_protocol()
    if not isinstance(protocol, H11Protocol):
        return _Phase.UPGRADED, None
    request: Any = protocol.cycle
    if request is None:
        return _Phase.HEAD, None
    if request.response_complete and not transport.get_write_buffer_size():
        return _Phase.IDLE, request
    unheard = request.more_body and not request.response_complete
    return (_Phase.BODY if unheard else _Phase.ANSWER), request


class _Seldom(logging.Filter):
    """Lets a message pass once in QUIET seconds, however often clients have it said."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[object, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = self._clock()
        if now - self._said.get(record.msg, float("-inf")) < QUIET:
            return False
        self._said[record.msg] = now
        return True


_SELDOM = logging.getLogger(f"{__name__}.http")
"""What uvicorn says of a connection; its texts are constants."""
_SELDOM.addFilter(_Seldom())
_seldom = _SELDOM.warning
