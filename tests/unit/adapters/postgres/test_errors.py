"""Every complaint of Postgres is of a class, and carries no value."""

import psycopg
import pytest
from psycopg_pool import PoolTimeout

from xnovu.adapters.postgres.connection import Door
from xnovu.adapters.postgres.errors import translate, translated
from xnovu.errors import ConfigurationError, Paused, Permanent, XNovuError

SECRET = 'invalid input syntax: "secret-value"'


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (psycopg.errors.AdminShutdown, Paused, "store_unavailable"),
        (psycopg.errors.CannotConnectNow, Paused, "store_unavailable"),
        (psycopg.errors.TooManyConnections, Paused, "store_unavailable"),
        (psycopg.errors.DiskFull, Paused, "store_unavailable"),
        (psycopg.errors.InvalidPassword, Paused, "store_unavailable"),
        (psycopg.errors.ReadOnlySqlTransaction, Paused, "store_unavailable"),
        (psycopg.errors.ConnectionFailure, Paused, "store_unavailable"),
        (psycopg.errors.InsufficientPrivilege, Paused, "store_forbidden"),
        (psycopg.errors.DeadlockDetected, Paused, "store_busy"),
        (psycopg.errors.SerializationFailure, Paused, "store_busy"),
        (psycopg.errors.QueryCanceled, Paused, "store_busy"),
        (psycopg.errors.LockNotAvailable, Paused, "store_locked"),
        (psycopg.errors.UndefinedFunction, ConfigurationError, "configuration"),
        (psycopg.errors.UndefinedTable, ConfigurationError, "configuration"),
        (psycopg.errors.InvalidTextRepresentation, Permanent, "invalid_row"),
        (psycopg.errors.CheckViolation, Permanent, "invalid_row"),
        (psycopg.errors.GeneratedAlways, Permanent, "invalid_row"),
        (psycopg.errors.InternalError_, Permanent, "refused_by_database"),
        (psycopg.errors.RaiseException, Permanent, "refused_by_database"),
        (psycopg.OperationalError, Paused, "store_unavailable"),
        (psycopg.InterfaceError, Paused, "store_unavailable"),
        (psycopg.DataError, Permanent, "invalid_row"),
    ],
)
def test_each_class_has_its_consequence(
    error: type[psycopg.Error], kind: type[XNovuError], code: str
) -> None:
    found = translate(error(SECRET))
    assert (type(found), found.code) == (kind, code)
    assert "secret" not in str(found)


@pytest.mark.parametrize("error", [PoolTimeout(SECRET), TimeoutError(SECRET)])
def test_a_database_that_does_not_answer_pauses(error: Exception) -> None:
    with (
        pytest.raises(Paused) as away,
        translated(Door("postgresql://xnovu:secret-value@db.example:6432/app")),
    ):
        raise error
    assert away.value.code == "store_unavailable"
    assert "db.example:6432/app as xnovu" in str(away.value)
    assert "secret" not in str(away.value)
    assert away.value.__suppress_context__


def test_what_is_not_the_databases_passes() -> None:
    with (
        pytest.raises(KeyError),
        translated(Door("postgresql://xnovu:secret-value@db.example:6432/app")),
    ):
        raise KeyError("ours")
