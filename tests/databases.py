"""Databases for tests: each a test's own, empty or a copy of one that was made ready once."""

import secrets
from collections.abc import Callable, Generator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from xnovu_local.postgres import EmbeddedPostgres

Make = Callable[[str], object]


class SomebodysPostgres(EmbeddedPostgres):
    """A server that runs already, and is not a test's to stop."""

    def __init__(self, dsn: str) -> None:
        self._outer = dsn

    @property
    def dsn(self) -> str:
        return self._outer

    @property
    def running(self) -> bool:
        return True

    def start(self) -> None:
        pytest.skip("the server is not ours to start")

    def stop(self) -> None:
        pytest.skip("the server is not ours to stop")

    kill = pause = stop

    def resume(self) -> None:
        """It was never frozen."""

    def _dsn(self, database: str) -> str:
        return make_conninfo(self._outer, dbname=database)


class Databases:
    """The databases of one server."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self._ready: dict[Make, str] = {}

    @contextmanager
    def one(self, make: Make | None = None) -> Generator[str]:
        """
        The connection string of a database that is dropped afterwards.

        It is as ``make`` leaves an empty one, which is done once: the rest are copies.
        """
        name = _name()
        yield self._copy(name, self._made(make)) if make else self._empty(name)
        self._drop(name)

    def close(self) -> None:
        """Drop what was copied, too."""
        for name in self._ready.values():
            self._drop(name)

    def _drop(self, name: str) -> None:
        self._revive()
        with psycopg.connect(self._server.dsn, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots"
                " WHERE database = %s AND active",
                [name],
            )
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def _empty(self, name: str) -> str:
        self._revive()
        return self._server.create_database(name)

    def _made(self, make: Make) -> str:
        if make not in self._ready:
            name = _name()
            make(self._empty(name))
            self._ready[make] = name
        return self._ready[make]

    def _copy(self, name: str, original: str) -> str:
        self._revive()
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with psycopg.connect(self._server.dsn, autocommit=True) as connection:
            connection.execute(copy.format(sql.Identifier(name), sql.Identifier(original)))
        return self._server.create_database(name)

    def _revive(self) -> None:
        """Undo what a fault test may have left behind."""
        self._server.resume()
        if not self._server.running:
            self._server.start()


def _name() -> str:
    return f"test_{secrets.token_hex(6)}"
