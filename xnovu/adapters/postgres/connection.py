"""How every connection to the database is made."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from xnovu.errors import XNovuError

T = TypeVar("T")

# A peer that is gone is noticed within half a minute, even by who only listens.
PATIENCE: Mapping[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

REFUSALS = ("authentication failed", "no pg_hba.conf entry", "is not permitted to log in", 'role "')
"""What the server says of credentials it does not know, or no longer; libpq gives no SQLSTATE."""


class Door:
    """
    The way in: an address that may change, and whether the database refused us there.

    ``dsn`` may raise while its file is being replaced: the address is then the one before. ``era``
    counts its changes; each connection knows in which its making began.
    """

    def __init__(self, dsn: Callable[[], str] | str) -> None:
        self._dsn = dsn
        self._last = self._seen = ""
        self.refused = False
        self.era = 0

        class Told(AsyncConnection[DictRow]):
            """A connection that tells the door how its making went."""

            era: int

            @classmethod
            async def connect(cls, *args: Any, **kwargs: Any) -> Self:
                era = self.era
                made = await self._told(super().connect(*args, **kwargs))
                made.era = era
                return made

        self.connections = Told

    async def address(self) -> str:
        """Where a new connection goes."""
        return self._asked()

    def moved(self) -> bool:
        """Whether the address is another than when this was asked last."""
        before, self._seen = self._seen, self._asked()
        return bool(before) and before != self._seen

    async def check(self, connection: AsyncConnection[Any]) -> None:
        """Raises psycopg.OperationalError for one whose making began in an earlier era."""
        if getattr(connection, "era", self.era) != self.era:
            raise psycopg.OperationalError("made with an earlier secret")

    def refusal(self) -> str | None:
        """What is wrong with the credentials; None if nothing is known to be."""
        return "the database refuses the credentials" if self.refused else None

    def _asked(self) -> str:
        try:
            self._last = self._dsn if isinstance(self._dsn, str) else self._dsn()
        except XNovuError:
            if not self._last:
                raise
        return self._last

    async def _told(self, connecting: Awaitable[T]) -> T:
        try:
            made = await connecting
        except psycopg.OperationalError as error:
            self.refused = any(word in str(error) for word in REFUSALS)
            raise
        self.refused = False
        return made
