"""The local Realtime itself: its connections, its switches and what has happened."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from email.utils import formatdate
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from xnovu_local.serving import gone, reset, transport_of
from xnovu_local.supabase.keys import Keys

from .channel import Channel, Project
from .faults import Faults, Log
from .feed import Feed
from .keys import Refused, checked
from .options import RealtimeOptions
from .peer import ABNORMAL, Peer
from .walrus import Subscriber


class LocalRealtime:
    """
    A Supabase Realtime for the changes of one Postgres: the ASGI application of its websocket.

    ``dsn`` is of a role that may replicate and become every role of the claims. ``faults`` are
    switches, ``log`` is what has happened; the methods break what there is at the moment.
    """

    def __init__(self, dsn: str, keys: Keys, options: RealtimeOptions | None = None) -> None:
        self.keys = keys
        self.options = options or RealtimeOptions()
        self.faults = Faults()
        self.log = Log()
        self._feed = Feed(dsn, lambda: self.options, self.faults, self.log)
        self._project = Project(keys, lambda: self.options, self.faults, self.log, self._feed)
        self._peers: set[Peer] = set()
        self._feeding: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the database's log from now on, for ever; raises psycopg.Error if it cannot."""
        await self._feed.check()
        self._feeding = asyncio.create_task(self._feed.run(self), name="realtime-feed")
        await self._feed.up.wait()

    async def stop(self) -> None:
        """Read no more, and cut all connections."""
        self.drop()
        if self._feeding:
            self._feeding.cancel()
            with suppress(asyncio.CancelledError):
                await self._feeding

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, from its knocking to its end."""
        transport = transport_of(scope)
        if transport is None:
            raise LookupError("the server does not tell its connections")
        # A server that stops cancels what still waits; there is nobody left to be told.
        with suppress(asyncio.CancelledError):
            if self.away:
                self.log.note("refused", detail="away")
                reset(transport)
                await gone(receive)
            elif key := await self._let_in(websocket := WebSocket(scope, receive, send)):
                await self._serve(Peer(self._project, websocket, transport, key))

    @property
    def connections(self) -> int:
        return len(self._peers)

    @property
    def channels(self) -> list[Channel]:
        """All channels of all connections."""
        return [channel for peer in self._peers for channel in peer.channels]

    @property
    def away(self) -> bool:
        """Whether it lets nobody in."""
        return asyncio.get_running_loop().time() < self.faults.away_until

    def subscribers(self) -> Iterable[Subscriber]:
        return [each for channel in self.channels for each in channel.subscribers()]

    def database_lost(self) -> None:
        for channel in self.channels:
            channel.database_lost()

    def change(self, **options: Any) -> None:
        """Change options while running."""
        self.options = replace(self.options, **options)

    def drop(self, code: int = ABNORMAL, reason: str = "") -> None:
        """End all connections with this code; 1006 cuts them."""
        for peer in list(self._peers):
            peer.close(code, reason)

    def outage(self, seconds: float) -> None:
        """Cut all connections, and let nobody in for so long."""
        self.faults.away_until = asyncio.get_running_loop().time() + seconds
        self.drop()

    def fall_silent(self) -> None:
        """Leave the connections open but dead: nothing is read, nothing answered (half-open)."""
        for peer in self._peers:
            peer.fall_silent()

    def expire(self) -> None:
        """End all channels as if their tokens had just expired."""
        for channel in self.channels:
            channel.expire()

    def shut_down(self, message: str = "Too many messages per second") -> None:
        """End all channels with an error, and leave the connections."""
        for channel in self.channels:
            channel.shut_down(message)

    async def _let_in(self, websocket: WebSocket) -> str:
        """The key that opens, or nothing: then it was said so before the upgrade."""
        key = websocket.query_params.get("apikey") or websocket.headers.get("x-api-key", "")
        try:
            checked(self.keys, key)
        except Refused as refused:
            self.log.note("refused", detail=refused.code)
            said = "Invalid API key" if key else "No API key found in request"
            await websocket.send_denial_response(JSONResponse({"message": said}, 401))
            return ""
        await websocket.accept(headers=[(b"date", formatdate(usegmt=True).encode())])
        return key

    async def _serve(self, peer: Peer) -> None:
        self._peers.add(peer)
        self.log.note("connected")
        try:
            await peer.serve()
        finally:
            self._peers.discard(peer)
            self.log.note("disconnected")
