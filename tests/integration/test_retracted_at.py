"""A retraction by the platform's own statement: its time is written down, and it is due at once."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.contract.store_fixtures import PLATFORM
from xnovu.adapters.postgres.migrations import migrate

Connection = psycopg.Connection[dict[str, Any]]
COLUMNS = """retracted_at, claimed_until, retracted_at = now() AS just_now,
    claimed_until = now() AND claim_token IS NULL AS due"""


@pytest.fixture(params=["", PLATFORM], ids=["fresh", "platform"])
def connection(request: pytest.FixtureRequest, database: str) -> Iterator[Connection]:
    """In one transaction, where time stands still."""
    with psycopg.connect(database, autocommit=True, row_factory=dict_row) as connection:
        connection.execute(request.param.encode())
        migrate(database)
        with connection.transaction(force_rollback=True):
            yield connection


def claimed(connection: Connection, count: int = 1) -> None:
    connection.execute(
        "INSERT INTO notify.ent_notification (enterprise_id, recipients)"
        " SELECT %s, '{}' FROM generate_series(1, %s)",
        [uuid4(), count],
    )
    assert len(connection.execute("SELECT * FROM notify.claim(9, 60)").fetchall()) == count


def change(connection: Connection, changes: str) -> list[dict[str, Any]]:
    query = f"UPDATE notify.ent_notification SET {changes} RETURNING {COLUMNS}"
    return connection.execute(query.encode()).fetchall()


def test_is_timed_and_due_at_once_whoever_had_the_row(connection: Connection) -> None:
    claimed(connection, 3)
    for row in change(connection, "notification_status = 'RETRACTED'"):
        assert (row["just_now"], row["due"]) == (True, True)


def test_keeps_the_time_it_is_given(connection: Connection) -> None:
    claimed(connection)
    changes = "notification_status = 'RETRACTED', retracted_at = '2026-01-02T00:00Z'"
    (row,) = change(connection, changes)
    assert (row["retracted_at"].year, row["just_now"]) == (2026, False)
    (again,) = change(connection, "name = 'n', notification_status = 'RETRACTED'")
    assert again == row


def test_is_nothing_that_other_changes_are(connection: Connection) -> None:
    claimed(connection)
    for changes in ("name = 'n'", "notification_status = 'SENT'"):
        (row,) = change(connection, changes)
        assert row["retracted_at"] is None
        assert row["claimed_until"] is not None
