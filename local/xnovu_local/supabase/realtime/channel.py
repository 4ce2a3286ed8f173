"""One topic that one client has joined."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import psycopg

from xnovu_local.supabase.keys import Keys

from .faults import Faults, Log
from .feed import Feed
from .frames import Frame, Payload, system
from .keys import Claims, Refused, checked, expired, is_key
from .options import RealtimeOptions
from .subscriptions import subscription
from .walrus import Data, Subscriber

SUBSCRIBED = "Subscribed to PostgreSQL"


@dataclass(frozen=True, slots=True)
class Project:
    """What all connections of one local Realtime share."""

    keys: Keys
    options: Callable[[], RealtimeOptions]
    faults: Faults
    log: Log
    feed: Feed


class Channel:
    """
    Tells its client of the changes that were asked for, while its token holds.

    ``tell`` sends a frame, ``closed`` is called when the server closes the channel. Raises Refused.
    """

    def __init__(
        self,
        project: Project,
        join: Frame,
        token: str,
        tell: Callable[[Frame], None],
        closed: Callable[["Channel"], None],
    ) -> None:
        self.topic = join.topic
        self.asked = _asked(join.payload)
        self._join_ref = join.ref
        self._project = project
        self._token = token
        self._claims: Claims = checked(project.keys, token)
        self._tell = tell
        self._closed = closed
        self._subscribers: Sequence[Subscriber] = ()
        self._subscribing: asyncio.Task[None] | None = None
        self._expiring: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin; the answer to the join has been told."""
        late = self._project.faults.late_system
        self._subscribe(self._project.options().system_delay if late is None else late)
        self._watch_token()

    def close(self) -> None:
        """Be no more; tells nothing."""
        self._subscribers = ()
        for task in (self._subscribing, self._expiring):
            if task and task is not asyncio.current_task():
                task.cancel()

    def subscribers(self) -> Iterable[Subscriber]:
        """In whose name it listens to what; nobody's until the database does."""
        return self._subscribers

    def change(self, ids: Sequence[int], data: Data) -> None:
        if self._project.faults.mute or not self._subscribers:
            return
        self._project.log.note(
            "told", self.topic, f"{data['type']} {data['schema']}.{data['table']}"
        )
        self._tell(Frame(self.topic, "postgres_changes", {"ids": ids, "data": data}))

    def database_lost(self) -> None:
        """It is subscribed anew when the database is back."""
        self._subscribers = ()
        self._subscribe(self._project.options().resubscribe_delay)

    def refresh(self, token: object) -> None:
        """A new token from the client; what the server does not heed changes nothing."""
        if not isinstance(token, str) or is_key(token) or token == self._token:
            return
        try:
            self._claims = checked(self._project.keys, token)
        except Refused as refused:
            self.shut_down(str(refused))
            return
        self._token = token
        self._project.log.note("access_token", self.topic)
        self._watch_token()
        self._subscribe(self._project.options().resubscribe_delay)

    def expire(self) -> None:
        """End as if the token had just expired."""
        self.shut_down(expired(time.time()))

    def shut_down(self, message: str) -> None:
        """The server's own end of a channel: an error, then `phx_close`."""
        self._project.log.note("shut_down", self.topic, message)
        self._tell(system(self.topic, "system", "error", message))
        self._tell(self.farewell())
        self.close()
        self._closed(self)

    def farewell(self) -> Frame:
        """The last frame of a channel."""
        return Frame(self.topic, "phx_close", {}, self._join_ref)

    def _subscribe(self, delay: float) -> None:
        if self._subscribing:
            self._subscribing.cancel()
        if self.asked:
            self._subscribing = asyncio.create_task(self._subscribe_after(delay))

    async def _subscribe_after(self, delay: float) -> None:
        await asyncio.sleep(delay)
        while True:
            await self._project.feed.up.wait()
            try:
                self._answer(await self._complaint())
                return
            except psycopg.Error:  # the feed will connect anew
                await asyncio.sleep(self._project.options().resubscribe_delay)

    async def _complaint(self) -> str | None:
        """Why the database will not listen; None where it does from now on."""
        try:
            subscriptions = [subscription(asked) for asked in self.asked]
        except ValueError as error:
            return str(error)
        for each in subscriptions:
            if complaint := await self._project.feed.complaint(each, self._claims):
                return complaint
        self._subscribers = [Subscriber(each, self._claims, self) for each in subscriptions]
        return None

    def _answer(self, complaint: str | None) -> None:
        status, message = "ok" if complaint is None else "error", complaint or SUBSCRIBED
        what = "subscribed" if complaint is None else "not_subscribed"
        self._project.log.note(what, self.topic, message)
        self._tell(system(self.topic, "postgres_changes", status, message))

    def _watch_token(self) -> None:
        if self._expiring:
            self._expiring.cancel()
        if "exp" in self._claims:
            self._expiring = asyncio.create_task(self._expire_at(float(self._claims["exp"])))

    async def _expire_at(self, moment: float) -> None:
        await asyncio.sleep(moment - time.time())
        self.shut_down(expired(moment))


def _asked(payload: Payload) -> Sequence[Mapping[str, Any]]:
    match payload:
        case {"config": {"postgres_changes": [*asked]}}:
            listed = cast("list[object]", asked)
            return [cast("Payload", each) for each in listed if isinstance(each, dict)]
        case _:
            return ()
