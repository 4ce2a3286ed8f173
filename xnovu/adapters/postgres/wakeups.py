"""Postgres's own hints: a NOTIFY whenever rows come that may be due."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress

import psycopg

from xnovu.adapters.postgres.connection import PATIENCE
from xnovu.connection import Connection, Line
from xnovu.errors import describe

LISTEN = b"LISTEN xnovu_wake"


class NotifyWakeUps:
    """
    ``WakeUps`` by LISTEN, on a connection of its own: a direct one, or a pooler's by session.

    Reconnects for ever, after up to ``backoff`` seconds doubling up to ``backoff_max``, and wakes
    after each connect: hints may have been missed. A pooler by transaction swallows every hint.
    """

    def __init__(
        self,
        dsn: Callable[[], str] | str,
        application_name: str = "xnovu wake-ups",
        *,
        backoff: float = 0.5,
        backoff_max: float = 30.0,
    ) -> None:
        self._dsn = dsn
        self._application_name = application_name
        self._backoff, self._backoff_max = backoff, backoff_max
        self._failures = 0
        self._line = Line("wake-ups by NOTIFY")
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

    async def _listen_for_ever(self, wake: Callable[[], None]) -> None:
        while True:
            try:
                await self._listen(wake)
                self._line.lost("the database has ended the connection")
            except Exception as error:  # noqa: BLE001 - whatever it is, it may pass
                self._line.lost(f"cannot listen: {describe(error)}")
            self._failures += 1
            await asyncio.sleep(self._pause())

    async def _listen(self, wake: Callable[[], None]) -> None:
        dsn = self._dsn if isinstance(self._dsn, str) else self._dsn()
        async with await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, application_name=self._application_name, **PATIENCE
        ) as connection:
            await connection.execute(LISTEN)
            self._failures = 0
            self._line.connected()
            wake()
            async for _ in connection.notifies():
                self._line.heard()
                wake()

    def _pause(self) -> float:
        ceiling = min(self._backoff_max, self._backoff * 2.0 ** min(self._failures - 1, 60))
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - spread, not secrecy
