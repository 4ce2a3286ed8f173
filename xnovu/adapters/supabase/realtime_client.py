"""
Supabase's own Realtime client, for one connection: it tells when that ends, and keeps silent.

Left to itself it gives up after five attempts, for ever; one bad message kills its listener while
it goes on to call itself connected; it logs whole rows; and it leaves tasks behind. So its
reconnecting is switched off, its listener replaced, its loggers are shut, and it is thrown away
after each loss. What it does not document is named here and checked when one is made.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from itertools import chain
from math import ceil
from typing import Any

from realtime import AsyncRealtimeChannel, AsyncRealtimeClient
from realtime.message import Message
from realtime.types import PHOENIX_CHANNEL, ChannelEvents
from realtime.types import PostgresChangesPayload as Change
from realtime.types import RealtimeSubscribeStates as State
from websockets.exceptions import ConnectionClosedError

from xnovu.adapters.supabase.clients import Access
from xnovu.adapters.supabase.realtime_channels import SCHEMA, TABLE, Binding
from xnovu.errors import ConfigurationError, describe

LEANS_ON = {
    "client": (
        "_listen",
        "_on_connect_error",
        "_listen_task",
        "_heartbeat_task",
        "_ws_connection",
    ),
    "channel": ("_handle_message", "_background_tasks", "_push_buffer"),
}
ABNORMAL = 1006
"""The code of a connection that ended without one (RFC 6455, 7.4.1)."""
FAREWELL = 1.0
"""Seconds that the other side has to answer a farewell."""
OWN_HEARTBEAT = 3600
"""Seconds between two heartbeats of the client, who does not look at the answers."""

_HEARTBEAT = Message(topic=PHOENIX_CHANNEL, event=ChannelEvents.heartbeat, payload={})


class Client(AsyncRealtimeClient):
    """
    A client that never reconnects.

    ``hear`` is given every message as it came; ``end`` is told once or more, in words that are
    safe to show, that the connection is of no use any more. Neither may wait.
    """

    def __init__(
        self,
        access: Access,
        *,
        timeout: float,
        hear: Callable[[str | bytes], None],
        end: Callable[[str], None],
    ) -> None:
        super().__init__(
            access.url,
            token=access.key,
            auto_reconnect=False,
            hb_interval=OWN_HEARTBEAT,
            timeout=ceil(timeout),
        )
        _require(self, LEANS_ON["client"])
        _silence()
        self._hear, self._end = hear, end
        self._joined: list[AsyncRealtimeChannel] = []

    async def join(
        self, name: str, bindings: Sequence[Binding], changed: Callable[[Change], None]
    ) -> None:
        """Ask for a channel; returns when the server has answered, whatever it said."""
        channel = self.channel(name)
        _require(channel, LEANS_ON["channel"])
        self._joined.append(channel)
        for one in bindings:
            channel.on_postgres_changes(
                one.kind, changed, TABLE, SCHEMA, one.filter, list(one.select)
            )
        await channel.subscribe(self._on_state)

    async def ping(self) -> None:
        """Send a heartbeat, which the server answers."""
        await self.send(_HEARTBEAT)

    @property
    def let_in_at(self) -> float | None:
        """What time it was at the server, in seconds since 1970; None if it did not say so."""
        answer = self._ws_connection and self._ws_connection.response
        try:
            return parsedate_to_datetime(answer.headers["Date"]).timestamp() if answer else None
        except (LookupError, TypeError, ValueError):
            return None

    async def close(self) -> None:
        """Leave no socket and no task behind."""
        connection, tasks = self._ws_connection, set(_tasks(self, self._joined))
        for task in tasks:
            task.cancel()
        try:
            with suppress(Exception):  # whatever it says, it is given up
                async with asyncio.timeout(FAREWELL):
                    await super().close()
        finally:
            if connection:
                connection.transport.abort()
        if connection:
            await connection.wait_closed()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        connection = self._ws_connection
        try:
            if connection:
                async for frame in connection:
                    self._hear(frame)
                self._end(f"the server closed the connection ({connection.close_code})")
        except ConnectionClosedError as error:
            await self._on_connect_error(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end in silence
            self._end(f"a message could not be taken in: {describe(error)}")

    async def _on_connect_error(self, e: ConnectionClosedError) -> None:
        """What the client does when it cannot send, either."""
        self._end(f"the connection broke ({e.rcvd.code if e.rcvd else ABNORMAL})")

    def _on_state(self, state: State, error: Exception | None) -> None:
        del error  # its words may be the server's
        if state is not State.SUBSCRIBED:
            self._end(f"the channel is not subscribed ({state.value})")


def _tasks(client: Any, channels: Iterable[Any]) -> Iterator[asyncio.Task[Any]]:
    """Everything that a client may have begun, as far as it is not done."""
    begun = [client._listen_task, client._heartbeat_task]
    for channel in channels:
        pushes = channel.messages_waiting_for_ack.values(), channel._push_buffer
        begun += [push.timeout_task for push in chain([channel.join_push], *pushes)]
        begun += [channel.rejoin_timer.timer, *channel._background_tasks]
    yield from (task for task in begun if task and not task.done())


def _silence() -> None:
    """The client logs rows and what servers say of them; what is beneath it, frames and the key."""
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] == "realtime":
            logging.getLogger(name).addFilter(_nothing)
    logging.getLogger("websockets.client").addFilter(_warnings)


def _nothing(record: logging.LogRecord) -> bool:
    del record
    return False


def _warnings(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def _require(owner: object, names: Sequence[str]) -> None:
    missing = [name for name in names if not hasattr(owner, name)]
    if missing:
        raise ConfigurationError(
            f"realtime {version('realtime')} does not fit this XNovu:"
            f" {type(owner).__name__} has no {', '.join(missing)}"
        )
