"""PostgREST on this machine: the tables and functions of one database over HTTP."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from xnovu_local.health import says_ready
from xnovu_local.ports import LOOPBACK
from xnovu_local.process import Command, Server
from xnovu_local.supabase.postgrest_binary import NAME, find_postgrest


@dataclass(frozen=True, slots=True)
class PostgrestOptions:
    """What a Supabase project may set; schemas that do not exist do no harm."""

    schemas: tuple[str, ...] = ("public", "graphql_public", "notify")
    max_rows: int = 1000
    openapi_mode: str = "follow-privileges"


class Postgrest(Server):
    """
    A PostgREST on loopback that keeps its port in a folder of its own.

    `dsn` is the login of the role `authenticator`; `jwt_secret` signs the tokens it believes. It
    reads the schema anew when the database is told `NOTIFY pgrst, 'reload schema'`. Where there is
    no program to run, `start` raises PostgrestMissing.
    """

    def __init__(
        self,
        folder: Path,
        dsn: str,
        jwt_secret: str,
        *,
        options: PostgrestOptions | None = None,
    ) -> None:
        super().__init__(NAME, folder)
        self._dsn = dsn
        self._jwt_secret = jwt_secret
        self._options = options or PostgrestOptions()

    @property
    def url(self) -> str:
        """Where clients connect; known from the first start on."""
        return f"http://{LOOPBACK}:{self._known('port')}"

    def _command(self) -> Command:
        program = find_postgrest()
        port = self._folder.port("port")
        admin = self._folder.port("admin_port")
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
        yield f"openapi-mode = {_quoted(self._options.openapi_mode)}"
        yield f"admin-server-port = {admin}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _write(path: Path, text: str) -> None:
    """Readable by its owner only: it holds a password and the key to every role."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
