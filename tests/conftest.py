"""Real servers, embedded: no Docker, no network, nothing shared between runs."""

import asyncio
import inspect
import secrets
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

import psycopg
import pytest
from psycopg import sql

from xnovu.local.nats import EmbeddedNats
from xnovu.local.postgres import EmbeddedPostgres

# Commits stay synchronous: what a test has committed must outlive the server's being killed.
FAST = {"fsync": "off"}
POLL = 0.01
T = TypeVar("T")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--exhaustive", action="store_true", help="sabotage every single passage of the stages"
    )
    parser.addoption("--write-schema", action="store_true", help="write docs/schema.sql")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    """One Postgres for the session (for each worker under xdist)."""
    with server_of_its_own() as server:
        yield server


@contextmanager
def server_of_its_own() -> Iterator[EmbeddedPostgres]:
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


@pytest.fixture
def database(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    """The connection string of an empty database of this test's own."""
    _revive(postgres_server)
    name = f"test_{secrets.token_hex(6)}"
    yield postgres_server.create_database(name)
    _revive(postgres_server)
    with psycopg.connect(postgres_server.dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots"
            " WHERE database = %s AND active",
            [name],
        )
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


async def eventually(
    check: Callable[[], T | Awaitable[T]], within: float = 15.0, every: float = POLL
) -> T:
    """The first true value of `check()`, sync or async: the only way a test may wait.

    An AssertionError raised by the check counts as "not yet". After `within` seconds it fails.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        value, problem = await _look(check)
        if problem is None and value:
            return cast(T, value)
        if loop.time() > deadline:
            saw = f"raised {problem}" if problem else f"was {value!r}"
            raise AssertionError(f"not within {within} s: {_source(check)}; last it {saw}")
        await asyncio.sleep(every)


async def _look(check: Callable[[], object]) -> tuple[object, AssertionError | None]:
    try:
        value = check()
        return (await value if inspect.isawaitable(value) else value), None
    except AssertionError as problem:
        return None, problem


def _source(check: Callable[[], object]) -> str:
    try:
        return " ".join(inspect.getsource(check).split())
    except (OSError, TypeError):
        return repr(check)


def _revive(server: EmbeddedPostgres) -> None:
    """Undoes what a fault test may have left behind."""
    server.resume()
    if not server.running:
        server.start()
