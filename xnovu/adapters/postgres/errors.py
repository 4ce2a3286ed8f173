"""What Postgres complains of, in XNovu's words: SQLSTATE and column, never a value or a detail."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from xnovu.errors import ConfigurationError, Paused, Permanent, Retryable, XNovuError

UNAVAILABLE = "store_unavailable"


@contextmanager
def translated() -> Generator[None]:
    """Whatever the driver raises inside comes out as one of xnovu.errors."""
    try:
        yield
    except (PoolTimeout, PoolClosed, TooManyRequests):
        raise Paused("no connection to the database", code=UNAVAILABLE) from None
    except TimeoutError:
        raise Paused("the database does not answer", code=UNAVAILABLE) from None
    except psycopg.Error as error:
        raise translate(error) from None


def translate(error: psycopg.Error) -> XNovuError:
    """The class of a driver's error, by its SQLSTATE; what the client itself noticed has none."""
    state = error.sqlstate
    if state is None:
        return _noticed(error)
    for states, explain in RULES:
        if state.startswith(states):
            return explain(error, state)
    return Retryable(f"the database failed ({state})", code="store_failed")


def _noticed(error: psycopg.Error) -> XNovuError:
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return Paused("no connection to the database", code=UNAVAILABLE)
    return Permanent(f"not fit for the database ({type(error).__name__})", code="invalid_row")


def _away(_: psycopg.Error, state: str) -> XNovuError:
    return Paused(f"the database is not available ({state})", code=UNAVAILABLE)


def _forbidden(error: psycopg.Error, _: str) -> XNovuError:
    # "permission denied for table …": names an object, never a value.
    return Paused(f"the database refuses: {error.diag.message_primary}", code="store_forbidden")


def _busy(_: psycopg.Error, state: str) -> XNovuError:
    return Retryable(f"the database was busy ({state})", code="store_busy")


def _not_migrated(_: psycopg.Error, state: str) -> XNovuError:
    return ConfigurationError(f"the database is not migrated ({state}): run `xnovu migrate`")


def _installed_wrong(error: psycopg.Error, _: str) -> XNovuError:
    said = (error.diag.message_primary, error.diag.message_hint)
    return ConfigurationError(". ".join(part for part in said if part))


def _row_refused(error: psycopg.Error, _: str) -> XNovuError:
    return Permanent(error.diag.message_primary or "refused", code="invalid_row")


def _refused(error: psycopg.Error, state: str) -> XNovuError:
    what = "a value"
    if error.diag.column_name:
        what = f'the value of column "{error.diag.column_name}"'
    elif error.diag.constraint_name:
        what = f'a row by constraint "{error.diag.constraint_name}"'
    return Permanent(f"the database refused {what} ({state})", code="invalid_row")


RULES: Sequence[tuple[tuple[str, ...], Callable[[psycopg.Error, str], XNovuError]]] = (
    # Connection gone, server full, going down or on stand-by, password wrong, database not there.
    (("08", "53", "57P", "58", "28", "3D", "25006"), _away),
    (("42501",), _forbidden),  # a grant is missing: no row's fault either
    (("40", "55P03", "57014"), _busy),  # deadlock, serialization; lock and statement timeout
    (("42883", "42P01", "42703", "42704", "3F000"), _not_migrated),
    (("XN001",), _installed_wrong),  # these two are our own SQL's, their messages safe to show
    (("XN002",), _row_refused),
    (("22", "23", "428C9"), _refused),  # the last: a value for a column that makes its own
)
