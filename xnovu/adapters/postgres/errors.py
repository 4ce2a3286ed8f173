"""What the driver raises, as one of xnovu.errors."""

import re
from collections.abc import Generator
from contextlib import contextmanager

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from xnovu.adapters.postgres.connection import Door
from xnovu.errors import Paused, Permanent, XNovuError
from xnovu.sql import errors as complaints

_GONE = (psycopg.OperationalError, psycopg.InterfaceError)
_NAME = r'(?:"[^"\n]+"|\w+)'
_IN = re.compile(rf'PL/pgSQL[^\n("]*?({_NAME}(?:\.{_NAME})?)\(')
"""How a context names a function, in whatever language; an expression in it is quoted."""


@contextmanager
def translated(door: Door) -> Generator[None]:
    """
    Whatever the driver raises inside comes out as one of xnovu.errors.

    ``door`` tells whether it was the credentials for which there was no connection, and where.
    """
    try:
        yield
    except (PoolTimeout, PoolClosed, TooManyRequests):
        raise _shut_out(door, "no connection to the database") from None
    except TimeoutError:
        raise _shut_out(door, "the database does not answer") from None
    except psycopg.Error as error:
        if error.sqlstate is None and isinstance(error, _GONE):
            raise _shut_out(door, "no connection to the database") from None
        raise translate(error, door) from None


def _shut_out(door: Door, otherwise: str) -> Paused:
    """Why nobody gets in: as the last try to connect has ended, if it is that."""
    if trouble := door.trouble:
        return Paused(f"{otherwise} at {door.place()}: {trouble.said}", code=trouble.code)
    return Paused(f"{otherwise} at {door.place()}", code=complaints.UNAVAILABLE)


def unreached(error: psycopg.Error, dsn: str) -> XNovuError:
    """An error of a connection that was made for one command."""
    door = Door(dsn)
    if error.sqlstate is None and isinstance(error, _GONE):
        door.tried(error)
        return _shut_out(door, "no connection to the database")
    return translate(error, door)


def translate(error: psycopg.Error, door: Door | None = None) -> XNovuError:
    """The class of a driver's error, by its SQLSTATE; what the client itself noticed has none."""
    if error.sqlstate is None:
        return _noticed(error)
    said = error.diag
    return complaints.translate(
        complaints.Complaint(
            error.sqlstate,
            said.message_primary,
            said.message_hint,
            said.column_name,
            said.constraint_name,
            said.table_name,
            _routine(said.context),
            door and door.user,
        )
    )


def _routine(context: str | None) -> str | None:
    """The function it happened in; whatever else a context holds may be a value."""
    found = _IN.search(context or "")
    return found and found[1]


def _noticed(error: psycopg.Error) -> XNovuError:
    if isinstance(error, _GONE):
        return Paused("no connection to the database", code=complaints.UNAVAILABLE)
    return Permanent(f"not fit for the database ({type(error).__name__})", code="invalid_row")
