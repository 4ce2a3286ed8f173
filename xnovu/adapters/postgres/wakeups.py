"""Postgres's own hints: a NOTIFY whenever rows come that may be due, or messages."""

from collections.abc import Callable

import psycopg

from xnovu.adapters.postgres.connection import PATIENCE, Door, settings
from xnovu.adapters.postgres.errors import translated
from xnovu.adapters.postgres.forever import Forever
from xnovu.connection import Connection
from xnovu.sql.readable import readable

LISTEN_TO_MAILBOXES = b"LISTEN xnovu_mailbox"
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

    async def _listen(self, wake: Callable[[], None]) -> None:
        name = self._application_name
        await _listen(self._forever, self._door, name, LISTEN, lambda _: wake())

    def missed(self, rows: int) -> None:
        """Nothing follows: a connection that is up tells everything, and its loss is noticed."""

    async def stop(self) -> None:
        await self._forever.stop()


class NotifyHints:
    """Which mailbox of the transport on Postgres has something new; the same in all else."""

    def __init__(
        self,
        dsn: Callable[[], str] | str,
        application_name: str = "xnovu mailboxes",
        *,
        backoff: float = 0.5,
        backoff_max: float = 30.0,
    ) -> None:
        self._door = Door(dsn)
        self._application_name = application_name
        self._forever = Forever("hints by NOTIFY", self._door, backoff, backoff_max)

    def start(self, tell: Callable[[str | None], None]) -> None:
        """``tell`` is called with a mailbox's name, and after each connect with None: any."""
        listen, name = LISTEN_TO_MAILBOXES, self._application_name
        self._forever.start(lambda: _listen(self._forever, self._door, name, listen, tell))

    async def stop(self) -> None:
        await self._forever.stop()


async def _listen(
    forever: Forever,
    door: Door,
    application_name: str,
    listen: bytes,
    hear: Callable[[str | None], None],
) -> None:
    """Tell what each notification says; None once all may have been missed before."""
    dsn = await door.address()
    with translated(door):
        async with await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, application_name=application_name, **PATIENCE
        ) as connection:
            await connection.execute(settings(local=False))
            await connection.execute(listen)
            forever.up()
            hear(None)
            while True:
                await readable(connection.fileno())
                async for each in connection.notifies(timeout=FOLLOWS, stop_after=1):
                    forever.line.heard()
                    hear(each.payload)
