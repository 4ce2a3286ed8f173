"""The audit: a line for every transition, whoever made it, and no line is ever changed."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

ACME = str(uuid4())
TRAIL = """
SELECT notification_id AS id, from_status, to_status, actor, details
FROM notify.ent_notification_audit AS audit ORDER BY audit.id"""
Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture
def connection(migrated: str) -> Iterator[Connection]:
    with psycopg.connect(migrated, autocommit=True, row_factory=dict_row) as connection:
        connection.execute(b"ALTER TABLE notify.ent_notification ALTER generation SET DEFAULT 0")
        yield connection


def insert(connection: Connection, count: int = 1) -> None:
    query = (
        "INSERT INTO notify.ent_notification (enterprise_id, payload)"
        " SELECT %s, '{\"secret\": 1}' FROM generate_series(1, %s)"
    )
    connection.execute(query, [ACME, count])


def change(connection: Connection, **columns: Any) -> None:
    changes = ", ".join(f"{name} = %s" for name in columns)
    query = f"UPDATE notify.ent_notification SET {changes}"
    connection.execute(query.encode(), list(columns.values()))


def trail(connection: Connection) -> list[dict[str, Any]]:
    return connection.execute(TRAIL).fetchall()


def test_tells_what_a_platforms_own_statement_did(connection: Connection) -> None:
    insert(connection, 3)
    change(connection, notification_status="FAILED", error_details='{"code": "theirs"}')
    change(connection, notification_status="RETRACTED", retraction_reason="a mistake")
    (who,) = (connection.execute("SELECT session_user AS it").fetchone() or {}).values()
    failed, retracted = trail(connection)[:3], trail(connection)[3:]
    assert [line["id"] for line in failed] == [1, 2, 3]
    assert {(line["from_status"], line["to_status"], line["actor"]) for line in failed} == {
        ("PENDING", "FAILED", who)
    }
    assert all(line["details"] == {"code": "theirs"} for line in failed)
    assert all(line["details"] == {"reason": "a mistake"} for line in retracted)
    assert "secret" not in str(trail(connection))


def test_names_whom_the_session_says_it_acts_for(connection: Connection) -> None:
    insert(connection)
    connection.execute("SET xnovu.actor = 'an operator'")
    change(connection, notification_status="FAILED")
    connection.execute(
        "SELECT * FROM notify.redrive(jsonb_build_array(jsonb_build_object("
        "'id', 1, 'enterprise_id', %s::text, 'generation', 0)))",
        [ACME],
    )
    connection.execute("SELECT * FROM notify.claim(1, 60)")
    change(connection, notification_status="SENT")
    actors = [line["actor"] for line in trail(connection)]
    assert actors == ["an operator", "an operator", "ingest", "an operator"]


def test_tells_nothing_of_other_changes(connection: Connection) -> None:
    insert(connection)
    change(connection, name="another", notification_status="PENDING")
    assert trail(connection) == []


def test_of_a_large_change_is_made_in_one_pass(connection: Connection) -> None:
    """Even with a plan that was made for one row."""
    insert(connection)
    change(connection, notification_status="SENT")
    insert(connection, 20_000)
    connection.execute("SET statement_timeout = '20s'")
    change(connection, notification_status="RETRACTED")
    assert len(trail(connection)) == 1 + 20_001


def test_needs_no_rights_of_who_changes_a_row(connection: Connection) -> None:
    insert(connection)
    # A server that has met Supabase has row-level security on: here it is about rights alone.
    connection.execute("CREATE ROLE xnovu_platform BYPASSRLS")
    connection.execute("GRANT USAGE ON SCHEMA notify TO xnovu_platform")
    connection.execute("GRANT SELECT, UPDATE ON notify.ent_notification TO xnovu_platform")
    try:
        connection.execute("SET ROLE xnovu_platform")
        change(connection, notification_status="SENT")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            trail(connection)
        connection.execute("RESET ROLE")
        assert [line["actor"] for line in trail(connection)] == ["xnovu_platform"]
    finally:
        connection.execute("RESET ROLE; DROP OWNED BY xnovu_platform; DROP ROLE xnovu_platform")


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE notify.ent_notification_audit SET actor = 'nobody'",
        "DELETE FROM notify.ent_notification_audit",
        "TRUNCATE notify.ent_notification_audit",
    ],
)
def test_is_append_only(connection: Connection, tampering: str) -> None:
    insert(connection)
    change(connection, notification_status="SENT")
    with pytest.raises(psycopg.Error, match="append-only"):
        connection.execute(tampering.encode())
    assert len(trail(connection)) == 1


def test_outlives_the_row(connection: Connection) -> None:
    insert(connection)
    change(connection, notification_status="SENT")
    connection.execute("DELETE FROM notify.ent_notification")
    assert len(trail(connection)) == 1


def test_a_claim_and_an_outcome_are_audited_row_by_row_and_not_each_with_all(
    connection: Connection,
) -> None:
    plans: list[str] = []
    connection.add_notice_handler(lambda notice: plans.append(notice.message_primary or ""))
    for setting in ("log_min_duration = 0", "log_nested_statements = on"):
        connection.execute(f"LOAD 'auto_explain'; SET auto_explain.{setting}".encode())
    connection.execute("SET client_min_messages = log")
    insert(connection, 300)
    claimed = connection.execute("SELECT * FROM notify.claim(300, 60)").fetchall()
    keys = [{name: str(row[name]) for name in ("id", "enterprise_id", "claims")} for row in claimed]
    outcomes = json.dumps([{**key, "generation": 0} for key in keys])
    connection.execute("SELECT * FROM notify.record(%s)", [outcomes])
    audits = [plan for plan in plans if "INSERT INTO notify.ent_notification_audit" in plan]
    assert len(audits) == 2
    assert all("Hash Join" in plan and "Nested Loop" not in plan for plan in audits)
    ends = [line["to_status"] for line in trail(connection)]
    assert ends == ["PROCESSING"] * 300 + ["SENT"] * 300
