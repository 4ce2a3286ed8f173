"""A database as Supabase has it: its roles, an owner that is no superuser, and callers by token."""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import conninfo, sql
from psycopg.rows import dict_row

from xnovu.adapters.postgres.migrations import migrate
from xnovu_local.supabase import prepare

ACME, GLOBEX = str(uuid4()), str(uuid4())
PASSWORD = secrets.token_urlsafe(24)
Connection = psycopg.Connection[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Project:
    """A database and its owner: no superuser, no CREATEROLE, no BYPASSRLS; less than `postgres`."""

    superuser: str
    owner: str

    def migrate(self) -> None:
        migrate(self.owner)

    def run(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        """As the owner."""
        with _connected(self.owner) as connection:
            return _rows(connection, query, *arguments)

    def run_as_superuser(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        with _connected(self.superuser) as connection:
            return _rows(connection, query, *arguments)

    def call(
        self, role: str, claims: dict[str, Any] | None, query: str, *arguments: Any
    ) -> list[dict[str, Any]]:
        """A statement as PostgREST would run it for a token with these claims."""
        with _connected(self.superuser) as connection, connection.transaction():
            connection.execute(
                "SELECT set_config('role', %s, true), set_config('request.jwt.claims', %s, true)",
                [role, json.dumps({"role": role, **(claims or {})})],
            )
            return _rows(connection, query, *arguments)

    def user(self, enterprise: str, query: str, *arguments: Any) -> list[dict[str, Any]]:
        return self.call("authenticated", {"enterprise_id": enterprise}, query, *arguments)

    def insert(self, enterprise: str = ACME, **columns: Any) -> int:
        """As the owner."""
        columns = {"enterprise_id": enterprise, "recipients": [str(uuid4())], **columns}
        return self.run(inserting(columns), *columns.values())[0]["id"]

    def row(self, notification: int) -> dict[str, Any]:
        query = "SELECT * FROM notify.ent_notification WHERE id = %s"
        return self.run(query, notification)[0]


def inserting(columns: Mapping[str, Any], returning: str = "id") -> str:
    places = ", ".join(["%s"] * len(columns))
    return (
        f"INSERT INTO notify.ent_notification ({', '.join(columns)}) VALUES ({places})"
        f" RETURNING {returning}"
    )


@contextmanager
def _connected(dsn: str) -> Iterator[Connection]:
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
        yield connection


def _rows(connection: Connection, query: str, *arguments: Any) -> list[dict[str, Any]]:
    cursor = connection.execute(query.encode(), arguments or None)
    return cursor.fetchall() if cursor.description else []


@pytest.fixture
def project(database: str) -> Iterator[Project]:
    """Not migrated yet."""
    prepare(database)
    name = f"owner_{secrets.token_hex(6)}"
    with psycopg.connect(database, autocommit=True) as superuser:
        for statement in (
            "CREATE ROLE {owner} LOGIN NOSUPERUSER NOCREATEROLE NOBYPASSRLS PASSWORD {password}",
            "GRANT CREATE ON DATABASE {database} TO {owner}",
            "ALTER PUBLICATION supabase_realtime OWNER TO {owner}",
        ):
            superuser.execute(
                sql.SQL(statement).format(
                    owner=sql.Identifier(name),
                    password=sql.Literal(PASSWORD),
                    database=sql.Identifier(superuser.info.dbname),
                )
            )
        yield Project(database, conninfo.make_conninfo(database, user=name, password=PASSWORD))
        superuser.execute(sql.SQL("DROP OWNED BY {0} CASCADE").format(sql.Identifier(name)))
        superuser.execute(sql.SQL("DROP ROLE {0}").format(sql.Identifier(name)))
