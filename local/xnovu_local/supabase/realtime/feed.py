"""What is committed to the database, on its way to the channels."""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import psycopg

from .checks import complaint
from .database import Database, connected
from .faults import Faults, Log
from .keys import Claims
from .options import RealtimeOptions
from .pgoutput import Change, slotted
from .subscriptions import Subscription
from .walrus import UNAUTHORIZED, Event, Subscriber, Walrus, errors

RETRY_FIRST, RETRY_LAST = 0.1, 5.0
"""Seconds between two attempts to reach the database."""


class Channels(Protocol):
    """All channels there are, as the feed knows them."""

    def subscribers(self) -> Iterable[Subscriber]: ...

    def database_lost(self) -> None: ...


class Feed:
    """
    Reads the log through a temporary slot, for ever: what is committed while it cannot is gone.

    ``up`` is set while it can.
    """

    def __init__(
        self, dsn: str, options: Callable[[], RealtimeOptions], faults: Faults, log: Log
    ) -> None:
        self.up = asyncio.Event()
        self._dsn = dsn
        self._options = options
        self._faults = faults
        self._log = log
        self._database: Database | None = None

    async def check(self) -> None:
        """Raise psycopg.Error if the log cannot be read."""
        async with connected(self._dsn), slotted(self._dsn, self._options().publication):
            pass

    async def run(self, channels: Channels) -> None:
        """Until it is cancelled."""
        pause = RETRY_FIRST
        while True:
            try:
                await self._serve(channels)
            except (psycopg.Error, OSError):
                pause = RETRY_FIRST if self.up.is_set() else min(pause * 2, RETRY_LAST)
            finally:
                self._database = None
                self.up.clear()
            channels.database_lost()
            await asyncio.sleep(pause)

    async def complaint(self, subscription: Subscription, claims: Claims) -> str | None:
        """
        What the database has against a subscription, in the server's words; None if nothing.

        Raises psycopg.Error where it cannot be asked.
        """
        if self._database is None:
            raise psycopg.OperationalError("no connection to the database")
        publication = self._options().publication
        return await complaint(self._database, publication, subscription, claims)

    async def _serve(self, channels: Channels) -> None:
        """Poll, as Supabase's server does."""
        async with (
            connected(self._dsn) as database,
            slotted(self._dsn, self._options().publication) as slot,
        ):
            self._database = database
            self.up.set()
            while True:
                await asyncio.sleep(random.uniform(0, self._options().poll))  # noqa: S311 - not secret
                batch = await slot.take()
                await database.settled({change.transaction for change in batch})
                walrus = Walrus(database, self._options().max_record_bytes)
                for change in batch:
                    await self._tell(change, walrus, channels)

    async def _tell(self, change: Change, walrus: Walrus, channels: Channels) -> None:
        what = f"{change.kind} {change.schema}.{change.table}"
        if self._faults.skips():
            self._log.note("skipped", detail=what)
        else:
            concerned = [each for each in channels.subscribers() if _concerns(change, each)]
            for event in await self._events(change, walrus, concerned):
                event.tell()
        self._log.note("change", detail=what)

    async def _events(
        self, change: Change, walrus: Walrus, concerned: Sequence[Subscriber]
    ) -> Sequence[Event]:
        if self._faults.unauthorized:
            return errors(change, UNAUTHORIZED, concerned)
        return await walrus.events(change, concerned)


def _concerns(change: Change, subscriber: Subscriber) -> bool:
    return subscriber.subscription.concerns(change.kind, change.schema, change.table)
