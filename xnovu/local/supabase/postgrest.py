"""PostgREST on this machine: the tables and functions of one database over HTTP."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from xnovu.local.errors import LocalServerError
from xnovu.local.folder import Folder
from xnovu.local.health import says_ready
from xnovu.local.ports import LOOPBACK
from xnovu.local.process import Child, Command
from xnovu.local.supabase.postgrest_binary import NAME, find_postgrest


@dataclass(frozen=True, slots=True)
class PostgrestOptions:
    """What a Supabase project may set; schemas that do not exist do no harm."""

    schemas: tuple[str, ...] = ("public", "graphql_public", "notify")
    max_rows: int = 1000


class Postgrest:
    """
    A PostgREST on loopback that keeps its port in a folder of its own.

    `dsn` is the login of the role `authenticator`; `jwt_secret` signs the tokens it believes. With
    `port=None` it takes the port of its last run, else a free one. It reads the schema anew when
    the database is told `NOTIFY pgrst, 'reload schema'`. On Linux it dies with the process that
    started it.
    """

    def __init__(
        self,
        folder: Path,
        dsn: str,
        jwt_secret: str,
        *,
        options: PostgrestOptions | None = None,
        port: int | None = None,
    ) -> None:
        self._folder = Folder(folder, NAME)
        self._child = Child(NAME, self._folder)
        self._dsn = dsn
        self._jwt_secret = jwt_secret
        self._options = options or PostgrestOptions()
        self._wanted_port = port

    @property
    def url(self) -> str:
        """Where clients connect; known from the first start on."""
        if (port := self._folder.recall("port")) is None:
            raise LocalServerError(f"{NAME} has no address yet: start it first")
        return f"http://{LOOPBACK}:{port}"

    @property
    def running(self) -> bool:
        """Whether the server lives (frozen counts)."""
        return self._child.running

    def start(self) -> None:
        """
        Starts the server and waits until it has read the schema.

        Raises LocalServerError; PostgrestMissing where there is no program to run.
        """
        self._child.start(self._command)

    def stop(self) -> None:
        """Shuts the server down and waits for it."""
        self._child.stop()

    def kill(self) -> None:
        """Ends the server on the spot (SIGKILL); `start` brings it back on the same port."""
        self._child.kill()

    def pause(self) -> None:
        """Freezes the server: connections stay open, nothing answers."""
        self._child.pause()

    def resume(self) -> None:
        """Lets a frozen server go on."""
        self._child.resume()

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

    def _command(self) -> Command:
        program = find_postgrest()
        port = self._wanted_port = self._folder.port("port", self._wanted_port)
        admin = self._folder.port("admin_port", None)
        configuration = self._folder.path / "postgrest.conf"
        _write(configuration, "\n".join(self._configuration(port, admin)) + "\n")
        return Command(
            arguments=(program, configuration),
            folder=self._folder.path,
            ready=lambda _: says_ready(admin, "/ready"),
        )

    def _configuration(self, port: int, admin: int) -> Iterable[str]:
        """As hosted Supabase has it, where a caller can tell the difference."""
        yield f"db-uri = {_quoted(self._dsn)}"
        yield f"db-schemas = {_quoted(', '.join(self._options.schemas))}"
        yield f"db-max-rows = {self._options.max_rows}"
        yield 'db-extra-search-path = "public, extensions"'
        yield 'db-anon-role = "anon"'
        yield f"jwt-secret = {_quoted(self._jwt_secret)}"
        yield f'server-host = "{LOOPBACK}"'
        yield f"server-port = {port}"
        yield f"admin-server-port = {admin}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _write(path: Path, text: str) -> None:
    """Readable by its owner only: it holds a password and the key to every role."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
