"""Tables that a platform had on Supabase before: nothing of its own is widened, or cut off."""

import secrets
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from tests.conftest import server_of_its_own
from tests.contract.store_fixtures import PLATFORM
from tests.integration.supabase_project import ACME, GLOBEX, Project, inserting, project
from tests.security.catalog import OURS
from xnovu.adapters.postgres.migrations import migrate
from xnovu_local.supabase import prepare

__all__ = ["project"]

IDS = "SELECT id FROM notify.ent_notification"
RETRACT = (
    "UPDATE notify.ent_notification SET notification_status = 'RETRACTED' WHERE enterprise_id = %s"
)
# What Supabase's guide "Using Custom Schemas" tells people to run.
GUIDE = """
GRANT USAGE ON SCHEMA notify TO anon, authenticated, service_role;
GRANT ALL ON ALL TABLES IN SCHEMA notify TO anon, authenticated, service_role;
GRANT ALL ON ALL ROUTINES IN SCHEMA notify TO anon, authenticated, service_role;
GRANT ALL ON ALL SEQUENCES IN SCHEMA notify TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA notify
    GRANT ALL ON TABLES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA notify
    GRANT ALL ON ROUTINES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA notify
    GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
"""
# A platform's own rule: users see what is addressed to them.
OWN_RULES = """
ALTER TABLE notify.ent_notification ENABLE ROW LEVEL SECURITY;
CREATE POLICY addressed ON notify.ent_notification TO authenticated
    USING (recipients @> ARRAY[current_setting('request.jwt.claims')::jsonb ->> 'sub']);
"""
POLICIES = (
    "SELECT * FROM pg_policies WHERE schemaname = 'notify' AND tablename = %s ORDER BY policyname"
)
OPEN = (
    "SELECT oid::regprocedure::text AS it FROM pg_proc WHERE pronamespace = 'notify'::regnamespace"
    " AND proname <> 'xnovu_enterprise' AND has_function_privilege('authenticated', oid, 'EXECUTE')"
)
PUBLISHED = (
    "SELECT pubname FROM pg_publication_tables WHERE pubname = 'supabase_realtime'"
    " AND schemaname = 'notify' AND tablename = 'ent_notification'"
)


@pytest.fixture
def platform(project: Project) -> Project:
    """Not migrated yet, its schema exposed by the guide."""
    project.run(PLATFORM)
    project.run(GUIDE)
    return project


@pytest.fixture
def backend(platform: Project) -> Iterator[str]:
    """A login of the platform's servers, with rights on its tables."""
    name = f"backend_{secrets.token_hex(6)}"
    platform.run_as_superuser(f"CREATE ROLE {name}")
    platform.run(f"GRANT USAGE ON SCHEMA notify TO {name}")
    platform.run(f"GRANT SELECT, UPDATE (name) ON notify.ent_notification TO {name}")
    yield name
    platform.run_as_superuser(f"DROP OWNED BY {name}; DROP ROLE {name}")


def refused() -> Any:
    return pytest.raises(InsufficientPrivilege)


def audited(project: Project) -> None:
    project.run("UPDATE notify.ent_notification SET notification_status = 'FAILED'")


def test_open_tables_are_closed_to_other_enterprises(platform: Project) -> None:
    row = platform.insert()
    assert platform.user(GLOBEX, IDS) == [{"id": row}]
    platform.migrate()
    assert platform.user(GLOBEX, IDS) == []
    assert platform.user(ACME, IDS) == [{"id": row}]
    for query in (f"{IDS}", "SELECT 1 FROM notify.ent_notification_audit"):
        with refused():
            platform.call("anon", None, query)
    with refused():
        platform.user(ACME, "UPDATE notify.ent_notification SET name = 'x'")
    assert platform.run(OPEN) == []


def test_rules_of_the_platforms_own_stay_alone(platform: Project) -> None:
    platform.run(OWN_RULES)
    hers, his = (platform.insert(recipients=[name]) for name in ("her", "him"))
    before = platform.run(POLICIES, "ent_notification")
    platform.migrate()
    assert platform.run(POLICIES, "ent_notification") == before
    audited(platform)
    she = {"enterprise_id": ACME, "sub": "her"}
    assert platform.call("authenticated", she, IDS) == [{"id": hers}]
    # Nor does the audit tell her of what she may not see.
    with refused():
        platform.call("authenticated", she, "SELECT 1 FROM notify.ent_notification_audit")
    renamed = "UPDATE notify.ent_notification SET name = 'hers' RETURNING id"
    assert platform.call("authenticated", she, renamed) == [{"id": hers}]
    assert platform.row(his)["name"] is None
    with refused():
        platform.call("authenticated", she, "SELECT * FROM notify.claim(9, 60)")
    audit = platform.call("service_role", None, "SELECT 1 FROM notify.ent_notification_audit")
    assert len(audit) == 2


def test_nor_are_users_let_into_the_schema_of_such_a_platform(project: Project) -> None:
    project.run(PLATFORM + OWN_RULES)
    project.migrate()
    with refused() as refusal:
        project.user(ACME, IDS)
    assert "schema notify" in str(refusal.value)


def test_a_platforms_own_logins_keep_their_rights(platform: Project, backend: str) -> None:
    rows = [platform.insert(ACME), platform.insert(GLOBEX)]
    platform.migrate()
    found = platform.call(backend, None, f"{IDS} ORDER BY id")
    assert found == [{"id": row} for row in rows]
    platform.call(backend, None, "UPDATE notify.ent_notification SET name = 'n'")
    with refused():
        platform.call(backend, None, "DELETE FROM notify.ent_notification")


def test_who_may_act_for_users_is_no_login_of_its_own(platform: Project, backend: str) -> None:
    platform.run_as_superuser(f"GRANT authenticated TO {backend}")
    platform.insert(GLOBEX)
    platform.migrate()
    assert platform.call(backend, {"enterprise_id": ACME}, IDS) == []


def test_a_platforms_own_functions_keep_theirs(platform: Project) -> None:
    platform.run("CREATE FUNCTION notify.inbox() RETURNS int LANGUAGE sql RETURN 42")
    platform.migrate()
    assert platform.run(OPEN) == [{"it": "notify.inbox()"}]
    assert platform.user(ACME, "SELECT notify.inbox() AS it") == [{"it": 42}]


def test_what_the_guide_grants_afterwards_opens_nothing(project: Project) -> None:
    project.migrate()
    row, theirs = project.insert(ACME), project.insert(GLOBEX)
    project.run(GUIDE)
    assert project.call("anon", {"enterprise_id": ACME}, IDS) == []
    assert project.user(ACME, IDS) == [{"id": row}]
    strange = {
        "claims": 1,
        "transaction_id": "t",
        "armed_for": "2030-01-01",
        "generation": 2147483647,
        "retraction_outcome": "cancelled",
    }
    for column, value in strange.items():
        given = {"enterprise_id": ACME, column: value}
        with refused():
            project.user(ACME, inserting(given), *given.values())
    for query in (
        "UPDATE notify.ent_notification SET payload = '{}'",
        "SELECT * FROM notify.claim(9, 60)",
        "DELETE FROM notify.ent_notification_audit",
    ):
        with refused():
            project.user(ACME, query)
    project.run("INSERT INTO notify.xnovu_enterprise VALUES (%s, 4)", ACME)
    closed = ("ent_notification", "ent_notification_workflow", "xnovu_migration")
    for table in (*closed, "xnovu_enterprise", "xnovu_sending"):
        assert project.user(ACME, f"DELETE FROM notify.{table} RETURNING 1") == []
    assert project.row(theirs)["notification_status"] == "PENDING"


REWRITTEN = {
    "armed_for": "2030-01-01",
    "claim_token": "00000000-0000-4000-8000-000000000001",
    "claimed_until": "2058-01-01",
    "claims": 7,
    "created_at": "1970-01-01",
    "error_details": "{}",
    "generation": 3,
    "notification_workflow_id": "another",
    "overrides": "{}",
    "payload": "{}",
    "processed_at": "1970-01-01",
    "recipients": "{00000000-0000-4000-8000-000000000001}",
    "retracted_at": "1970-01-01",
    "retraction_outcome": "cancelled",
    "transaction_id": "order-17",
    "unpublished": True,
}
HARMLESS = {"channels", "expires_at", "name", "priority", "scheduled_for", "tags", "updated_at"}
"""What tells nobody of another row, and sends nothing; nor does `workflow_version`."""
STATED = {"notification_status", "retraction_reason", "workflow_version", *HARMLESS}
COLUMNS = """
SELECT column_name FROM information_schema.columns
WHERE (table_schema, table_name) = ('notify', 'ent_notification')
"""


def test_of_each_column_it_is_decided_whether_who_takes_a_row_back_may_change_it(
    project: Project,
) -> None:
    project.migrate()
    there = {row["column_name"] for row in project.run(COLUMNS)}
    assert there == {"id", "enterprise_id", *REWRITTEN, *STATED}


@pytest.mark.parametrize("column", REWRITTEN)
def test_who_takes_a_row_back_rewrites_nothing_of_it(project: Project, column: str) -> None:
    project.migrate()
    row = project.insert(ACME, payload='{"a": 1}')
    project.run(GUIDE)
    query = f"UPDATE notify.ent_notification SET notification_status = 'RETRACTED', {column} = %s"
    with refused() as refusal:
        project.user(ACME, query, REWRITTEN[column])
    assert f"may not change column {column}" in str(refusal.value)
    assert project.row(row)["notification_status"] == "PENDING"
    project.user(ACME, RETRACT, ACME)
    assert project.row(row)["notification_status"] == "RETRACTED"


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_nothing_works_as_the_owner_for_users_whatever_they_were_granted(
    project: Project, role: str
) -> None:
    project.migrate()
    project.run(GUIDE)
    elevated = [it for it in project.run(OURS) if it["definer"] and not it["is_trigger"]]
    assert len(elevated) > 20
    for it in elevated:
        nothing = ", ".join(f"NULL::{kind}" for kind in it["types"])
        with refused() as refusal:
            project.call(role, {"enterprise_id": ACME}, f"SELECT notify.{it['name']}({nothing})")
        assert f"not for users, such as role {role}" in str(refusal.value), it["signature"]


def test_a_later_migration_closes_what_it_makes(project: Project) -> None:
    project.migrate()
    project.run(GUIDE)
    project.run("DELETE FROM notify.xnovu_function WHERE name = 'xnovu_access'")
    project.migrate()
    assert project.run(OPEN) == []


def test_once_more_changes_nothing_that_a_platform_has_granted(platform: Project) -> None:
    platform.migrate()
    platform.run("GRANT INSERT (reason) ON notify.ent_notification TO authenticated")
    before = platform.run(POLICIES, "ent_notification")
    platform.run("DELETE FROM notify.xnovu_function")
    platform.migrate()
    assert platform.run(POLICIES, "ent_notification") == before
    given = {"enterprise_id": ACME, "reason": "theirs"}
    assert platform.user(ACME, inserting(given), *given.values())


def test_once_more_brings_nothing_back_that_a_platform_has_taken(project: Project) -> None:
    project.migrate()
    row = project.insert(ACME)
    project.run("DROP POLICY xnovu_insert ON notify.ent_notification")
    project.run("REVOKE UPDATE ON notify.ent_notification FROM authenticated")
    project.run("ALTER PUBLICATION supabase_realtime DROP TABLE notify.ent_notification")
    project.run("DELETE FROM notify.xnovu_function")
    project.migrate()
    for change in (inserting({"enterprise_id": ACME}), RETRACT):
        with refused():
            project.user(ACME, change, ACME)
    assert project.user(ACME, IDS) == [{"id": row}]
    assert project.run(PUBLISHED) == []


def test_realtime_is_told_of_the_table_once(project: Project) -> None:
    for _ in range(2):
        project.migrate()
        assert project.run(PUBLISHED) == [{"pubname": "supabase_realtime"}]
        project.run("DELETE FROM notify.xnovu_function")
    identity = "SELECT relreplident::text AS it FROM pg_class WHERE relname = 'ent_notification'"
    assert project.run(identity) == [{"it": "d"}]


def test_a_publication_of_all_tables_has_it(project: Project) -> None:
    project.run_as_superuser("DROP PUBLICATION supabase_realtime")
    project.run_as_superuser("CREATE PUBLICATION supabase_realtime FOR ALL TABLES")
    project.migrate()
    assert project.run(PUBLISHED) == [{"pubname": "supabase_realtime"}]


@pytest.mark.parametrize("publication", ["missing", "another's"])
def test_a_publication_that_cannot_be_changed_is_left(project: Project, publication: str) -> None:
    if publication == "missing":
        project.run_as_superuser("DROP PUBLICATION supabase_realtime")
    else:
        project.run_as_superuser("ALTER PUBLICATION supabase_realtime OWNER TO postgres")
    project.migrate()
    assert project.run(PUBLISHED) == []


def test_a_table_that_could_no_longer_be_updated_is_not_published(platform: Project) -> None:
    platform.run("ALTER TABLE notify.ent_notification DROP CONSTRAINT ent_notification_pkey")
    platform.migrate()
    assert platform.run(PUBLISHED) == []
    platform.insert()
    audited(platform)


@pytest.fixture
def plain() -> Iterator[str]:
    """A database on a server that has never heard of Supabase: roles belong to all of a server."""
    with server_of_its_own() as server:
        yield server.create_database("plain")


def test_a_database_that_is_not_supabases_yet(plain: str) -> None:
    migrate(plain)
    guarded = (
        "SELECT DISTINCT relrowsecurity FROM pg_class"
        " WHERE relnamespace = 'notify'::regnamespace AND relkind = 'r'"
    )
    with psycopg.connect(plain, autocommit=True) as connection:
        assert connection.execute(guarded).fetchall() == [(False,)]
        assert connection.execute("SELECT 1 FROM pg_policy").fetchall() == []
        prepare(plain)
        connection.execute("DELETE FROM notify.xnovu_function WHERE name = 'xnovu_access'")
        assert migrate(plain) == ["functions"]
        assert connection.execute(guarded).fetchall() == [(True,)]
        assert connection.execute(OPEN.encode()).fetchall() == []
