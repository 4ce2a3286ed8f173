"""How every connection to the database is made."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow

from xnovu.adapters.postgres.trouble import Trouble, why
from xnovu.errors import ConfigurationError, XNovuError

T = TypeVar("T")

# A peer that is gone is noticed within half a minute, even by who only listens.
PATIENCE: Mapping[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

SETTINGS: Mapping[str, str] = {
    "array_nulls": "on",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "datestyle": "ISO, YMD",
    "default_transaction_deferrable": "off",
    "default_transaction_isolation": "read committed",
    "extra_float_digits": "1",
    "idle_session_timeout": "0",
    "intervalstyle": "postgres",
    "lock_timeout": "0",
    "quote_all_identifiers": "off",
    "row_security": "on",
    "standard_conforming_strings": "on",
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "transform_null_equals": "off",
}
"""
What a session of ours relies on, whatever its database, its role or a proxy has set.

Not whether it may write: who makes a database read-only means us, too. Nor the time zone: a
platform's columns without one are in its own.
"""


def settings(local: bool, **others: str) -> bytes:
    """The statement that sets them, so far as the server knows them, for its transaction only."""
    each = ", ".join(f"('{name}', '{value}')" for name, value in {**SETTINGS, **others}.items())
    return (
        f"SELECT set_config(name, wanted, {local}) FROM (VALUES {each}) AS ours (name, wanted)"  # noqa: S608 - no input
        " WHERE current_setting(name, true) <> wanted"
    ).encode()


def require_dsn(text: str) -> None:
    """Raises ConfigurationError, without the text, for what is no connection string."""
    try:
        ports = str(conninfo_to_dict(text).get("port") or "").split(",")
        fits = all(port.isdecimal() for port in ports if port)
    except psycopg.Error:
        fits = False
    if not fits:
        raise ConfigurationError(
            "is no connection string, such as postgresql://user:password@host:5432/database"
            " (characters such as @ / : # in a password are percent-encoded)"
        )


class Door:
    """
    The way in: an address that may change, and what kept us out when it was tried last.

    ``dsn`` may raise while its file is being replaced: the address is then the one before. ``era``
    counts its changes; each connection knows in which its making began.
    """

    def __init__(self, dsn: Callable[[], str] | str) -> None:
        self._dsn = dsn
        self._last = dsn if isinstance(dsn, str) else ""
        self._seen = ""
        self.trouble: Trouble | None = None
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
        """
        Close one whose making began in an earlier era; open, the pool would keep it.

        Raises:
            psycopg.OperationalError: the pool then makes another one.
        """
        if getattr(connection, "era", self.era) != self.era:
            await connection.close()
            raise psycopg.OperationalError("made with an earlier secret")

    def place(self) -> str:
        """Where it leads, without the password."""
        part = self._parts()
        if part is None:
            return "an address that cannot be read"
        host = part.get("host") or part.get("hostaddr") or "localhost"
        place = f"{host}:{part.get('port') or 5432}/{part.get('dbname') or ''}"
        return f"{place} as {self.user or 'its user'}"

    def _parts(self) -> Mapping[str, Any] | None:
        try:
            return conninfo_to_dict(self._last)
        except psycopg.Error:
            return None

    @property
    def user(self) -> str | None:
        """Whose name is given there, if one is."""
        return str((self._parts() or {}).get("user") or "") or None

    def tried(self, error: psycopg.Error | None) -> None:
        """Take note of how a try to connect has ended."""
        self.trouble = why(error) if error else None

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
            self.tried(error)
            raise
        self.tried(None)
        return made
