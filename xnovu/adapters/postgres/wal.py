"""Hints from the write-ahead log: what is committed to the notifications' table, as it happens."""

import asyncio
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager

import psycopg

from xnovu.adapters.postgres.connection import PATIENCE, Door
from xnovu.adapters.postgres.errors import translate
from xnovu.adapters.postgres.forever import Forever
from xnovu.connection import Connection
from xnovu.errors import ConfigurationError, XNovuError
from xnovu.sql.pgoutput import Change, replicate

PUBLICATION = "xnovu_wake"
WAKING = ("PENDING", "RETRACTED")
"""What only people make of a row that there is: XNovu itself claims it, and writes its end."""
TELLING = ("notification_status", "scheduled_for")
ADVICE = {
    "42704": (
        f"there is no publication {PUBLICATION}: run `xnovu migrate`, or as who owns the table and"
        f" may create in the database: CREATE PUBLICATION {PUBLICATION}"
        " FOR TABLE notify.ent_notification WITH (publish = 'insert, update')"
    ),
    "55000": (
        "the database cannot be followed by its log:"
        " ALTER SYSTEM SET wal_level = logical, then restart it"
    ),
    "53400": "every replication slot is taken: raise max_replication_slots",
}
NOT_ALLOWED = re.compile("walsender|WAL sender|parameter: replication")
"""What servers and poolers say at the door, in the only way in which they say it: as a text."""


class WalWakeUps:
    """
    ``WakeUps`` by logical replication: a direct connection, of a role that may replicate.

    It reads through a slot that ends with the connection, so nothing piles up while it is away; it
    reconnects for ever, after up to ``backoff`` seconds doubling up to ``backoff_max``, and wakes
    after each connect: hints may have been missed. The log tells of a row a moment before others
    can see it, so each hint is given again after ``echo`` seconds (None: it is not).
    """

    def __init__(
        self,
        dsn: Callable[[], str] | str,
        application_name: str = "xnovu wake-ups",
        *,
        backoff: float = 0.5,
        backoff_max: float = 30.0,
        echo: float | None = 0.05,
    ) -> None:
        self._door = Door(dsn)
        self._application_name = application_name
        self._forever = Forever("wake-ups by the log", self._door, backoff, backoff_max)
        self._echo = echo
        self._echoing: asyncio.TimerHandle | None = None

    @property
    def connection(self) -> Connection:
        return self._forever.line.now

    async def start(self, wake: Callable[[], None]) -> None:
        """Begin to read, in the background; raises nothing, then or later."""
        self._forever.start(lambda: self._follow(wake))

    def missed(self, rows: int) -> None:
        """Nothing follows: a connection that is up tells everything, and its loss is noticed."""

    async def stop(self) -> None:
        await self._forever.stop()
        if self._echoing:
            self._echoing.cancel()

    async def _follow(self, wake: Callable[[], None]) -> None:
        with explained():
            async with replicate(
                await self._door.address(),
                PUBLICATION,
                application_name=self._application_name,
                **PATIENCE,
            ) as changes:
                self._forever.up()
                wake()
                last = None
                async for change in changes:
                    if change.transaction != last and wakes(change):
                        last = change.transaction
                        self._hint(wake)

    def _hint(self, wake: Callable[[], None]) -> None:
        self._forever.line.heard()
        wake()
        if self._echo is not None:
            if self._echoing:
                self._echoing.cancel()
            self._echoing = asyncio.get_running_loop().call_later(self._echo, wake)


def wakes(change: Change) -> bool:
    """
    Whether a change may have made a row due, or taken it back.

    Of a row still PENDING it cannot tell what has changed, unless the table keeps whole old rows
    (REPLICA IDENTITY FULL): then only its status and schedule count.
    """
    if change.kind != "UPDATE":
        return change.kind == "INSERT"
    if change.columns.get("notification_status") not in WAKING:
        return False
    old = change.old or {}
    return any(name not in old or old[name] != change.columns.get(name) for name in TELLING)


@contextmanager
def explained() -> Generator[None]:
    """Whatever the driver raises inside comes out as one of xnovu.errors, with the way out."""
    try:
        yield
    except psycopg.Error as error:
        raise _explain(error) from None


def _explain(error: psycopg.Error) -> XNovuError:
    if advice := ADVICE.get(error.sqlstate or ""):
        return ConfigurationError(advice)
    if NOT_ALLOWED.search(str(error)):
        return ConfigurationError(
            "replication is refused: it needs a direct connection, not a pooler's, and a role"
            " with the attribute REPLICATION"
        )
    return translate(error)
