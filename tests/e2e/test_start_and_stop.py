"""A process that starts while something is away or refuses, and is told to stop."""

import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import eventually
from tests.e2e.conftest import Shell, stop
from tests.e2e.test_stages import STAGES, faststream
from xnovu.compose.secrets import DATABASE_URL, NATS_URL, NOVU_KEY
from xnovu_local.health import accepts
from xnovu_local.nats import EmbeddedNats
from xnovu_local.ports import LOOPBACK, free_port
from xnovu_local.process import Command

SIGNALS = [
    pytest.param(signal.SIGTERM, id="SIGTERM"),
    pytest.param(signal.SIGINT, id="SIGINT", marks=pytest.mark.exhaustive),
]
COMMANDS = {
    "xnovu": (sys.executable, "-m", "xnovu", "run", "trigger"),
    "faststream": faststream("trigger"),
}
OTHERS = (*(stage for stage in STAGES if stage not in {"ingest", "trigger"}), "all")
ACCOUNTS = """{
  with: {jetstream: enabled, users: [
    {user: deaf, password: p, permissions: {publish: {deny: "$JS.API.>"}}},
    {user: mute, password: p, permissions: {publish: {deny: "$JS.ACK.>"}}}]},
  without: {users: [{user: plain, password: p}]}
}"""
OLD = (
    b'INFO {"server_id":"X","version":"2.11.9","max_payload":1048576,"headers":true,'
    b'"jetstream":true}\r\n'
)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    """A NATS with accounts: one has no JetStream, and the users of the other not every right."""
    with EmbeddedNats(tmp_path_factory.mktemp("nats"), settings={"accounts": ACCOUNTS}) as server:
        yield server


class PlainNats(EmbeddedNats):
    """A NATS with nothing but what is said: no JetStream, or none that is ready."""

    def _command(self) -> Command:
        port = self._folder.port("port")
        return replace(super()._command(), ready=lambda _: accepts(port))

    def _configuration(self, port: int, monitor: int) -> Iterable[str]:
        yield f'listen: "{LOOPBACK}:{port}"'
        yield from (f"{key}: {value}" for key, value in self._settings.items())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainNats]:
    with PlainNats(tmp_path_factory.mktemp("nats")) as server:
        yield server


class Host:
    """Accepts whoever comes, and says so much and no more; but where it has spoken, it answers."""

    def __init__(self, first: bytes) -> None:
        self.listener, self.first = socket.create_server((LOOPBACK, 0)), first
        self.guests: list[socket.socket] = []
        threading.Thread(target=self.receive, daemon=True).start()

    def receive(self) -> None:
        with suppress(OSError):
            while True:
                self.guests.append(self.listener.accept()[0])
                threading.Thread(target=self.serve, args=self.guests[-1:], daemon=True).start()

    def serve(self, guest: socket.socket) -> None:
        with suppress(OSError):
            guest.sendall(self.first)
            while said := guest.recv(65536):
                if self.first and b"PING" in said:
                    guest.sendall(b"PONG\r\n")


@contextmanager
def answering(first: bytes = b"") -> Iterator[int]:
    """The port of a host that says this."""
    host = Host(first)
    try:
        yield host.listener.getsockname()[1]
    finally:
        for each in (host.listener, *host.guests):
            each.close()


def elsewhere(url: str, port: int) -> str:
    parts = urlsplit(url)
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return parts._replace(netloc=f"{user}{LOOPBACK}:{port}").geturl()


@contextmanager
def away(what: str, shell: Shell, guarded: EmbeddedNats) -> Iterator[str]:
    """Something a process has to wait for; gives what it is to say of it."""
    env = shell.environment
    nats, database = "not connected to NATS", "not answer"
    as_user = guarded.url.replace("//", "//{}:p@").format
    with answering() as silent:
        ways = {
            "no NATS at the port": (NATS_URL, f"nats://{LOOPBACK}:{free_port()}", nats),
            "no NATS of that name": (NATS_URL, "nats://nowhere.invalid:4222", nats),
            "a silent NATS": (NATS_URL, f"nats://{LOOPBACK}:{silent}", nats),
            "no right to ask NATS": (NATS_URL, as_user("deaf"), 'publish to "$JS.API'),
            "no right to acknowledge": (NATS_URL, as_user("mute"), "'mute' publish to $JS.ACK."),
            "no database": (DATABASE_URL, elsewhere(env[DATABASE_URL], free_port()), database),
            "a silent database": (DATABASE_URL, elsewhere(env[DATABASE_URL], silent), database),
        }
        name, env[name], said = ways[what]
        yield said


WAYS = (
    "no NATS at the port",
    "no NATS of that name",
    "a silent NATS",
    "no right to ask NATS",
    "no right to acknowledge",
    "no database",
    "a silent database",
)


def asked(port: int, page: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}{page}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()
    except OSError as error:
        raise AssertionError(f"nobody answers at {port}") from error


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("what", WAYS)
async def test_what_is_away_at_the_start_is_waited_for_and_said(
    at_work: Shell, guarded: EmbeddedNats, started, what: str, number: signal.Signals
):
    port = free_port()
    at_work.environment |= {"XNOVU_HEALTH__PORT": str(port), "XNOVU_STORE__TIMEOUT": "1"}
    with away(what, at_work, guarded) as said:
        process = started(at_work.start(*COMMANDS["xnovu"]))

        def is_told() -> bool:
            code, text = asked(port, "/readyz")
            checks = json.loads(text)["checks"]
            return code == 503 and any(said in check for check in checks.values())

        await eventually(lambda: asked(port, "/healthz")[0] == 200, within=60)
        await eventually(is_told, within=60)
        assert "xnovu_ready{" in asked(port, "/metrics")[1]
        assert process.poll() is None
        output = stop(process, number)
    assert "stopped" in [json.loads(line)["event"] for line in output.splitlines()]


@contextmanager
def refusing(what: str, shell: Shell, guarded: EmbeddedNats) -> Iterator[str]:
    """Something for which no waiting helps; gives what is to be said of it."""
    env = shell.environment
    wrong = elsewhere(env[DATABASE_URL], urlsplit(env[DATABASE_URL]).port or 0)
    password = urlsplit(wrong).password or ""
    with answering(OLD) as old, socket.create_server((LOOPBACK, 0)) as taken:
        ways = {
            "an old NATS": (NATS_URL, f"nats://{LOOPBACK}:{old}", "needs nats-server 2.12"),
            "a stranger to NATS": (
                NATS_URL,
                guarded.url.replace("//", "//deaf:wrong@"),
                "refuses the credentials",
            ),
            "no JetStream": (
                NATS_URL,
                guarded.url.replace("//", "//plain:p@"),
                "JetStream not enabled for account",
            ),
            "a stranger to the database": (
                DATABASE_URL,
                wrong.replace(password, "wrong-one"),
                "the database refuses the credentials",
            ),
            "no key": (NOVU_KEY, "", "XNOVU_NOVU_KEY is not set"),
            "no health port": ("XNOVU_HEALTH__PORT", str(taken.getsockname()[1]), "cannot listen"),
        }
        name, env[name], said = ways[what]
        yield said


@pytest.mark.parametrize(
    "command", ["xnovu", pytest.param("faststream", marks=pytest.mark.exhaustive)]
)
@pytest.mark.parametrize(
    "what",
    [
        "an old NATS",
        "a stranger to NATS",
        "no JetStream",
        "a stranger to the database",
        "no key",
        "no health port",
    ],
)
def test_what_can_never_get_better_ends_the_process(
    at_work: Shell, guarded: EmbeddedNats, what: str, command: str
):
    at_work.environment |= {"XNOVU_HEALTH__PORT": "0", "XNOVU_STORE__TIMEOUT": "1"}
    with refusing(what, at_work, guarded) as said:
        done = at_work.run(*COMMANDS[command])
    assert done.returncode == 1, done.stderr
    assert said in done.stderr
    assert "wrong-one" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    "command",
    [
        *("run ingest", "run trigger", "provision"),
        *(pytest.param(f"run {stage}", marks=pytest.mark.exhaustive) for stage in OTHERS),
    ],
)
@pytest.mark.parametrize("whose", ["account", "server"])
def test_where_there_is_no_jetstream_the_process_ends(
    at_work: Shell, guarded: EmbeddedNats, plain: PlainNats, whose: str, command: str
):
    at_work.environment |= {
        "XNOVU_HEALTH__PORT": "0",
        NATS_URL: guarded.url.replace("//", "//plain:p@") if whose == "account" else plain.url,
    }
    done = at_work.xnovu(*command.split(), within=30)
    assert done.returncode == 1, done.stderr
    said = "not enabled for account" if whose == "account" else "this server has no JetStream"
    assert said in done.stderr
    assert "start nats-server with `jetstream { }`" in done.stderr


@pytest.mark.parametrize("stage", ["ingest", "trigger"])
@pytest.mark.parametrize("there", ["no JetStream here", "a JetStream without its leader"])
async def test_a_jetstream_that_may_come_is_waited_for(
    at_work: Shell, tmp_path: Path, started, there: str, stage: str
):
    port, routes = free_port(), f'["nats://{LOOPBACK}:{free_port()}"]'
    settings = {
        "server_name": "here",
        "cluster": f'{{name: c, listen: "{LOOPBACK}:-1", routes: {routes}}}',
    }
    if there != "no JetStream here":
        settings["jetstream"] = f'{{store_dir: "{tmp_path}/store"}}'
    with PlainNats(tmp_path / "nats", settings=settings) as server:
        at_work.environment |= {NATS_URL: server.url, "XNOVU_HEALTH__PORT": str(port)}
        process = started(at_work.start(sys.executable, "-m", "xnovu", "run", stage))

        def is_unanswered() -> bool:
            return "does not answer" in json.loads(asked(port, "/readyz")[1])["checks"]["broker"]

        await eventually(is_unanswered, within=60)
        assert "stopped" in stop(process)  # with exit code 0


async def test_what_was_away_is_taken_up_when_it_comes(
    at_work: Shell, tmp_path: Path, started: Callable[..., subprocess.Popen[str]]
):
    port, nats = free_port(), EmbeddedNats(tmp_path / "nats")
    at_work.environment["XNOVU_HEALTH__PORT"] = str(port)
    nats.start()
    at_work.environment[NATS_URL] = nats.url
    nats.stop()
    process = started(at_work.start(*COMMANDS["xnovu"]))
    await eventually(lambda: asked(port, "/readyz")[0] == 503, within=60)
    assert 'xnovu_ready{check="broker"} 0.0' in asked(port, "/metrics")[1]
    with nats:
        await eventually(lambda: asked(port, "/readyz")[0] == 200, within=60)
        assert 'xnovu_ready{check="broker"} 1.0' in asked(port, "/metrics")[1]
        stop(process)
