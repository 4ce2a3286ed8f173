"""Supabase's hints: Realtime tells of rows that are new, retracted, or to be sent again."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress

from websockets.exceptions import InvalidStatus

from xnovu.adapters.supabase.options import RealtimeOptions
from xnovu.adapters.supabase.realtime_access import Credentials
from xnovu.adapters.supabase.realtime_channels import channels
from xnovu.adapters.supabase.realtime_session import (
    ONE_FILTER,
    SILENT,
    Patience,
    Session,
)
from xnovu.connection import Connection, Line, Link
from xnovu.errors import Paused, XNovuError, describe
from xnovu.reaching import why_unreached


class RealtimeWakeUps:
    """
    ``WakeUps`` by Supabase Realtime, which may lose any hint: it is never trusted alone.

    ``url`` (the project's), ``key`` and ``token`` (a user's JWT, where RLS is to hold) are asked
    anew at each connection; a changed key makes a new connection, and a token that is about to end
    is asked for and replaced before it does.

    Connected is what the server has confirmed of every channel, and only as long as it answers
    heartbeats, does not stay silent for too long, and tells of the rows that come. Everything else
    is a loss (a quiet table too, every ten minutes: silence cannot be told from deafness): the
    whole client is made anew, for ever. Wakes after each of these connections.
    """

    def __init__(
        self,
        url: Callable[[], str],
        key: Callable[[], str],
        options: RealtimeOptions | None = None,
        *,
        token: Callable[[], str] | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._credentials = Credentials(url, key, token)
        self._enterprises = sorted((options or RealtimeOptions()).enterprises)
        self._patience = patience or Patience()
        self._line = Line("wake-ups by Realtime")
        self._one_filter = False
        self._failures = 0
        self._joined_at: float | None = None
        self._session: Session | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def connection(self) -> Connection:
        return self._line.now

    async def start(self, wake: Callable[[], None]) -> None:
        """Begin to listen, in the background; raises nothing, then or later."""
        self._task = asyncio.create_task(self._listen_for_ever(wake), name="xnovu-wake-ups")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self._line.stopped()

    def missed(self, rows: int) -> None:
        if self._session and self._line.now.state is Link.CONNECTED:
            self._session.missed(rows)

    async def _listen_for_ever(self, wake: Callable[[], None]) -> None:
        while True:
            try:
                self._session = self._begin(wake)
                await self._session.live()
            except Exception as error:  # noqa: BLE001 - whatever it is, it may pass
                self._on_loss(error)
            finally:
                await self._give_up()
            await asyncio.sleep(self._pause())

    def _begin(self, wake: Callable[[], None]) -> Session:
        def joined() -> None:
            self._on_joined()
            wake()

        def told() -> None:
            self._failures = 0
            self._line.heard()
            wake()

        asked = channels(self._enterprises, one_filter=self._one_filter)
        return Session(self._credentials, asked, self._patience, joined=joined, told=told)

    async def _give_up(self) -> None:
        session, self._session = self._session, None
        if session:
            await session.close()

    def _on_joined(self) -> None:
        if self._line.now.state is not Link.CONNECTED:
            self._joined_at = asyncio.get_running_loop().time()
            self._line.connected()

    def _on_loss(self, error: Exception) -> None:
        """Note why; what lasted for a while was no failure of the attempt before."""
        code = error.code if isinstance(error, Paused) else ""
        self._one_filter = self._one_filter or code == ONE_FILTER
        if self._lasted() > self._patience.backoff_max:
            self._failures = 0
        self._joined_at = None
        self._failures += 1
        self._line.lost(_said(error), planned=code == SILENT)

    def _lasted(self) -> float:
        now = asyncio.get_running_loop().time()
        return now - self._joined_at if self._joined_at is not None else 0.0

    def _pause(self) -> float:
        longest, first = self._patience.backoff_max, self._patience.backoff
        ceiling = min(longest, first * 2.0 ** min(self._failures - 1, 60))
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - spread, not secrecy


def _said(error: Exception) -> str:
    """Why there is no connection, safe to show: an error of the network may hold the whole URL."""
    match error:
        case InvalidStatus(response=response) if response.status_code in (401, 403):
            return f"the server refuses the key (HTTP {response.status_code})"
        case InvalidStatus(response=response):
            return f"the server answers HTTP {response.status_code}"
        case XNovuError():
            return str(error)
        case _:
            return f"cannot connect: {why_unreached(error) or describe(error)}"
