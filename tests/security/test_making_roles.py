"""`xnovu migrate --roles`: once or again, by who may and who may not, in one database only."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.errors import InsufficientPrivilege

from tests.conftest import server_of_its_own
from tests.databases import Databases
from tests.integration.schema_text import schema_text
from tests.security.conftest import PASSWORD, House, asked
from xnovu.adapters.postgres.migrations import make_roles, migrate, plan
from xnovu.errors import ConfigurationError
from xnovu_local.postgres import EmbeddedPostgres

OPEN = b"""
SELECT count(*) FROM pg_proc
WHERE pronamespace = 'notify'::regnamespace
  AND has_function_privilege('stranger', oid, 'EXECUTE')"""
OWNER = f"""
CREATE ROLE tenant LOGIN NOCREATEROLE PASSWORD '{PASSWORD}';
GRANT CREATE ON DATABASE {{}} TO tenant"""


@pytest.fixture(scope="module")
def new_server() -> Iterator[EmbeddedPostgres]:
    """Without any of XNovu's roles."""
    with server_of_its_own() as server:
        yield server


def test_who_may_not_make_roles_is_told_what_to_have_done(new_server: EmbeddedPostgres) -> None:
    dsn = new_server.create_database("tenant")
    for statement in OWNER.format("tenant").split(";"):
        asked(dsn, statement)
    tenant = make_conninfo(dsn, user="tenant", password=PASSWORD)
    migrate(tenant)
    before = schema_text(dsn)
    with pytest.raises(ConfigurationError) as refused:
        make_roles(tenant)
    assert "role tenant may not create roles" in str(refused.value)
    assert "CREATE ROLE xnovu_stage NOLOGIN; CREATE ROLE xnovu_sender NOLOGIN" in str(refused.value)
    assert schema_text(dsn) == before
    asked(dsn, "CREATE ROLE xnovu_stage NOLOGIN")
    asked(dsn, "CREATE ROLE xnovu_sender NOLOGIN")
    make_roles(tenant)
    assert asked(
        dsn, "SELECT has_function_privilege('xnovu_stage', 'notify.state()', 'EXECUTE') AS it"
    ) == [{"it": True}]


def test_it_may_be_asked_again(fresh: House) -> None:
    before = schema_text(fresh.owner)
    make_roles(fresh.owner)
    assert schema_text(fresh.owner) == before
    assert [step for step in plan(fresh.owner) if step.applied_at is None] == []


def test_what_was_widened_by_hand_is_closed_again(fresh: House) -> None:
    before = schema_text(fresh.owner)
    fresh.run("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA notify TO PUBLIC")
    fresh.run(
        "GRANT EXECUTE ON FUNCTION notify.xnovu_audit(), notify.xnovu_take_up"
        " TO xnovu_stage, xnovu_sender"
    )
    make_roles(fresh.owner)
    assert schema_text(fresh.owner) == before


def test_another_database_of_the_server_is_not_opened_by_it(fresh: House, plain: Databases) -> None:
    with plain.one(migrate) as another:
        other = House(another)
        for login in ("stage", "sender", "stranger"):
            with pytest.raises(InsufficientPrivilege, match="schema notify"):
                other.by(login, "SELECT notify.state()")
    assert fresh.by("stage", "SELECT notify.state()")


def test_no_function_is_anybodys_even_before_the_migration_has_ended(fresh: House) -> None:
    """A function that is dropped and made anew is closed in the same transaction."""
    fresh.run("UPDATE notify.xnovu_function SET checksum = 'old'")
    with psycopg.connect(fresh.owner) as connection:
        script = plan(fresh.owner)[-1].script
        connection.execute(script.encode())
        assert connection.execute(OPEN).fetchone() == (0,)
