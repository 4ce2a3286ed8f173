"""Postgres's own hints: a NOTIFY whenever rows come that may be due."""

from collections.abc import Callable

import psycopg

from xnovu.adapters.postgres.connection import PATIENCE, Door, settings
from xnovu.adapters.postgres.errors import translated
from xnovu.adapters.postgres.forever import Forever
from xnovu.connection import Connection
from xnovu.sql.readable import readable

LISTEN = b"SELECT pg_advisory_lock_shared(7817238012); LISTEN xnovu_wake"
"""Nobody is told where nobody holds this lock: see ``xnovu_tell``."""

FOLLOWS = 1.0
"""Seconds in which what the server has begun to say is a hint, or is something else."""


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
        self._door = Door(dsn)
        self._application_name = application_name
        self._forever = Forever("wake-ups by NOTIFY", self._door, backoff, backoff_max)

    @property
    def connection(self) -> Connection:
        return self._forever.line.now

    async def start(self, wake: Callable[[], None]) -> None:
        """Begin to listen, in the background; raises nothing, then or later."""
        self._forever.start(lambda: self._listen(wake))

    def missed(self, rows: int) -> None:
        """Nothing follows: a connection that is up tells everything, and its loss is noticed."""

    async def stop(self) -> None:
        await self._forever.stop()

    async def _listen(self, wake: Callable[[], None]) -> None:
        dsn = await self._door.address()
        with translated(self._door):
            async with await psycopg.AsyncConnection.connect(
                dsn, autocommit=True, application_name=self._application_name, **PATIENCE
            ) as connection:
                await connection.execute(settings(local=False))
                await connection.execute(LISTEN)
                self._forever.up()
                wake()
                while True:
                    await readable(connection.fileno())
                    async for _ in connection.notifies(timeout=FOLLOWS, stop_after=1):
                        self._forever.line.heard()
                        wake()
