"""What each role may do near the schema `notify` of a plain Postgres, and nothing else."""

import json
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, NotNullViolation

from tests.integration.supabase_project import Project, project
from tests.security.catalog import OURS, PLAIN, SENDERS, calls, one_call
from tests.security.conftest import LOGINS, House
from xnovu.testing.contract.store_bench import ACME

__all__ = ["project"]

TABLES = """
SELECT relname::text AS it FROM pg_class
WHERE relnamespace = 'notify'::regnamespace AND relkind = 'r'"""
INSERT = "INSERT INTO notify.ent_notification (enterprise_id) VALUES (%s) RETURNING id"
RETRACT = (
    "UPDATE notify.ent_notification SET notification_status = 'RETRACTED', retraction_reason = 'x'"
)
THEIRS = ("22", "23", "42501", "55P03", "57014", "XN002")
"""What a function may answer to a value that is not meant: that it is the value's fault."""


def refused() -> Any:
    return pytest.raises(InsufficientPrivilege)


def test_no_function_is_everybodys_and_no_triggers_anybodys(house: House) -> None:
    functions = house.run(OURS)
    assert [it["signature"] for it in functions if "PUBLIC" in it["granted"]] == []
    assert [it["signature"] for it in functions if it["is_trigger"] and it["granted"]] == []


def test_stages_call_what_is_public_by_name_and_senders_what_inserts(house: House) -> None:
    for it in house.run(OURS):
        named = not it["name"].startswith("xnovu_") or it["name"] in PLAIN
        group = "xnovu_sender" if it["name"] in SENDERS else "xnovu_stage" if named else None
        assert it["granted"] == ([group] if group else []), it["signature"]


def test_who_works_as_the_owner_has_a_path_of_his_own(house: House) -> None:
    """What stages call, so that they need no table, and triggers that write elsewhere."""
    for it in house.run(OURS):
        for_stages = it["granted"] == ["xnovu_stage"] and it["name"] not in PLAIN
        assert it["definer"] == for_stages or it["is_trigger"], it["signature"]
        assert not it["definer"] or "search_path=pg_catalog, pg_temp" in it["settings"]


def test_supabases_service_key_may_call_the_same(project: Project) -> None:
    project.migrate()
    for it in project.run(OURS):
        users = it["name"] == "xnovu_enterprise"
        named = not it["name"].startswith("xnovu_") or it["name"] in SENDERS | PLAIN
        wanted = ["authenticated"] * users + ["service_role"] * (users or named)
        assert sorted(it["granted"]) == wanted, it["signature"]


@pytest.mark.parametrize("login", LOGINS)
def test_no_call_gives_what_is_not_granted(house: House, login: str) -> None:
    house.run(INSERT, ACME)
    with psycopg.connect(house.door(login), autocommit=True) as connection:
        connection.execute("SET statement_timeout = '5s'")
        for it in house.run(OURS):
            allowed = LOGINS[login] in it["granted"]
            for call in calls(it) if allowed else [one_call(it)]:
                state = _state_of(connection, call)
                if allowed:
                    assert state is None or state.startswith(THEIRS), (call, state)
                else:
                    never = ("0A000", "42804") if it["is_trigger"] else ()  # by no query
                    assert state in ("42501", *never), call


def _state_of(connection: psycopg.Connection[Any], call: str) -> str | None:
    try:
        connection.execute(call.encode())
    except psycopg.Error as error:
        return error.sqlstate
    return None


@pytest.mark.parametrize("login", LOGINS)
def test_no_table_is_read_or_written_but_a_senders(house: House, login: str) -> None:
    for table in (row["it"] for row in house.run(TABLES)):
        may_read = login == "sender" and table == "ent_notification"
        queries = [f"DELETE FROM notify.{table}", f"TRUNCATE notify.{table}"]
        queries += [f"BEGIN; LOCK TABLE notify.{table} IN ACCESS EXCLUSIVE MODE"]
        queries += [f"ALTER TABLE notify.{table} ADD x int", f"DROP TABLE notify.{table}"]
        queries += [f"ALTER TABLE notify.{table} DISABLE TRIGGER ALL"]
        queries += [f"CREATE POLICY p ON notify.{table} USING (true)"]
        queries += [f"COMMENT ON TABLE notify.{table} IS 'x'"]
        if not may_read:
            queries += [f"SELECT FROM notify.{table}", f"INSERT INTO notify.{table} DEFAULT VALUES"]
        for query in queries:
            with refused():
                house.by(login, query)


@pytest.mark.parametrize("login", LOGINS)
@pytest.mark.parametrize(
    "query",
    [
        "CREATE TABLE notify.mine ()",
        "CREATE FUNCTION notify.claim(int) RETURNS int LANGUAGE sql RETURN 1",
        "CREATE OR REPLACE FUNCTION notify.state() RETURNS jsonb LANGUAGE sql RETURN '{}'::jsonb",
        "ALTER FUNCTION notify.state() SECURITY INVOKER",
        "ALTER FUNCTION notify.state() RESET search_path",
        "ALTER FUNCTION notify.state() OWNER TO CURRENT_USER",
        "DROP FUNCTION notify.state()",
        "ALTER SCHEMA notify RENAME TO mine",
        "CREATE CAST (notify.ent_notification AS text) WITH INOUT",
        "CREATE CAST (notify.xnovu_sending AS jsonb) WITH INOUT",
        "ALTER TYPE notify.xnovu_pick ADD ATTRIBUTE x int",
        "CREATE TRIGGER x AFTER INSERT ON notify.ent_notification"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE RULE x AS ON INSERT TO notify.ent_notification DO NOTHING",
        "SET session_replication_role = replica",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "CREATE ROLE another IN ROLE xnovu_stage",
        "GRANT xnovu_stage TO stranger",
    ],
)
def test_nothing_of_the_schema_is_changed(fresh: House, login: str, query: str) -> None:
    with refused():
        fresh.by(login, query)


def test_a_sender_inserts_reads_and_takes_back(house: House) -> None:
    (plain,) = house.by("sender", INSERT, ACME)
    (queued,) = house.by(
        "sender",
        "SELECT notify.enqueue(%s) AS id",
        json.dumps(
            [{"enterprise_id": ACME, "payload": {"a": 1}, "notification_status": "PENDING"}]
        ),
    )
    found = house.by(
        "sender",
        "SELECT id, notification_status::text AS it FROM notify.ent_notification ORDER BY id",
    )
    assert found == [{"id": row["id"], "it": "PENDING"} for row in (plain, queued)]
    house.by("sender", f"{RETRACT} WHERE id = %s", plain["id"])
    (row,) = house.run("SELECT * FROM notify.ent_notification WHERE id = %s", plain["id"])
    assert (row["notification_status"], row["retraction_outcome"]) == ("RETRACTED", "stopped")
    assert row["retracted_at"] is not None
    (line,) = house.run("SELECT actor, login, role FROM notify.ent_notification_audit")
    assert line == {"actor": "sender", "login": "sender", "role": None}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("notification_status", "'SENT'"),
        ("notification_status", "'PROCESSING'"),
        ("notification_status", "'FAILED'"),
        ("notification_status", "'RETRACTED'"),
        ("notification_status", "NULL"),
        ("id", "1000000"),
        ("generation", "1"),
        ("claims", "1"),
        ("claimed_until", "'infinity'"),
        ("claim_token", "gen_random_uuid()"),
        ("transaction_id", "gen_random_uuid()"),
        ("processed_at", "now()"),
        ("error_details", "'{}'"),
        ("retracted_at", "now()"),
        ("armed_for", "now()"),
        ("created_at", "now()"),
        ("unpublished", "true"),
    ],
)
def test_a_sender_states_nothing_that_is_xnovus(house: House, column: str, value: str) -> None:
    house.by("sender", INSERT, ACME)
    house.run(
        "UPDATE notify.ent_notification"
        " SET notification_status = 'PROCESSING', claimed_until = 'infinity'"
    )
    for query in (
        f"INSERT INTO notify.ent_notification (enterprise_id, {column}) VALUES ('{ACME}', {value})",
        f"UPDATE notify.ent_notification SET {column} = {value}",
        "SELECT notify.enqueue(jsonb_build_array(jsonb_build_object("
        f"'enterprise_id', '{ACME}', '{column}', {value})))",
    ):
        if (column, value) == ("notification_status", "'RETRACTED'") and query.startswith("UPDATE"):
            continue
        if "PROCESSING" in value and query.startswith("UPDATE"):
            continue  # it is so already
        with pytest.raises((InsufficientPrivilege, NotNullViolation)):
            house.by("sender", query)
    (row,) = house.run("SELECT notification_status::text AS it FROM notify.ent_notification")
    assert row["it"] == "PROCESSING"


def test_a_sender_gives_a_reason_only_with_what_he_takes_back(fresh: House) -> None:
    fresh.by("sender", INSERT, ACME)
    reason = "UPDATE notify.ent_notification SET retraction_reason = 'a lie'"
    with pytest.raises(InsufficientPrivilege):
        fresh.by("sender", reason)
    fresh.by("sender", f"{reason}, notification_status = 'RETRACTED'")
    with pytest.raises(InsufficientPrivilege):
        fresh.by("sender", "UPDATE notify.ent_notification SET retraction_reason = 'another'")


def test_what_a_sender_took_back_stays_so(house: House) -> None:
    house.by("sender", INSERT, ACME)
    house.by("sender", RETRACT)
    for status in ("PENDING", "PROCESSING", "SENT", "FAILED"):
        with refused():
            house.by(
                "sender", f"UPDATE notify.ent_notification SET notification_status = '{status}'"
            )


def test_a_role_of_the_platforms_own_that_writes_no_status_is_let_be(fresh: House) -> None:
    fresh.run(INSERT, ACME)
    fresh.run("GRANT SELECT, UPDATE (name) ON notify.ent_notification TO stranger")
    fresh.by("stranger", "UPDATE notify.ent_notification SET name = 'n'")
    fresh.run("REVOKE ALL ON notify.ent_notification FROM stranger")
