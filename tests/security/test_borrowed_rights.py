"""
A temp table with a trigger of XNovu's and casts of one's own, which would run as the owner.

Nobody may make such a trigger; and who has been granted the function is refused by itself.
"""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from tests.security.catalog import OURS
from tests.security.conftest import LOGINS, House
from xnovu.testing.contract.store_bench import ACME

LOOT = "SELECT who FROM loot"
# Whoever runs the cast is written down. Temporary types have no owner but who is attacking.
TRAP = """
CREATE TEMP TABLE loot (who text);
GRANT ALL ON loot TO PUBLIC;
CREATE TYPE pg_temp.trap AS (x int);
CREATE FUNCTION pg_temp.spring(int) RETURNS pg_temp.trap LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO loot VALUES (current_user);
    RETURN NULL;
END $$;
CREATE CAST (int AS pg_temp.trap) WITH FUNCTION pg_temp.spring(int) AS ASSIGNMENT;
CREATE FUNCTION pg_temp.spring_at(timestamptz) RETURNS pg_temp.trap LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO loot VALUES (current_user);
    RETURN NULL;
END $$;
CREATE CAST (timestamptz AS pg_temp.trap)
    WITH FUNCTION pg_temp.spring_at(timestamptz) AS ASSIGNMENT;
CREATE TEMP TABLE bait (
    id bigint, notification_id bigint, enterprise_id text, notification_workflow_id text,
    priority pg_temp.trap, notification_status text, generation int DEFAULT 7,
    claims int DEFAULT 1, claimed_until pg_temp.trap, retracted_at pg_temp.trap,
    claim_token uuid, retraction_outcome text, retraction_reason text, unpublished boolean,
    publish_status text, deactivated boolean, error_details jsonb,
    scheduled_for timestamptz, processed_at timestamptz);
INSERT INTO bait (id, enterprise_id, notification_status) VALUES (1, 'acme', 'PENDING');
"""
TRANSITION = {
    "INSERT": "REFERENCING NEW TABLE AS new_rows",
    "UPDATE": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "DELETE": "REFERENCING OLD TABLE AS old_rows",
    "TRUNCATE": "",
}
FIRING = {
    "INSERT": "INSERT INTO bait (id, notification_status) VALUES (2, 'SENT')",
    "UPDATE": "UPDATE bait SET notification_status = 'RETRACTED', generation = 8",
    "DELETE": "DELETE FROM bait",
    "TRUNCATE": "TRUNCATE bait",
}
FORGED = "SELECT count(*) AS it FROM notify.ent_notification_audit"


def traps() -> Iterator[tuple[str, str]]:
    """How a trigger can be made, and what fires it; with a place for the function."""
    for event, query in FIRING.items():
        if event != "TRUNCATE":
            yield (
                f"CREATE TRIGGER t BEFORE {event} ON bait FOR EACH ROW EXECUTE FUNCTION {{}}",
                query,
            )
        after = f"CREATE TRIGGER t AFTER {event} ON bait {TRANSITION[event]} FOR EACH STATEMENT"
        yield f"{after} EXECUTE FUNCTION {{}}", query


def triggers(house: House) -> list[str]:
    return [it["signature"] for it in house.run(OURS) if it["is_trigger"]]


@pytest.fixture
def attacker(house: House, login: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(house.door(login), autocommit=True) as connection:
        connection.execute(TRAP.encode())
        connection.execute("SET search_path = pg_temp, public, pg_catalog")
        yield connection


@pytest.mark.parametrize("login", LOGINS)
def test_nobody_hangs_our_triggers_on_a_table_of_his(
    house: House, attacker: psycopg.Connection[Any]
) -> None:
    for function in triggers(house):
        for making, _ in traps():
            with pytest.raises(InsufficientPrivilege, match="permission denied for function"):
                attacker.execute(making.format(function).encode())


@pytest.mark.parametrize("login", LOGINS)
def test_nor_do_they_run_there_for_who_was_granted_them(
    house: House, attacker: psycopg.Connection[Any], login: str
) -> None:
    house.run(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA notify TO {login}")
    before = house.run(FORGED)
    for function in triggers(house):
        for making, firing in traps():
            with attacker.transaction(force_rollback=True):
                attacker.execute(making.format(function).encode())
                with pytest.raises(InsufficientPrivilege, match="not a trigger of this table"):
                    attacker.execute(firing.encode())
    assert attacker.execute(LOOT).fetchall() == []
    assert house.run(FORGED) == before


@pytest.mark.parametrize("login", LOGINS)
def test_a_name_of_ones_own_never_stands_for_another(
    house: House, attacker: psycopg.Connection[Any], login: str
) -> None:
    """Functions, operators, tables and types in the temporary schema, first in the path."""
    attacker.execute(b"""
        CREATE FUNCTION pg_temp.now() RETURNS timestamptz LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO pg_temp.loot VALUES (current_user); RETURN clock_timestamp(); END $$;
        CREATE FUNCTION pg_temp.same(jsonb, text) RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO pg_temp.loot VALUES (current_user); RETURN true; END $$;
        CREATE OPERATOR pg_temp.<> (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = pg_temp.same);
        CREATE OPERATOR pg_temp.? (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = pg_temp.same);
        CREATE TEMP TABLE xnovu_sending (LIKE bait); CREATE TEMP TABLE ent_notification (LIKE bait);
        CREATE TEMP TABLE pg_attribute (attname text); CREATE TEMP TABLE pg_locks (locktype text);
        CREATE FUNCTION pg_temp.set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO pg_temp.loot VALUES (current_user); RETURN ''; END $$""")
    if login == "sender":
        attacker.execute("INSERT INTO notify.ent_notification (enterprise_id) VALUES (%s)", [ACME])
        attacker.execute("UPDATE notify.ent_notification SET notification_status = 'RETRACTED'")
        attacker.execute("SELECT notify.enqueue(%s)", [f'[{{"enterprise_id": "{ACME}"}}]'])
    if login == "stage":
        house.run("INSERT INTO notify.ent_notification (enterprise_id) VALUES (%s)", ACME)
        attacker.execute("SELECT notify.claim(9, 60, gen_random_uuid())")
        attacker.execute("SELECT notify.waiting(1), notify.history(1), notify.next_due()")
        attacker.execute("SELECT notify.retract('[{\"id\": 1}]'), notify.failed(9), notify.aside()")
    assert attacker.execute(LOOT).fetchall() == []


@pytest.mark.parametrize("login", LOGINS)
def test_no_row_is_blocked_by_who_sends_nothing(house: House, login: str) -> None:
    """A forged send record would keep a row from being sent, for as long as it says."""
    house.run("INSERT INTO notify.ent_notification (enterprise_id) VALUES (%s)", ACME)
    key = f'[{{"id": 1, "enterprise_id": "{ACME}", "generation": 0}}]'
    with pytest.raises(InsufficientPrivilege):
        house.by(login, "SELECT notify.xnovu_take_up(%s, 1e9, '[]')", key)
    assert house.run("SELECT FROM notify.xnovu_sending") == []


def test_the_audit_says_who_it_was_beside_who_it_says_it_was(fresh: House) -> None:
    row = "INSERT INTO notify.ent_notification (enterprise_id) VALUES (%s)"
    fresh.by("sender", row, ACME)
    with psycopg.connect(fresh.door("sender"), autocommit=True) as connection:
        connection.execute("SET xnovu.actor = 'somebody'")
        connection.execute("UPDATE notify.ent_notification SET notification_status = 'RETRACTED'")
    with psycopg.connect(fresh.door("stage"), autocommit=True) as connection:
        connection.execute("SET ROLE xnovu_stage")
        connection.execute("SELECT notify.note_operation('nobody', 'a test', 0, '{}')")
    lines = fresh.run("SELECT actor, login, role FROM notify.ent_notification_audit ORDER BY id")
    assert lines == [
        {"actor": "somebody", "login": "sender", "role": None},
        {"actor": "nobody", "login": "stage", "role": "xnovu_stage"},
    ]
