"""What each of Supabase's roles may do with the tables, and that it may do nothing else."""

import json
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.errors import GeneratedAlways, InsufficientPrivilege

from tests.contract.store_fixtures import PLATFORM
from tests.integration.supabase_project import ACME, GLOBEX, Project, inserting, project
from tests.integration.test_migrations import ENUMS
from xnovu.adapters.postgres.wakeups import NotifyWakeUps
from xnovu.sql.schema import migrations

__all__ = ["project"]

ROLES = ("anon", "authenticated")
TABLES = ("ent_notification", "ent_notification_workflow", "ent_notification_audit")
IDS = "SELECT id FROM notify.ent_notification ORDER BY id"
RETRACT = (
    "UPDATE notify.ent_notification SET notification_status = 'RETRACTED', retraction_reason = %s"
    " WHERE id = %s RETURNING id"
)
REGISTER = (
    "INSERT INTO notify.ent_notification_workflow (workflow_key, enterprise_id, name)"
    " VALUES ('w', %s, 'w')"
)
ALWAYS_NUMBERED = (
    "SELECT 1 FROM pg_attribute WHERE attrelid = 'notify.ent_notification'::regclass"
    " AND attidentity = 'a'"
)
# Who is nobody's user, by their token.
STRANGERS: dict[str, dict[str, Any] | None] = {
    "no claim": None,
    "a claim users write themselves": {"user_metadata": {"enterprise_id": ACME}},
    "an empty claim": {"enterprise_id": "", "app_metadata": {}},
    "no id": {"enterprise_id": "acme'; --"},
    "a list": {"enterprise_id": [ACME], "app_metadata": [ACME]},
    "null": {"enterprise_id": None, "app_metadata": None},
    "another": {"enterprise_id": str(uuid4())},
    "another, and a forged one": {
        "app_metadata": {"enterprise_id": GLOBEX},
        "user_metadata": {"enterprise_id": ACME},
    },
}


@pytest.fixture(
    params=["", PLATFORM, pytest.param(ENUMS, marks=pytest.mark.exhaustive)],
    ids=["fresh", "platform", "enums"],
)
def tables(request: pytest.FixtureRequest, project: Project) -> Project:
    """Migrated: new tables, and two kinds that a platform had before."""
    if request.param:
        project.run(request.param)
    project.migrate()
    return project


@pytest.fixture
def fresh(project: Project) -> Project:
    project.migrate()
    return project


def refused() -> Any:
    return pytest.raises((InsufficientPrivilege, GeneratedAlways))


def mine(**columns: Any) -> dict[str, Any]:
    return {"enterprise_id": ACME, "recipients": [str(uuid4())], **columns}


def test_users_read_what_is_their_enterprises(tables: Project) -> None:
    for enterprise in (ACME, GLOBEX):
        tables.insert(enterprise)
        tables.run(REGISTER, enterprise)
        tables.run("UPDATE notify.ent_notification SET notification_status = 'SENT'")
    for table in TABLES:
        query = f"SELECT DISTINCT enterprise_id::text AS it FROM notify.{table}"
        assert tables.user(ACME, query) == [{"it": ACME}]
        assert tables.user(GLOBEX, query) == [{"it": GLOBEX}]


def test_the_claim_may_stand_where_supabase_auth_puts_it(fresh: Project) -> None:
    row = fresh.insert()
    claims = {"app_metadata": {"enterprise_id": ACME}, "user_metadata": {"enterprise_id": GLOBEX}}
    assert fresh.call("authenticated", claims, IDS) == [{"id": row}]
    hook = {"enterprise_id": GLOBEX, "app_metadata": {"enterprise_id": ACME}}
    assert fresh.call("authenticated", hook, IDS) == []


@pytest.mark.parametrize("stranger", STRANGERS)
def test_whoever_has_no_such_claim_reaches_nothing(tables: Project, stranger: str) -> None:
    claims, row = STRANGERS[stranger], tables.insert()
    tables.run(REGISTER, ACME)
    tables.run("UPDATE notify.ent_notification SET notification_status = 'SENT'")
    for table in TABLES:
        assert tables.call("authenticated", claims, f"SELECT id FROM notify.{table}") == []
    assert tables.call("authenticated", claims, RETRACT, "x", row) == []
    with refused():
        tables.call("authenticated", claims, inserting(mine()), *mine().values())


def test_a_request_without_any_token_reaches_nothing(fresh: Project) -> None:
    fresh.insert()
    with psycopg.connect(fresh.superuser) as connection:
        connection.execute("SET ROLE authenticated")
        for claims in (None, "", "no json"):
            connection.execute("SELECT set_config('request.jwt.claims', %s, true)", [claims])
            assert connection.execute(IDS.encode()).fetchall() == []


def test_the_claim_is_read_once_a_statement(fresh: Project) -> None:
    plan = fresh.user(ACME, "EXPLAIN SELECT * FROM notify.ent_notification")
    assert any("InitPlan" in line["QUERY PLAN"] for line in plan)


def test_users_insert_what_is_their_enterprises(tables: Project) -> None:
    given = mine(payload='{"a": 1}', tags=["vip"], overrides="{}", priority=2, name="n")
    given |= {"scheduled_for": "2030-01-01T00:00Z", "expires_at": "2030-01-02T00:00Z"}
    given |= {"workflow_version": "3", "notification_status": "PENDING"}
    (stored,) = tables.user(
        ACME, inserting(given, "id, notification_status::text AS it"), *given.values()
    )
    assert stored["it"] == "PENDING"
    row = tables.row(stored["id"])
    assert (str(row["enterprise_id"]), row["priority"], row["claims"]) == (ACME, 2, 0)
    with refused():
        tables.user(GLOBEX, inserting(given), *given.values())


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("notification_status", "SENT"),
        ("notification_status", "PROCESSING"),
        ("id", 1_000_000),
        ("transaction_id", "5a0e0d5e-7a3c-4b5e-8a51-0f6f8d3c2b11"),
        ("generation", 1),
        ("claims", 1),
        ("claimed_until", "infinity"),
        ("claim_token", "5a0e0d5e-7a3c-4b5e-8a51-0f6f8d3c2b12"),
        ("processed_at", "2026-01-01"),
        ("error_details", "{}"),
        ("retracted_at", "2026-01-01"),
        ("retraction_reason", "x"),
        ("created_at", "2020-01-01"),
        ("armed_for", "2020-01-01"),
    ],
)
def test_users_may_not_insert_what_is_xnovus(tables: Project, column: str, value: Any) -> None:
    given = mine(**{column: value})
    with refused():
        tables.user(ACME, inserting(given), *given.values())
    assert tables.run(IDS) == []


@pytest.mark.parametrize("status", ["PENDING", "PROCESSING", "SENT", "FAILED"])
def test_users_take_back(tables: Project, status: str) -> None:
    row = tables.insert(notification_status=status, claimed_until="infinity")
    assert tables.user(GLOBEX, RETRACT, "not mine", row) == []
    assert tables.user(ACME, RETRACT, "a mistake", row) == [{"id": row}]
    stored = tables.row(row)
    assert (stored["notification_status"], stored["retraction_reason"]) == (
        "RETRACTED",
        "a mistake",
    )
    assert stored["retracted_at"] is not None
    assert stored["claimed_until"] == stored["retracted_at"], "it is due to be stopped"


def test_what_was_taken_back_stays_as_it_is(tables: Project) -> None:
    row = tables.insert()
    tables.user(ACME, RETRACT, "a mistake", row)
    before = tables.row(row)
    assert tables.user(ACME, RETRACT, "another reason", row) == []
    for change in ("notification_status = 'PENDING'", "retraction_reason = NULL"):
        query = f"UPDATE notify.ent_notification SET {change} RETURNING id"
        assert tables.user(ACME, query) == []
    assert tables.row(row) == before


@pytest.mark.parametrize(
    "change",
    [
        "notification_status = 'SENT'",
        "notification_status = 'PENDING'",
        "retraction_reason = 'x'",
        "notification_status = 'RETRACTED', enterprise_id = NULL",
        "notification_status = 'RETRACTED', generation = 7",
        "notification_status = 'RETRACTED', claimed_until = NULL",
        "notification_status = 'RETRACTED', transaction_id = NULL",
        "notification_status = 'RETRACTED', retracted_at = '2020-01-01'",
        "payload = '{}'",
        "scheduled_for = now()",
        "claims = 0",
        "error_details = NULL",
    ],
)
def test_users_change_nothing_else(tables: Project, change: str) -> None:
    row = tables.insert(notification_status="FAILED")
    with refused():
        tables.user(ACME, f"UPDATE notify.ent_notification SET {change}")
    assert tables.row(row)["notification_status"] == "FAILED"


@pytest.mark.parametrize("table", [*TABLES, "xnovu_migration"])
def test_users_delete_nothing_and_write_nowhere_else(tables: Project, table: str) -> None:
    queries = [f"DELETE FROM notify.{table}", f"TRUNCATE notify.{table}"]
    if table != "ent_notification":
        queries += [f"INSERT INTO notify.{table} DEFAULT VALUES"]
        queries += [f"UPDATE notify.{table} SET {'name' if table != TABLES[2] else 'actor'} = 'x'"]
    for query in queries:
        with refused():
            tables.user(ACME, query)


@pytest.mark.parametrize("query", [*(f"SELECT 1 FROM notify.{table}" for table in TABLES)])
def test_the_anonymous_are_not_even_let_into_the_schema(fresh: Project, query: str) -> None:
    with refused() as refusal:
        fresh.call("anon", {"enterprise_id": ACME}, query)
    assert "schema notify" in str(refusal.value)


@pytest.mark.parametrize("role", ROLES)
def test_no_function_is_the_users(tables: Project, role: str) -> None:
    open_to = tables.run(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'notify'::regnamespace"
        " AND has_function_privilege(%s, oid, 'EXECUTE')",
        role,
    )
    # It tells users what their own token says; the policies call it in their name.
    assert [row["proname"] for row in open_to] == ["xnovu_enterprise"] * (role == "authenticated")
    with refused():
        tables.call(role, {"enterprise_id": ACME}, "SELECT * FROM notify.claim(1, 60)")


async def test_triggers_fire_for_users(tables: Project) -> None:
    with psycopg.connect(tables.superuser, autocommit=True) as listener:
        listener.execute(NotifyWakeUps.statement)
        (row,) = tables.user(ACME, inserting(mine()), *mine().values())
        assert len(list(listener.notifies(timeout=10, stop_after=1))) == 1
        tables.user(ACME, RETRACT, "a mistake", row["id"])
        assert len(list(listener.notifies(timeout=10, stop_after=1))) == 1
    trail = "SELECT from_status, to_status, actor, details FROM notify.ent_notification_audit"
    assert tables.user(ACME, trail) == [
        {
            "from_status": "PENDING",
            "to_status": "RETRACTED",
            "actor": "authenticated",
            "details": {"reason": "a mistake", "outcome": "stopped"},
        }
    ]
    assert tables.user(GLOBEX, trail) == []


def test_the_service_key_does_what_stages_do(tables: Project) -> None:
    def call(query: str, *arguments: Any) -> list[dict[str, Any]]:
        return tables.call("service_role", None, query, *arguments)

    numbered = [] if tables.run(ALWAYS_NUMBERED) else [mine(id=77)]
    call("SELECT notify.enqueue(%s)", json.dumps([*numbered, mine()]))
    claimed = call("SELECT * FROM notify.claim(9, 60)")
    assert len(claimed) == len(numbered) + 1
    keys = json.dumps(claimed, default=str)
    call("SELECT * FROM notify.begin_send(%s, gen_random_uuid(), 10, 30, 80)", keys)
    call("SELECT * FROM notify.end_send(%s, gen_random_uuid())", keys)
    for function in ("load", "release", "record", "redrive", "retract"):
        call(f"SELECT * FROM notify.{function}(%s::jsonb)", keys)
    call("SELECT * FROM notify.begin_retraction(%s, 30, 120)", keys)
    (history,) = call("SELECT notify.history(%s) AS it", claimed[0]["id"])
    statuses = [line["to_status"] for line in history["it"]["transitions"]]
    assert statuses == ["PROCESSING", "SENT", "RETRACTED"]
    (state,) = call("SELECT notify.state() AS it")
    assert (state["it"]["hidden"], state["it"]["version"]) == (False, migrations()[-1].version)
    call(REGISTER, ACME)
    with refused():
        call("DELETE FROM notify.ent_notification_audit")


def test_the_owner_is_bound_by_none_of_it(tables: Project) -> None:
    row = tables.insert()
    tables.run("UPDATE notify.ent_notification SET notification_status = 'FAILED', name = 'n'")
    assert len(tables.run("SELECT * FROM notify.claim(1, 60)")) == 0
    assert tables.run("SELECT notify.state() -> 'hidden' AS it") == [{"it": False}]
    tables.run("DELETE FROM notify.ent_notification WHERE id = %s", row)
    assert tables.run(IDS) == []
