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
_IN = re.compile(r'PL/pgSQL[^\n(]*?([\w."]+)\(')
"""How a context names a function, in whatever language."""


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
        raise translate(error, door.role()) from None


def _shut_out(door: Door, otherwise: str) -> Paused:
    if refused := door.refusal():
        return Paused(f"{refused} ({door.place()})", code="store_auth")
    return Paused(f"{otherwise} ({door.place()})", code=complaints.UNAVAILABLE)


def translate(error: psycopg.Error, role: str | None = None) -> XNovuError:
    """
    The class of a driver's error, by its SQLSTATE; what the client itself noticed has none.

    ``role`` is whose connection it was, where that is known.
    """
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
            role,
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
