"""What the driver raises, as one of xnovu.errors."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from xnovu.errors import Paused, Permanent, XNovuError
from xnovu.sql import errors as complaints


@contextmanager
def translated(refusal: Callable[[], str | None] = lambda: None) -> Generator[None]:
    """
    Whatever the driver raises inside comes out as one of xnovu.errors.

    ``refusal`` tells whether it was the credentials for which there was no connection.
    """
    try:
        yield
    except (PoolTimeout, PoolClosed, TooManyRequests):
        raise _shut_out(refusal(), "no connection to the database") from None
    except TimeoutError:
        raise _shut_out(refusal(), "the database does not answer") from None
    except psycopg.Error as error:
        raise translate(error) from None


def _shut_out(refused: str | None, otherwise: str) -> Paused:
    if refused:
        return Paused(refused, code="store_auth")
    return Paused(otherwise, code=complaints.UNAVAILABLE)


def translate(error: psycopg.Error) -> XNovuError:
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
        )
    )


def _noticed(error: psycopg.Error) -> XNovuError:
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return Paused("no connection to the database", code=complaints.UNAVAILABLE)
    return Permanent(f"not fit for the database ({type(error).__name__})", code="invalid_row")
