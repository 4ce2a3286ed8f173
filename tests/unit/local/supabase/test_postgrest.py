"""The embedded PostgREST: it starts, stops, is killed and frozen, and follows its database."""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.conftest import eventually
from tests.unit.local.supervisor import reachable, supervisor
from tests.unit.local.test_postgres import python_of
from xnovu_local import folder
from xnovu_local.errors import LocalServerError
from xnovu_local.postgres import EmbeddedPostgres
from xnovu_local.supabase import Keys, Postgrest, PostgrestOptions, prepare

KEYS = Keys()
TABLE = b"CREATE TABLE public.number AS SELECT id FROM generate_series(1, 20) id"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux ties a child to its parent")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "PATIENCE", 0.1)


@pytest.fixture
def login(database: str, postgrest_program: Path) -> str:
    """PostgREST's own connection string to a database with a table."""
    login = prepare(database)
    with psycopg.connect(database) as connection:
        connection.execute(TABLE)
    return login


@pytest.fixture
def server(tmp_path: Path, login: str) -> Iterator[Postgrest]:
    options = PostgrestOptions(max_rows=5)
    with Postgrest(tmp_path / "rest", login, KEYS.jwt_secret, options=options) as server:
        yield server


def rows(
    server: Postgrest, table: str = "number", token: str = KEYS.anon, within: float = 60
) -> int | None:
    """How many rows a table is said to have; None if there is no such answer."""
    headers = {"authorization": f"Bearer {token}"}
    try:
        answer = httpx.get(f"{server.url}/{table}", headers=headers, timeout=within)
    except httpx.TransportError:
        return None
    return len(answer.json()) if answer.is_success else None


def test_gives_no_more_rows_than_it_is_told(server: Postgrest) -> None:
    assert rows(server) == 5


def test_believes_only_what_its_secret_signed(server: Postgrest) -> None:
    assert rows(server, token=Keys().service_role) is None


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_comes_back_on_the_same_port(server: Postgrest, end: str) -> None:
    url = server.url
    getattr(server, end)()
    assert not server.running
    assert rows(server) is None
    server.start()
    assert (server.url, rows(server)) == (url, 5)


def test_pause_freezes_and_resume_lets_go_on(server: Postgrest) -> None:
    server.pause()
    assert server.running
    assert rows(server, within=0.1) is None
    server.resume()
    assert rows(server) == 5


def test_stops_even_while_paused(server: Postgrest) -> None:
    server.pause()
    server.stop()
    assert not server.running


async def test_reads_the_schema_anew_when_told(server: Postgrest, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP EVENT TRIGGER pgrst_ddl_watch")  # which tells by itself
        connection.execute("CREATE TABLE public.fresh AS SELECT 1 AS id")
        connection.execute("NOTIFY pgrst, 'reload schema'")
    await eventually(lambda: rows(server, "fresh") == 1)


async def test_outlives_its_database(server: Postgrest, postgres_server: EmbeddedPostgres) -> None:
    postgres_server.kill()
    assert rows(server) is None
    postgres_server.start()
    await eventually(lambda: rows(server) == 5, within=60)


def test_what_it_knows_is_for_its_owner_only(server: Postgrest, tmp_path: Path) -> None:
    file = tmp_path / "rest" / "postgrest.conf"
    assert KEYS.jwt_secret in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_second_server_in_the_folder_is_refused(server: Postgrest, tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match=r"already runs in .* give this one another folder"):
        Postgrest(tmp_path / "rest", "", KEYS.jwt_secret).start()
    assert rows(server) == 5


def test_a_wrong_login_shows_the_end_of_the_log(tmp_path: Path, login: str) -> None:
    server = Postgrest(tmp_path, f"{login} password=wrong", KEYS.jwt_secret)
    with pytest.raises(LocalServerError, match=r"did not start(.|\n)*authentication failed"):
        server.start()
    assert not server.running


def test_no_address_before_the_first_start(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match="start it first"):
        _ = Postgrest(tmp_path, "", KEYS.jwt_secret).url


@on_linux
async def test_dies_with_its_parent(tmp_path: Path, login: str, postgrest_program: Path) -> None:
    await starts_and_dies_with_its_parent(tmp_path, login, postgrest_program)


@as_root
@on_linux
async def test_an_ordinary_user_may_start_it(login: str, postgrest_program: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        shutil.chown(name, "nobody")
        program = shutil.copy(postgrest_program, name)  # root's own cache may be closed to others
        await starts_and_dies_with_its_parent(
            Path(name, "rest"), login, Path(program), python_of("nobody"), "nobody"
        )


async def starts_and_dies_with_its_parent(
    folder: Path, login: str, program: Path, python: str = sys.executable, user: str | None = None
) -> None:
    environment = {
        "DSN": login,
        "JWT_SECRET": KEYS.jwt_secret,
        "XNOVU_POSTGREST_BIN": str(program),
    }
    with supervisor("postgrest", folder, python, user, environment) as (parent, url):
        assert reachable(url)
        parent.kill()
    await eventually(lambda: not reachable(url))
