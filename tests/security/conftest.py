"""A server that was never Supabase's, logins with as few rights as docs say, the loudest log."""

import io
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from tests.conftest import server_of_its_own
from tests.contract.store_fixtures import PLATFORM, ready_roles
from tests.databases import Databases
from tests.unit.adapters.logs.conftest import Log, untouched
from xnovu.adapters.logs import configure

__all__ = ["Log", "log", "untouched"]

PASSWORD = secrets.token_urlsafe(24)
LOGINS = {"stranger": None, "sender": "xnovu_sender", "stage": "xnovu_stage"}
"""By name; each a member of that group. The first has nothing but USAGE on the schema."""
DRAFTS = """
ALTER TABLE notify.ent_notification
    ADD publish_status text DEFAULT 'PUBLISH', ADD deactivated boolean;
"""


@dataclass(frozen=True, slots=True)
class House:
    """A database, its owner's door and those of others."""

    owner: str

    def door(self, login: str) -> str:
        return make_conninfo(self.owner, user=login, password=PASSWORD)

    def run(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        return asked(self.owner, query, *arguments)

    def by(self, login: str, query: str, *arguments: Any) -> list[dict[str, Any]]:
        return asked(self.door(login), query, *arguments)


def asked(dsn: str, query: str, *arguments: Any) -> list[dict[str, Any]]:
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
        cursor = connection.execute(query.encode(), arguments or None)
        return cursor.fetchall() if cursor.description else []


def ready_fresh(dsn: str) -> None:
    ready_roles(dsn)
    let_in(dsn)


def ready_platform(dsn: str) -> None:
    """Tables that a platform had: numbered by a default, with drafts."""
    asked(dsn, PLATFORM + DRAFTS)
    ready_fresh(dsn)


def let_in(dsn: str) -> None:
    """Make the logins, which are the whole server's."""
    for login, group in LOGINS.items():
        name = sql.Identifier(login)
        with psycopg.connect(dsn, autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [login]).fetchone():
                continue
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(PASSWORD))
            )
            if group:
                connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), name))
    asked(dsn, "GRANT USAGE ON SCHEMA notify TO stranger")


@pytest.fixture(scope="session")
def plain() -> Iterator[Databases]:
    with server_of_its_own() as server:
        made = Databases(server)
        yield made
        made.close()


@pytest.fixture(params=[ready_fresh, ready_platform], ids=["fresh", "platform"])
def house(request: pytest.FixtureRequest, plain: Databases) -> Iterator[House]:
    with plain.one(request.param) as dsn:
        yield House(dsn)


@pytest.fixture
def fresh(plain: Databases) -> Iterator[House]:
    with plain.one(ready_fresh) as dsn:
        yield House(dsn)


@pytest.fixture
def log(untouched: None, monkeypatch: pytest.MonkeyPatch) -> Log:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure("debug", "json")
    return Log(stream)
