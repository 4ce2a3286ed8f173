"""The command as a user types it, in processes of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from xnovu.cli.dev import prepare
from xnovu.cli.stack import Stack

ROOT = Path(__file__).parents[2]
LONG = 120


def clean_environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XNOVU_")}
    return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **more}


@dataclass
class Shell:
    """Somewhere to type commands: a folder and an environment."""

    folder: Path
    environment: dict[str, str] = field(default_factory=clean_environment)

    def xnovu(
        self, *arguments: str, stdin: str = "", within: int = LONG
    ) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "xnovu", *arguments, stdin=stdin, within=within)

    def run(
        self, *command: str, stdin: str = "", within: int = LONG
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=within,
        )

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Postgres, NATS and a local Novu, migrated and provisioned; no stage runs."""
    before = dict(os.environ)
    folder = tmp_path_factory.mktemp("stack")
    with Stack(folder, postgres_settings={"fsync": "off"}) as stack:
        stack.start_servers()
        prepare(stack)
        yield stack
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def at_work(servers: Stack, tmp_path: Path) -> Shell:
    """A shell that is configured for the servers."""
    return Shell(tmp_path, clean_environment(**servers.environment()))


@pytest.fixture
def started() -> Iterator[Callable[[subprocess.Popen[str]], subprocess.Popen[str]]]:
    """Takes care of processes: whatever still lives at the end of the test is killed."""
    processes: list[subprocess.Popen[str]] = []

    def keep(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
        processes.append(process)
        return process

    yield keep
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> str:
    """Ask a process to stop and return all it has printed; it must end well."""
    process.send_signal(number)
    output, _ = process.communicate(timeout=LONG)
    assert process.returncode == 0, output
    return output
