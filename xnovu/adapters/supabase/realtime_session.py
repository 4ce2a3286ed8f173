"""One connection to Realtime, from its first message to the first sign that it is of no use."""

import asyncio
import random
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json
from realtime.message import (
    ChannelCloseMessage,
    ChannelErrorMessage,
    ErrorReplyMessage,
    ErrorSystemPayload,
    ReplyMessage,
    ServerMessage,
    ServerMessageAdapter,
    SuccessSystemPayload,
    SystemMessage,
)
from realtime.types import PHOENIX_CHANNEL

from xnovu.adapters.supabase.realtime_access import Credentials, seconds_left
from xnovu.adapters.supabase.realtime_channels import SCHEMA, TABLE, Channels, is_own_work
from xnovu.adapters.supabase.realtime_client import Client
from xnovu.errors import Paused, XNovuError
from xnovu.redaction import phrases_in
from xnovu.together import group

LOST = "realtime_lost"
ONE_FILTER = "realtime_one_filter"
SILENT = "realtime_silent"
"""Codes: it is of no use; because the server is too old for the filters; to be on the safe side."""

NO_RIGHTS = ("Error 400", "Error 401")
"""What an event says whose row Realtime may not read: no rights, or no primary key (walrus)."""

NOT_PUBLISHED = "Please check Realtime is enabled"
ADVICE = f": ALTER PUBLICATION supabase_realtime ADD TABLE {SCHEMA}.{TABLE}"
"""What is said of a table whose changes are not published, and the way out."""

KNOWN = re.compile(
    r"\bUnauthorized\b|Invalid API key|No API key found in request|(?:Token|JWT) has expired"
    r"|Invalid (?:JWT|token)|expired JWT"
    r"|Too many (?:messages per second|channels|joins|connections)"
    r"|(?:Connection|Channel|ClientJoin|Message|Db)RateLimitReached"
    r"|RealtimeDisabledFor(?:Tenant|Configuration)|TopicNameRequired|TenantNotFound"
    r"|InitializingProjectConnection|UnableToConnectToProject|DatabaseLackOfConnections"
    rf"|Unable to subscribe to changes|{NOT_PUBLISHED}"
    r"|invalid column for (?:filter|select)|parsing `filter`"
    r"|You do not have permissions to read from this Channel|Server is shutting down"
)
"""What of Realtime's words is told; the rest may be of a row, of a key or of a filter."""

OMINOUS = frozenset({"system", "phx_error", "phx_close"})
"""Events that tell the end of a channel; if one cannot be understood, that is assumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """
    How long things may take. All times are seconds.

    ``ready``: from connecting until the last subscription is confirmed. ``ping``: between two
    heartbeats; ``answer``: for the answer to one. ``key``: between two looks at the key;
    ``renewal``: before a token's end, when a new one is asked for. ``mute``: how long nothing may
    be told once ``mute_rows`` came that should have been; ``silence``: how long a channel may tell
    nothing at all. ``backoff``, doubled up to ``backoff_max``: between two attempts.
    """

    ready: float = 30.0
    ping: float = 5.0
    answer: float = 8.0
    key: float = 10.0
    renewal: float = 60.0
    mute: float = 10.0
    mute_rows: int = 3
    silence: float = 600.0
    backoff: float = 0.5
    backoff_max: float = 30.0


class Session:
    """
    A client that is joined, watched, and given up for anything that may mean lost hints.

    ``joined`` is called when every subscription is confirmed, and again whenever the server has
    made one anew; ``told`` for each change. Raises ConfigurationError or Paused for a URL, a key or
    a token that is none.
    """

    def __init__(
        self,
        credentials: Credentials,
        channels: Channels,
        patience: Patience,
        *,
        joined: Callable[[], None],
        told: Callable[[], None],
    ) -> None:
        self._credentials, self._channels, self._patience = credentials, channels, patience
        self._joined, self._told = joined, told
        self._access = credentials.access()
        self._token = credentials.token() if credentials.token else self._access.key
        self._came = time.monotonic()  # when the token did
        self._zero: float | None = None  # what the server's clock showed when ours was 0
        self._client = Client(self._access, timeout=patience.ready, hear=self._hear, end=self._end)
        self._unconfirmed = set(channels)
        self._confirmed, self._answered, self._over = (asyncio.Event() for _ in range(3))
        self._end_of_it = Paused("", code=LOST)
        self._missed = 0
        self._mute: asyncio.TimerHandle | None = None
        self._silence: dict[str, asyncio.TimerHandle] = {}

    async def live(self) -> None:
        """
        Join and watch; returns never. Whatever it raises, :meth:`close` comes after.

        Raises:
            Paused: it is lost, and why, in words that are safe to show.
            OSError, WebSocketException: there was no connection to begin with.
        """
        try:
            async with group() as tasks:
                tasks.create_task(self._until_over())
                await self._join()
                tasks.create_task(self._ping())
                tasks.create_task(self._watch_access())
        except ExceptionGroup as reasons:
            raise reasons.exceptions[0] from None

    async def close(self) -> None:
        """Leave nothing behind; takes a second or two if the other side is gone."""
        self._unmute()
        for timer in self._silence.values():
            timer.cancel()
        await self._client.close()

    def missed(self, rows: int) -> None:
        """Rows came that should have been told of: if nothing is heard soon, it is mute."""
        self._missed += rows
        if not self._mute and self._missed >= self._patience.mute_rows:
            reason = f"rows came and nothing was told of them for {self._patience.mute:g} s"
            self._mute = _later(self._patience.mute, self._end, reason, LOST)

    async def _until_over(self) -> None:
        await self._over.wait()
        raise self._end_of_it

    async def _join(self) -> None:
        limit = self._patience.ready
        try:
            async with asyncio.timeout(limit):
                await self._client.set_auth(self._token)
                await self._client.connect()
                if (there := self._client.let_in_at) is not None:
                    self._zero = there - time.monotonic()
                for name, bindings in self._channels.items():
                    await self._client.join(name, bindings, partial(self._changed, name))
                await self._confirmed.wait()
        except TimeoutError:
            raise Paused(f"not subscribed within {limit:g} s", code=LOST) from None
        for name in self._channels:
            self._heard(name)
        self._joined()

    async def _ping(self) -> None:
        limit = self._patience.answer
        while True:
            await asyncio.sleep(self._patience.ping)
            self._answered.clear()
            try:
                async with asyncio.timeout(limit):
                    await self._client.ping()
                    await self._answered.wait()
            except TimeoutError:
                raise Paused(f"no heartbeat was answered for {limit:g} s", code=LOST) from None

    async def _watch_access(self) -> None:
        """A key that cannot be read for the moment does no harm to a connection that is up."""
        while True:
            await asyncio.sleep(self._patience.key)
            with suppress(XNovuError):
                if self._credentials.access() != self._access:
                    self._end("the project's URL or key has changed")
                await self._renew_token()

    async def _renew_token(self) -> None:
        ask, left = self._credentials.token, seconds_left(self._token, self._came, self._zero)
        if ask and left is not None and left < self._patience.renewal:
            token = ask()
            if token != self._token:
                self._token, self._came = token, time.monotonic()
                await self._client.set_auth(token)

    def _hear(self, frame: str | bytes) -> None:
        try:
            message = ServerMessageAdapter.validate_json(frame)
        except ValidationError:
            self._on_unknown(frame)
            return
        self._note(message)
        if channel := self._client.channels.get(message.topic):
            channel._handle_message(message)  # pyright: ignore[reportPrivateUsage]

    def _note(self, message: ServerMessage) -> None:
        """What the server says, and what it means for the connection."""
        match message:
            case ReplyMessage(topic=topic) if topic == PHOENIX_CHANNEL:
                self._answered.set()
            case ReplyMessage(payload=ErrorReplyMessage(response=response)):
                self._refuse(response.get("reason"))
            case SystemMessage(payload=ErrorSystemPayload(message=words)):
                self._refuse(words)
            case SystemMessage(topic=topic, payload=SuccessSystemPayload(extension=by)):
                self._confirm(topic, by)
            case ChannelErrorMessage() | ChannelCloseMessage():
                self._end("the server closed the channel")
            case _:
                pass

    def _confirm(self, topic: str, by: str) -> None:
        """The database is subscribed to: once, and again after each gap of the server's own."""
        if by != "postgres_changes":
            return
        if self._confirmed.is_set():
            self._joined()
        self._unconfirmed.discard(_name(topic))
        if not self._unconfirmed:
            self._confirmed.set()

    def _changed(self, name: str, change: Any) -> None:
        """A row was changed. Nothing of its record is used but, for an update, the status."""
        data = change["data"]
        errors = str(data.get("errors"))
        if any(each in errors for each in NO_RIGHTS):
            self._end(f"the server may not show {SCHEMA}.{TABLE} to this key or token")
            return
        self._heard(name)
        if not is_own_work(data.get("type", ""), data.get("record")):
            self._told()

    def _on_unknown(self, frame: str | bytes) -> None:
        """The client cannot read it: a change without rights, the end of a channel, or neither."""
        with suppress(AttributeError, KeyError, TypeError, ValueError):
            message = from_json(frame)
            if message["event"] == "postgres_changes":
                self._changed(_name(message["topic"]), message["payload"])
            elif message["event"] in OMINOUS:
                self._end("the server said something of the channel that is not understood")

    def _refuse(self, words: object) -> None:
        said = str(words)
        code = ONE_FILTER if "parsing `filter`" in said else LOST
        advice = ADVICE if NOT_PUBLISHED in said else ""
        self._end(f"the server refuses: {phrases_in(said, KNOWN)}{advice}", code)

    def _end(self, reason: str, code: str = LOST) -> None:
        """It is of no use any more; the first reason counts."""
        if not self._over.is_set():
            self._end_of_it = Paused(reason, code=code)
            self._over.set()

    def _heard(self, name: str) -> None:
        """A channel has told something: it is not to be silent for too long after."""
        self._unmute()
        if timer := self._silence.get(name):
            timer.cancel()
        limit = random.uniform(0.8, 1.2) * self._patience.silence  # noqa: S311 - spread, not secrecy
        reason = f"nothing was told for {limit:.0f} s"
        self._silence[name] = _later(limit, self._end, reason, SILENT)

    def _unmute(self) -> None:
        self._missed = 0
        if self._mute:
            self._mute.cancel()
        self._mute = None


def _name(topic: str) -> str:
    return topic.removeprefix("realtime:")


def _later(seconds: float, call: Callable[..., None], *arguments: object) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(seconds, call, *arguments)
