"""What a database prepared as Supabase's has in it."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from xnovu_local.postgres import EmbeddedPostgres
from xnovu_local.supabase import prepare


def ask(dsn: str, query: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query.encode()).fetchone()
        return row and row[0]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("SELECT count(*) FROM pg_publication_tables WHERE pubname = 'supabase_realtime'", 0),
        ("SELECT count(*) FROM pg_publication WHERE pubname = 'supabase_realtime'", 1),
        ("SELECT rolbypassrls FROM pg_roles WHERE rolname = 'service_role'", True),
        ("SELECT rolbypassrls FROM pg_roles WHERE rolname = 'authenticated'", False),
        ("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'service_role'", False),
        ("SELECT rolinherit FROM pg_roles WHERE rolname = 'authenticator'", False),
        ("SELECT to_regnamespace('notify') IS NULL", True),
        ("SELECT auth.jwt() IS NULL AND auth.uid() IS NULL AND auth.role() IS NULL", True),
    ],
)
def test_has_what_supabase_has(database: str, question: str, answer: object) -> None:
    prepare(database)
    assert ask(database, question) == answer


def test_the_api_may_use_what_is_made_in_public(database: str) -> None:
    prepare(database)
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE public.fresh (id int GENERATED ALWAYS AS IDENTITY)")
        connection.execute("SET ROLE anon")
        connection.execute("INSERT INTO public.fresh DEFAULT VALUES")


def test_the_authenticator_has_only_the_rights_it_takes_on(database: str) -> None:
    login = prepare(database)
    assert ask(login, "SELECT current_user") == "authenticator"
    with psycopg.connect(login) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT auth.uid()")
        connection.rollback()
        connection.execute("SET ROLE authenticated")
        connection.execute("SELECT auth.uid()")


def test_databases_of_one_server_are_prepared_at_once(
    postgres_server: EmbeddedPostgres, database: str
) -> None:
    names = [f"prepared_{secrets.token_hex(6)}" for _ in range(3)]
    databases = [database, *map(postgres_server.create_database, names)]
    with ThreadPoolExecutor(4) as pool:
        logins = list(pool.map(prepare, databases))
    assert [ask(login, "SELECT 1") for login in logins] == [1, 1, 1, 1]
    with psycopg.connect(postgres_server.dsn, autocommit=True) as connection:
        for name in names:
            connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def test_an_owner_without_a_password_in_sight_gets_a_new_login(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = urlsplit(database).password or ""
    monkeypatch.setenv("PGPASSWORD", password)
    login = prepare(database.replace(f":{password}@", "@"))
    assert ask(login, "SELECT current_user") == "authenticator"
    assert login != prepare(database)
