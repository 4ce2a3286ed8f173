"""Migrations on an empty database, on one that has them, and on a platform's own tables."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.builders import recorded
from tests.contract.store_fixtures import PLATFORM
from xnovu.adapters.postgres import migrations as migrator
from xnovu.adapters.postgres.migrations import Step, migrate, plan
from xnovu.adapters.postgres.store import postgres_store
from xnovu.errors import ConfigurationError, Paused
from xnovu.events import Failure, Status, Workflow
from xnovu.sending import SendTimes
from xnovu.sql.schema import migrations
from xnovu.sql.store import SqlStore
from xnovu.store import Outcome

ACME = str(uuid4())
TABLES = [migration.name for migration in migrations()]
NAMES = [*TABLES, "functions"]
# Another platform: its own enum that knows less, in its own schema; enterprises named by texts.
ENUMS = """
CREATE SCHEMA platform;
CREATE SCHEMA notify;
CREATE TYPE platform.state AS ENUM ('PENDING', 'SENT', 'FAILED');
CREATE TYPE platform.channel AS ENUM ('EMAIL', 'FAX');
CREATE TABLE notify.ent_notification (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    enterprise_id text NOT NULL,
    notification_workflow_id varchar,
    payload jsonb,
    recipients uuid[] NOT NULL,
    channels platform.channel[],
    notification_status platform.state NOT NULL DEFAULT 'PENDING',
    transaction_id uuid NOT NULL DEFAULT gen_random_uuid(),
    created_at timestamptz NOT NULL DEFAULT now()
)"""
COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable, column_default
FROM information_schema.columns WHERE table_schema = 'notify'"""


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    with psycopg.connect(database, autocommit=True, row_factory=dict_row) as connection:
        yield connection


Connection = psycopg.Connection[dict[str, Any]]


def columns(connection: Connection) -> set[tuple[Any, ...]]:
    return {tuple(row.values()) for row in connection.execute(COLUMNS)}


def rows(connection: Connection) -> list[dict[str, Any]]:
    return connection.execute("SELECT * FROM notify.ent_notification ORDER BY id").fetchall()


def test_an_empty_database_gets_them_all_once(database: str) -> None:
    assert [step.applied_at for step in plan(database)] == [None] * len(NAMES)
    assert migrate(database) == NAMES
    assert all(step.applied_at for step in plan(database))
    assert list(migrate(database)) == []


def test_a_plan_changes_nothing(database: str, connection: Connection) -> None:
    plan(database)
    assert connection.execute("SELECT to_regnamespace('notify') AS it").fetchone() == {"it": None}


def test_two_runners_take_turns(database: str) -> None:
    with ThreadPoolExecutor() as threads:
        done = list(threads.map(migrate, [database] * 4))
    assert sorted(name for each in done for name in each) == sorted(NAMES)


def test_a_database_that_has_the_first_gets_the_rest(database: str, connection: Connection) -> None:
    migrate(database)
    connection.execute("DELETE FROM notify.xnovu_migration WHERE version > 1")
    assert migrate(database) == TABLES[1:]


def test_one_that_was_changed_afterwards_is_named(database: str, connection: Connection) -> None:
    migrate(database)
    connection.execute("UPDATE notify.xnovu_migration SET checksum = 'x' WHERE version = 2")
    for run in (plan, migrate):
        with pytest.raises(ConfigurationError, match=TABLES[1]):
            run(database)


def test_a_database_that_is_away_is_said_to_be(database: str) -> None:
    with pytest.raises(Paused):
        migrate(psycopg.conninfo.make_conninfo(database, dbname="nowhere"))


def test_a_platforms_tables_are_only_added_to(database: str, connection: Connection) -> None:
    connection.execute(PLATFORM)
    connection.execute(
        "INSERT INTO notify.ent_notification_workflow (workflow_key, enterprise_id, name)"
        " VALUES ('welcome', %s, 'Welcome')",
        [ACME],
    )
    connection.execute(
        "INSERT INTO notify.ent_notification (enterprise_id, notification_workflow_id, payload,"
        " recipients, notification_status) VALUES (%s, 1, '{\"a\": 1}', '{x,y}', 'SENT')",
        [ACME],
    )
    before, kept = columns(connection), rows(connection)
    migrate(database)
    assert columns(connection) > before
    (row,) = rows(connection)
    assert row | kept[0] == row
    assert (row["generation"], row["claims"]) == (0, 0)


async def test_a_platforms_own_enum_learns_the_missing_values(
    database: str, connection: Connection
) -> None:
    connection.execute(ENUMS)
    before = columns(connection)
    migrate(database)
    assert columns(connection) > before
    store = postgres_store(database)
    await store.open()
    try:
        await lives_its_life(store, connection)
    finally:
        await store.close()


async def lives_its_life(store: SqlStore, connection: Connection) -> None:
    row = {"enterprise_id": "acme", "notification_workflow_id": "w", "recipients": [str(uuid4())]}
    await store.insert([{**row, "channels": ["FAX"]}, row, row])
    connection.execute(
        "INSERT INTO notify.ent_notification_workflow (enterprise_id, workflow_key)"
        " VALUES ('acme', 'w'), ('globex', 'w')"
    )
    keys = [claim.captured.key for claim in await store.claim(9, 60.0)]
    loaded = await store.load(keys)
    assert loaded[keys[0]].workflow == Workflow(workflow_key="w", enterprise_id="acme")
    assert loaded[keys[0]].notification.channels == ("FAX",)
    assert set((await store.begin_send(keys, SendTimes())).verdicts) == set(keys)
    failure = Failure.model_validate(
        {"code": "c", "stage": "s", "message": "m", "attempts": 1, "at": "2026-01-01T00:00:00Z"}
    )
    assert list(await store.retract(keys[:1], "a mistake")) == keys[:1]
    events = await recorded(store, [Outcome(keys[0]), Outcome(keys[1]), Outcome(keys[2], failure)])
    assert {event.status for event in events} == {Status.SENT, Status.FAILED}
    old = loaded[keys[2]].notification.transaction_id
    await store.redrive(keys[2:])
    (again,) = await store.claim(9, 60.0)
    assert again.captured.transaction_id != old
    states = [str(row["notification_status"]) for row in rows(connection)]
    assert states == ["RETRACTED", "SENT", "PROCESSING"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("ALTER recipients TYPE jsonb USING '[]'", r"recipients is of type jsonb.*TYPE uuid\[\]"),
        ("ALTER payload TYPE text", "payload is of type text.*jsonb"),
        ("ALTER created_at TYPE timestamp", "created_at is of type timestamp without.*timestamptz"),
        ("ALTER transaction_id TYPE bytea USING NULL", "transaction_id is of type bytea"),
        ("ALTER id TYPE text", "id is of type text"),
        ("ADD scheduled_for date", "scheduled_for is of type date"),
        ("DROP enterprise_id", "has no column enterprise_id.*Add it"),
        ("DROP notification_status", "has no column notification_status"),
        (
            "ADD CONSTRAINT few CHECK (notification_status::text IN ('PENDING', 'SENT'))",
            "constraint few .*PROCESSING",
        ),
    ],
)
def test_what_it_cannot_work_with_is_named_with_the_way_out(
    database: str, connection: Connection, change: str, complaint: str
) -> None:
    connection.execute(ENUMS)
    if change.startswith("ALTER id"):
        connection.execute("ALTER TABLE notify.ent_notification ALTER id DROP IDENTITY")
    if "created_at" in change or "transaction_id" in change:
        named = "created_at" if "created_at" in change else "transaction_id"
        connection.execute(f"ALTER TABLE notify.ent_notification ALTER {named} DROP DEFAULT")
    connection.execute(f"ALTER TABLE notify.ent_notification {change}")
    before = columns(connection)
    with pytest.raises(ConfigurationError, match=complaint):
        migrate(database)
    assert columns(connection) == before


@pytest.mark.parametrize(("own", "left"), [("DEFAULT 5", "5"), ("", None)])
def test_a_default_priority_of_the_platforms_own_stays(
    database: str, connection: Connection, own: str, left: str | None
) -> None:
    connection.execute(PLATFORM)
    connection.execute(f"ALTER TABLE notify.ent_notification ADD priority smallint NOT NULL {own}")
    migrate(database)
    found = connection.execute(
        "SELECT column_default, is_nullable FROM information_schema.columns"
        " WHERE table_name = 'ent_notification' AND column_name = 'priority'"
    ).fetchone()
    assert found == {"column_default": left, "is_nullable": "NO"}


def test_a_priority_that_is_no_number_is_named(database: str, connection: Connection) -> None:
    connection.execute(PLATFORM)
    connection.execute("ALTER TABLE notify.ent_notification ADD priority text")
    with pytest.raises(ConfigurationError, match="priority is of type text"):
        migrate(database)


def test_workflows_that_cannot_be_referred_to_are_named(
    database: str, connection: Connection
) -> None:
    connection.execute(PLATFORM)
    connection.execute("ALTER TABLE notify.ent_notification_workflow DROP id CASCADE")
    with pytest.raises(ConfigurationError, match="refers to an id"):
        migrate(database)


def test_enterprises_of_two_types_are_refused(database: str, connection: Connection) -> None:
    connection.execute(PLATFORM)
    connection.execute("ALTER TABLE notify.ent_notification_workflow ALTER enterprise_id TYPE text")
    with pytest.raises(ConfigurationError, match=r"enterprise_id is uuid.*one type"):
        migrate(database)


PUBLISHED = (
    "SELECT pubinsert, pubupdate, pubdelete FROM pg_publication WHERE pubname = 'xnovu_wake'"
)


def test_publishes_the_notifications(database: str, connection: Connection) -> None:
    migrate(database)
    published = {"pubinsert": True, "pubupdate": True, "pubdelete": False}
    assert connection.execute(PUBLISHED).fetchone() == published
    tables = connection.execute("SELECT schemaname, tablename FROM pg_publication_tables")
    assert tables.fetchall() == [{"schemaname": "notify", "tablename": "ent_notification"}]


@pytest.mark.parametrize(
    ("identity", "updates"), [("DEFAULT", False), ("FULL", True), ("NOTHING", False)]
)
def test_a_table_whose_rows_have_no_key_can_still_be_updated(
    database: str, connection: Connection, identity: str, updates: bool
) -> None:
    connection.execute(ENUMS)
    connection.execute("ALTER TABLE notify.ent_notification DROP CONSTRAINT ent_notification_pkey")
    connection.execute(f"ALTER TABLE notify.ent_notification REPLICA IDENTITY {identity}")
    migrate(database)
    published = connection.execute(PUBLISHED).fetchone()
    assert published == {"pubinsert": True, "pubupdate": updates, "pubdelete": False}
    connection.execute(
        "INSERT INTO notify.ent_notification (enterprise_id, recipients) VALUES ('acme', '{}')"
    )
    connection.execute("UPDATE notify.ent_notification SET notification_status = 'SENT'")


def test_who_may_not_publish_does_without(database: str, connection: Connection) -> None:
    role = f"owner_{uuid4().hex}"
    connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'owner'")
    connection.execute(f"CREATE SCHEMA notify AUTHORIZATION {role}")
    migrate(psycopg.conninfo.make_conninfo(database, user=role, password="owner"))
    assert connection.execute(PUBLISHED).fetchone() is None
    assert list(migrate(database)) == []
    connection.execute(f"DROP OWNED BY {role} CASCADE")
    connection.execute(f"DROP ROLE {role}")


def test_a_circle_of_locks_with_a_stage_at_work_is_tried_again(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance, ended = migrator._advance, [psycopg.errors.DeadlockDetected(), None, None]

    def ends_once(connection: Connection) -> Step | None:
        if ended and (circle := ended.pop(0)):
            raise circle
        return advance(connection)

    monkeypatch.setattr(migrator, "_advance", ends_once)
    assert migrate(database) == NAMES


def test_circles_of_locks_without_end_are_told(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def circle(_: Connection) -> None:
        raise psycopg.errors.DeadlockDetected

    monkeypatch.setattr(migrator, "_advance", circle)
    with pytest.raises(Paused):
        migrate(database)
