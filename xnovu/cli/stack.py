"""Everything XNovu needs, on this machine: Postgres, NATS, a local Novu, and the stages."""

import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import xnovu_local
from xnovu.compose.secrets import DATABASE_URL, NATS_URL, NOVU_KEY, SUPABASE_KEY, SUPABASE_URL
from xnovu_local.health import says_ready
from xnovu_local.nats import EmbeddedNats
from xnovu_local.ports import LOOPBACK
from xnovu_local.postgres import EmbeddedPostgres
from xnovu_local.process import Command, Server
from xnovu_local.supabase import LocalSupabase, RunningSupabase
from xnovu_local.supabase.realtime import local_realtime

KEY = "local"
"""The local Novu lets any key in."""

DATABASE = "xnovu"

TRANSPORT = "XNOVU_TRANSPORT__KIND"

SOURCES = (Path(__file__).parents[2], Path(xnovu_local.__path__[0]).parent)


class Stack:
    """
    The servers and the stages, kept in one folder; they die with this process.

    With a ``supabase`` the stages know its URL and key alone, and no database. Raises
    LocalServerError where one of them does not come up. The stages' transport is the one that this
    process's environment names; only for NATS there is a server.
    """

    def __init__(
        self,
        folder: Path,
        *,
        postgres_settings: Mapping[str, str] | None = None,
        supabase: bool = False,
    ) -> None:
        self.folder = folder
        self._with_supabase = supabase
        self._supabase: LocalSupabase | None = None
        self.postgres = EmbeddedPostgres(folder / "postgres", settings=postgres_settings)
        self.transport = os.environ.get(TRANSPORT, "nats")
        self.nats = EmbeddedNats(folder / "nats") if self.transport == "nats" else None
        self._novu = _Program("the local Novu", folder / "novu", "/_local/options", "novu")
        stages, withheld = folder / "stages", DATABASE_URL if supabase else ""
        self._stages = _Program("the stages", stages, "/readyz", "run", "all", withheld=withheld)

    @property
    def novu_url(self) -> str:
        return self._novu.url

    @property
    def health_url(self) -> str:
        return self._stages.url

    @property
    def log(self) -> Path:
        """Where the stages log to."""
        return self._stages.log

    @property
    def supabase(self) -> RunningSupabase | None:
        """The local Supabase, if there is one."""
        return self._supabase.running if self._supabase else None

    def start_servers(self) -> None:
        """Start the servers side by side, and then, on the database, the local Supabase."""
        with ThreadPoolExecutor(3) as pool:
            for started in [pool.submit(server.start) for server in self._servers()]:
                started.result()
        if self._with_supabase:
            dsn, folder = self.postgres.create_database(DATABASE), self.folder / "supabase"
            self._supabase = LocalSupabase(dsn, folder, realtime=local_realtime)
            self._supabase.start()

    def environment(self) -> dict[str, str]:
        """What a stage or a command needs to work on this stack."""
        return {
            DATABASE_URL: self.postgres.create_database(DATABASE),
            **({NATS_URL: self.nats.url} if self.nats else {}),
            TRANSPORT: self.transport,
            NOVU_KEY: KEY,
            "XNOVU_PROVIDER__URL": self.novu_url,
            **self._supabase_environment(),
        }

    def adopt(self) -> None:
        """Make this stack the one that this process's own settings mean."""
        for name in [name for name in os.environ if name.startswith("XNOVU_")]:
            del os.environ[name]
        os.environ.update(self.environment())

    def start_stages(self) -> None:
        """Start all stages in one process, and wait until they are ready."""
        self._stages.start()

    def stop(self) -> None:
        """Stop the stages first, then the servers."""
        self._stages.stop()
        if self._supabase:
            self._supabase.stop()
        for each in reversed(self._servers()):
            each.stop()

    def _servers(self) -> Sequence[Server]:
        return [each for each in (self.postgres, self.nats, self._novu) if each]

    def _supabase_environment(self) -> dict[str, str]:
        if not self.supabase:
            return {}
        return {
            SUPABASE_URL: self.supabase.url,
            SUPABASE_KEY: self.supabase.service_key,
            "XNOVU_STORE__KIND": "supabase",
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Program(Server):
    """
    An ``xnovu`` command with a port of its own; it is ready once the page at ``path`` is there.

    It has this process's environment, but for the variable that is ``withheld``.
    """

    def __init__(
        self, name: str, folder: Path, path: str, *arguments: str, withheld: str = ""
    ) -> None:
        super().__init__(name, folder)
        self._path, self._arguments, self._withheld = path, arguments, withheld

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._known('port')}"

    @property
    def log(self) -> Path:
        return self._folder.log

    def _command(self) -> Command:
        port = self._folder.port("port")
        own = {name: value for name, value in os.environ.items() if name != self._withheld}
        return Command(
            (sys.executable, "-m", "xnovu", *self._arguments, "--port", str(port)),
            self._folder.path,
            lambda _: says_ready(port, self._path),
            environment={**own, "PYTHONPATH": _path(*SOURCES)},
        )


def _path(*first: Path) -> str:
    """Where modules are: ours, and those of plugs of one's own."""
    return os.pathsep.join(filter(None, (*map(str, first), os.environ.get("PYTHONPATH"))))
