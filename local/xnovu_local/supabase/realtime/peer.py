"""One client's connection: its frames are taken one after the other, its channels kept."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.websockets import WebSocket, WebSocketDisconnect

from xnovu_local.serving import reset

from .channel import Channel, Project
from .frames import Frame, decoded
from .keys import Refused, is_key
from .subscriptions import identified

ABNORMAL = 1006
"""The code that clients give to a connection that ended without one (RFC 6455, 7.4.1)."""
BROKEN = 1011


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The close frame that ends a connection."""

    code: int
    reason: str


class Peer:
    """A connection that has been let in with an API key."""

    def __init__(
        self, project: Project, websocket: WebSocket, transport: asyncio.Transport, key: str
    ) -> None:
        self._project = project
        self._websocket = websocket
        self._transport = transport
        self._key = key
        self._channels: dict[str, Channel] = {}
        self._outbox: asyncio.Queue[Frame | Goodbye] = asyncio.Queue()
        self._deaf = False

    @property
    def channels(self) -> Iterable[Channel]:
        return list(self._channels.values())

    async def serve(self) -> None:
        """Until either side ends it."""
        writing = asyncio.create_task(self._write())
        try:
            async for text in self._websocket.iter_text():
                await self._take(decoded(text))
        except ValueError:
            self.close(BROKEN, "not a Phoenix message")
            await writing
        finally:
            writing.cancel()
            for channel in self.channels:
                channel.close()

    def tell(self, frame: Frame) -> None:
        self._outbox.put_nowait(frame)

    def close(self, code: int, reason: str = "") -> None:
        """End the connection with this code, behind all that was told before; 1006 cuts it."""
        if code == ABNORMAL:
            reset(self._transport)
        else:
            self._outbox.put_nowait(Goodbye(code, reason))

    def fall_silent(self) -> None:
        """The connection stays open, but nothing is read from it nor written to it any more."""
        self._deaf = True
        self._transport.set_protocol(_Deaf(self._transport.get_protocol()))

    async def _write(self) -> None:
        try:
            while True:
                match await self._outbox.get():
                    case Frame() as frame if not self._deaf:
                        await self._websocket.send_text(frame.encoded())
                    case Goodbye(code, reason) if not self._deaf:
                        await self._websocket.close(code, reason)
                        return
                    case _:
                        pass
        except WebSocketDisconnect:
            return

    async def _take(self, frame: Frame) -> None:
        channel = self._channels.get(frame.topic)
        match frame.event:
            case "heartbeat" if frame.topic == "phoenix":
                self._project.log.note("heartbeat")
                self.tell(frame.answered("ok", {}))
            case "phx_join":
                await self._join(frame)
            case "phx_leave":
                self._leave(frame, channel)
            case "access_token" if channel:
                channel.refresh(frame.payload.get("access_token"))
            case _ if channel is None:
                self.tell(frame.answered("error", {"reason": "unmatched topic"}))
            case _:
                pass

    async def _join(self, frame: Frame) -> None:
        try:
            channel = self._new_channel(frame)
        except Refused as refused:
            reason = f"{refused.code}: {refused}"
            self._project.log.note("join_refused", frame.topic, reason)
            await asyncio.sleep(self._project.options().join_error_delay)
            self.tell(frame.answered("error", {"reason": reason}))
            return
        before = self._channels.get(frame.topic)
        self._channels[frame.topic] = channel
        self._project.log.note("joined", frame.topic)
        listed = [{**asked, "id": identified(asked)} for asked in channel.asked]
        self.tell(frame.answered("ok", {"postgres_changes": listed}))
        channel.open()
        if before:  # a second join replaces the first
            before.close()
            self.tell(before.farewell())

    def _new_channel(self, frame: Frame) -> Channel:
        prefix, colon, name = frame.topic.partition(":")
        if refusal := self._project.faults.refuse_joins:
            code, _, message = refusal.partition(": ")
            raise Refused(code, message)
        if prefix != "realtime" or not colon or not name:
            raise Refused("TopicNameRequired", "You must provide a topic name")
        match frame.payload:
            case {"config": {"private": True}}:  # which needs policies that nobody has made
                message = f"You do not have permissions to read from this Channel topic: {name}"
                raise Refused("Unauthorized", message)
            case _:
                return Channel(self._project, frame, self._token(frame), self.tell, self._forget)

    def _token(self, frame: Frame) -> str:
        """Who brings none of his own is whoever the API key says."""
        given = frame.payload.get("access_token") or frame.payload.get("user_token")
        return given if isinstance(given, str) and not is_key(given) else self._key

    def _leave(self, frame: Frame, channel: Channel | None) -> None:
        self._project.log.note("left", frame.topic)
        self.tell(frame.answered("ok", {}))
        if channel:
            channel.close()
            self._forget(channel)
            self.tell(channel.farewell())

    def _forget(self, channel: Channel) -> None:
        if self._channels.get(channel.topic) is channel:
            del self._channels[channel.topic]


class _Deaf(asyncio.Protocol):
    """Takes the place of a connection's reader, and heeds nothing but its end."""

    def __init__(self, before: asyncio.BaseProtocol) -> None:
        self._before = before

    def connection_lost(self, exc: Exception | None) -> None:
        self._before.connection_lost(exc)
