"""Postgres's own hints: a NOTIFY whenever rows come that may be due, or messages."""

from collections.abc import Callable
from typing import ClassVar

import psycopg

from xnovu.adapters.postgres.connection import PATIENCE, Door, settings
from xnovu.adapters.postgres.errors import translated
from xnovu.adapters.postgres.forever import Forever
from xnovu.connection import Connection
from xnovu.sql.readable import readable

FOLLOWS = 1.0
"""Seconds in which what the server has begun to say is a hint, or is something else."""


class _Notices:
    """
    What a LISTEN tells, on a connection of its own: a direct one, or a pooler's by session.

    Reconnects for ever, after up to ``backoff`` seconds doubling up to ``backoff_max``. A pooler by
    transaction swallows every notice.
    """

    what: ClassVar[str]
    statement: ClassVar[bytes]

    def __init__(
        self,
        dsn: Callable[[], str] | str,
        application_name: str = "",
        *,
        backoff: float = 0.5,
        backoff_max: float = 30.0,
    ) -> None:
        self._door = Door(dsn)
        self._application_name = application_name or f"xnovu {self.what}"
        self._forever = Forever(f"{self.what} by NOTIFY", self._door, backoff, backoff_max)

    async def stop(self) -> None:
        await self._forever.stop()

    def _begin(self, hear: Callable[[str | None], None]) -> None:
        """Tell what each notice says; None once all may have been missed before."""
        self._forever.start(lambda: self._listen(hear))

    async def _listen(self, hear: Callable[[str | None], None]) -> None:
        dsn = await self._door.address()
        with translated(self._door):
            async with await psycopg.AsyncConnection.connect(
                dsn, autocommit=True, application_name=self._application_name, **PATIENCE
            ) as connection:
                await connection.execute(settings(local=False))
                await connection.execute(self.statement)
                self._forever.up()
                hear(None)
                while True:
                    await readable(connection.fileno())
                    async for each in connection.notifies(timeout=FOLLOWS, stop_after=1):
                        self._forever.line.heard()
                        hear(each.payload)


class NotifyWakeUps(_Notices):
    """``WakeUps``: rows may be due. It wakes after each connect, too."""

    what = "wake-ups"
    # Nobody is told where nobody holds this lock: see ``xnovu_tell``.
    statement = b"SELECT pg_advisory_lock_shared(7817238012); LISTEN xnovu_wake"

    @property
    def connection(self) -> Connection:
        return self._forever.line.now

    async def start(self, wake: Callable[[], None]) -> None:
        """Begin to listen, in the background; raises nothing, then or later."""
        self._begin(lambda _: wake())

    def missed(self, rows: int) -> None:
        """Nothing follows: a connection that is up tells everything, and its loss is noticed."""


class NotifyHints(_Notices):
    """Which mailbox of the transport on Postgres has something new."""

    what = "hints"
    statement = b"LISTEN xnovu_mailbox"

    def start(self, tell: Callable[[str | None], None]) -> None:
        """``tell`` is called with a mailbox's name, and after each connect with None: any."""
        self._begin(tell)
