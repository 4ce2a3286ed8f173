"""Real servers, embedded: no Docker, no network, nothing shared between runs."""

import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.databases import Databases, SomebodysPostgres
from xnovu.adapters.postgres.migrations import migrate
from xnovu.testing.waiting import eventually
from xnovu_local.nats import EmbeddedNats
from xnovu_local.postgres import EmbeddedPostgres

__all__ = ["eventually"]

# Commits stay synchronous: what a test has committed must outlive the server's being killed.
FAST = {"fsync": "off", "max_prepared_transactions": "4"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--exhaustive",
        action="store_true",
        help="every passage, case and signal, thousands of rows",
    )
    parser.addoption(
        "--postgres",
        action="append",
        default=[],
        metavar="DSN",
        help="run on this server, whose user makes databases and roles there; may be given again",
    )
    parser.addoption("--write-schema", action="store_true", help="write docs/schema.sql")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--exhaustive"):
        return
    left = [item for item in items if item.get_closest_marker("exhaustive")]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if not item.get_closest_marker("exhaustive")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    servers = metafunc.config.getoption("--postgres")
    if len(servers) > 1 and "postgres_server" in metafunc.fixturenames:
        numbers = [f"server {number}" for number in range(1, len(servers) + 1)]
        metafunc.parametrize(
            "postgres_server", servers, ids=numbers, indirect=True, scope="session"
        )


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[EmbeddedPostgres]:
    """One Postgres for the session (for each worker under xdist), or a named one."""
    if named := request.config.getoption("--postgres"):
        yield SomebodysPostgres(getattr(request, "param", named[0]))
        return
    with server_of_its_own() as server:
        yield server


@contextmanager
def server_of_its_own() -> Generator[EmbeddedPostgres]:
    """A Postgres that a test may do with as it likes."""
    with tempfile.TemporaryDirectory(prefix="xnovu-postgres-") as folder:
        path = Path(folder)
        path.chmod(0o711)  # before version 16 a server must be able to name where its data are
        with EmbeddedPostgres(path, settings=FAST) as server:
            yield server


@pytest.fixture(scope="session")
def nats_server() -> Iterator[EmbeddedNats]:
    """One NATS for the session (for each worker under xdist)."""
    with (
        tempfile.TemporaryDirectory(prefix="xnovu-nats-") as folder,
        EmbeddedNats(Path(folder)) as server,
    ):
        yield server
        server.kill()  # with thousands of streams it takes half a minute to stop


@pytest.fixture(scope="session")
def databases(postgres_server: EmbeddedPostgres) -> Iterator[Databases]:
    databases = Databases(postgres_server)
    yield databases
    databases.close()


@pytest.fixture
def database(databases: Databases) -> Iterator[str]:
    """The connection string of an empty database of this test's own."""
    with databases.one() as dsn:
        yield dsn


@pytest.fixture
def migrated(databases: Databases) -> Iterator[str]:
    """The connection string of a database of this test's own, with the schema and no rows."""
    with databases.one(migrate) as dsn:
        yield dsn
