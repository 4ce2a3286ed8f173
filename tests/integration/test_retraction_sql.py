"""Retraction in the database itself: whoever does it, however many rows there are."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.builders import recorded
from tests.contract.store_fixtures import PLATFORM
from tests.integration.test_claims import FEW_PAGES, pages
from xnovu.adapters.postgres.migrations import migrate
from xnovu.adapters.postgres.store import postgres_store
from xnovu.events import Key, Retraction, Status
from xnovu.retraction import Retracted
from xnovu.sending import SendTimes
from xnovu.sql.store import SqlStore
from xnovu.store import Outcome

ACME = str(uuid4())
LONG = 600.0
TIMES = SendTimes(LONG, LONG)
Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture(params=["own", "platform"])
def dsn(request: pytest.FixtureRequest, database: str) -> str:
    if request.param == "platform":
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(PLATFORM)
    migrate(database)
    return database


@pytest.fixture
def sql(dsn: str) -> Iterator[Connection]:
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@pytest.fixture
async def store(dsn: str) -> AsyncIterator[SqlStore]:
    store = postgres_store(dsn)
    await store.open()
    yield store
    await store.close()


def change(sql: Connection, **columns: Any) -> dict[str, Any]:
    """What a platform's own statement does to every row; the first of them afterwards."""
    changes = ", ".join(f"{name} = %s" for name in columns)
    sql.execute(f"UPDATE notify.ent_notification SET {changes}".encode(), list(columns.values()))
    return sql.execute("SELECT * FROM notify.ent_notification ORDER BY id").fetchall()[0]


async def standing(store: SqlStore, key: Key) -> Retracted:
    return (await store.begin_retraction([key], TIMES))[key]


async def test_a_platforms_own_statement_is_a_retraction(sql: Connection, store: SqlStore) -> None:
    await store.insert([{"enterprise_id": ACME}])
    (claim,) = await store.claim(1, LONG)
    row = change(sql, notification_status="RETRACTED", retraction_reason="a mistake")
    assert row["retracted_at"]
    assert row["retraction_outcome"] is None
    (event,) = await store.claim_retractions(9, LONG)
    assert event.transaction_id == claim.captured.transaction_id
    stands = await standing(store, event.key)
    assert stands.previous is Status.PROCESSING


async def test_what_it_says_about_the_time_is_kept_and_not_believed(
    sql: Connection, store: SqlStore
) -> None:
    """Many a platform writes local time, hours away from the database's."""
    await store.insert([{"enterprise_id": ACME}])
    [claim] = await store.claim(1, LONG)
    await store.begin_send([claim.captured.key], TIMES)
    row = change(sql, notification_status="RETRACTED", retracted_at="2020-01-01T00:00:00Z")
    assert row["retracted_at"].year == 2020
    (event,) = await store.claim_retractions(9, LONG)
    assert (await standing(store, event.key)).seconds > 0
    (told,) = await store.record_retractions({event.key: Retraction.STOPPED})
    assert told.at.year > 2020


async def test_a_row_that_was_never_ours_to_send_is_not_said_to_be_stopped(
    sql: Connection, store: SqlStore
) -> None:
    """Some other sender has sent it, before XNovu came."""
    await store.insert([{"enterprise_id": ACME, "notification_status": "SENT"}])
    assert change(sql, notification_status="RETRACTED")["retraction_outcome"] is None
    (event,) = await store.claim_retractions(9, LONG)
    assert (await standing(store, event.key)).previous is Status.SENT


async def test_what_was_retracted_before_this_version_is_not_begun_anew(
    sql: Connection, store: SqlStore
) -> None:
    await store.insert([{"enterprise_id": ACME, "notification_status": "RETRACTED"}])
    assert list(await store.claim_retractions(9, LONG)) == []
    change(sql, retraction_reason="told later")
    assert list(await store.claim_retractions(9, LONG)) == []


async def test_it_counts_from_when_the_row_was_last_in_hand(
    sql: Connection, store: SqlStore
) -> None:
    """Nobody waits for a notification to show that was sent an hour ago."""
    await store.insert([{"enterprise_id": ACME}] * 2)
    sent, in_hand = [claim.captured.key for claim in await store.claim(2, LONG)]
    await store.begin_send([in_hand], TIMES)
    await recorded(store, [Outcome(sent)])
    age = "ALTER TABLE notify.ent_notification_audit DISABLE TRIGGER xnovu_append_only"
    sql.execute(age.encode())
    sql.execute("UPDATE notify.ent_notification_audit SET at = at - interval '1 hour'")
    change(sql, notification_status="RETRACTED")
    events = await store.claim_retractions(9, LONG)
    seconds = {e.notification_id: (await standing(store, e.key)).seconds for e in events}
    assert seconds[sent.notification_id] == 0
    assert LONG < seconds[in_hand.notification_id] <= 2 * LONG


async def test_without_the_trail_the_worst_is_assumed(sql: Connection, store: SqlStore) -> None:
    await store.insert([{"enterprise_id": ACME}])
    [claim] = await store.claim(1, LONG)
    await store.begin_send([claim.captured.key], TIMES)
    change(sql, notification_status="RETRACTED")
    sql.execute(
        "ALTER TABLE notify.ent_notification_audit DISABLE TRIGGER xnovu_append_only;"
        "DELETE FROM notify.ent_notification_audit"
    )
    (event,) = await store.claim_retractions(9, LONG)
    stands = await standing(store, event.key)
    assert stands.previous is Status.PROCESSING
    assert stands.seconds > 0
    (told,) = await store.record_retractions({event.key: Retraction.STOPPED})
    assert told.previous is Status.PROCESSING


async def test_a_row_of_no_enterprise_is_nobodys_to_retract(sql: Connection) -> None:
    sql.execute("ALTER TABLE notify.ent_notification ALTER COLUMN enterprise_id DROP NOT NULL")
    sql.execute("INSERT INTO notify.ent_notification (enterprise_id) VALUES (NULL)")
    assert change(sql, notification_status="RETRACTED")["claimed_until"] is None


MANY = """
INSERT INTO notify.ent_notification (enterprise_id, notification_status, claimed_until)
SELECT %s, %s, %s::timestamptz FROM generate_series(1, %s)"""
CROWDS = {
    "told": ("RETRACTED", None),
    "claimed": ("RETRACTED", "2999-01-01"),
    "sent": ("SENT", None),
    "processing": ("PROCESSING", "2020-01-01"),
}


@pytest.mark.parametrize("crowd", CROWDS)
def test_claiming_retractions_is_as_cheap_in_a_crowd(database: str, crowd: str) -> None:
    migrate(database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(MANY, [ACME, *CROWDS[crowd], 20_000])
        connection.execute(MANY, [ACME, "RETRACTED", "2020-01-01", 11])
        claim = "SELECT * FROM notify.claim_retractions(%s, 600, gen_random_uuid())"
        connection.execute((claim % 1).encode())  # to warm up
        assert pages(connection, claim % 10, rows=10) < 2 * FEW_PAGES
        assert pages(connection, claim % 10, rows=0) < FEW_PAGES


@pytest.mark.parametrize(
    ("function", "more"), [("begin_retraction", ", 30, 120"), ("record_retractions", "")]
)
def test_rows_in_hand_are_reached_by_id(database: str, function: str, more: str) -> None:
    migrate(database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("ALTER TABLE notify.ent_notification SET (autovacuum_enabled = off)")
        key = [{"id": 1, "enterprise_id": ACME, "generation": 0, "claims": 0, "outcome": "partly"}]
        call = f"SELECT * FROM notify.{function}('{json.dumps(key)}'{more})"
        for _ in range(10):
            connection.execute(call.encode())
        connection.execute(MANY, [ACME, "PENDING", None, 20_000])
        connection.execute("UPDATE notify.ent_notification SET notification_status = 'RETRACTED'")
        connection.execute(call.encode())  # to warm up
        assert pages(connection, call) < 100
