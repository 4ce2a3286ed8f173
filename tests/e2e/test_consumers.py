"""docs/consumers.md as it is read: every snippet, in order, against real servers."""

import re
import shlex
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.e2e.conftest import LONG, ROOT, Shell, stop
from tests.e2e.test_stages import an_enterprise, insert, states

SNIPPET = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = {
    "xnovu": (sys.executable, "-m", "xnovu"),
    "python": (sys.executable,),
    "faststream": (str(Path(sys.executable).with_name("faststream")),),
}


def snippets() -> Iterator[tuple[str, str]]:
    for found in SNIPPET.finditer((ROOT / "docs" / "consumers.md").read_text()):
        yield found[1], found[2]


def command(line: str) -> tuple[str, ...]:
    program, *arguments = shlex.split(line)
    return *PROGRAMS[program], *arguments


def write(shell: Shell, language: str, text: str) -> None:
    name = text.splitlines()[0].removeprefix("# ")
    (shell.folder / name).write_text(text)
    if language == "toml":
        shell.environment["XNOVU_CONFIG"] = name


@dataclass
class Running:
    """A command at work; what it says goes to a file."""

    process: subprocess.Popen[str]
    log: Path

    async def says(self, pattern: str) -> None:
        await eventually(lambda: self._said(pattern) or self.process.poll() is not None, LONG)
        assert self._said(pattern), self.log.read_text()

    def _said(self, pattern: str) -> bool:
        return re.search(pattern, self.log.read_text()) is not None


Run = Callable[[str], Awaitable[Running]]


@pytest.fixture
def run(at_work: Shell, started) -> Run:
    async def run(line: str) -> Running:
        log = at_work.folder / f"{len(list(at_work.folder.iterdir()))}.log"
        quoted = f"exec {shlex.join(command(line))} > {log} 2>&1"
        running = Running(started(at_work.start("sh", "-c", quoted)), log)
        await eventually(log.exists)
        await running.says('"started"')
        return running

    return run


async def test_every_snippet_does_what_is_said(at_work: Shell, servers, run: Run):
    at_work.environment["XNOVU_HEALTH__PORT"] = "0"
    pipeline = await run("xnovu run all")
    for language, text in snippets():
        if language == "sh":
            for line in text.splitlines():
                await follow(at_work, run, line)
        else:
            write(at_work, language, text)
    counter = await run("xnovu run counter")
    await a_row_is_sent(at_work)
    stop(counter.process)
    stop(pipeline.process)
    assert (at_work.folder / "hello" / "test_hello.py").exists()


async def follow(shell: Shell, run: Run, line: str) -> None:
    """Type a line; what runs for ever is stopped once it was told of a row."""
    if " run " in line:
        running = await run(line)
        await a_row_is_sent(shell)
        if line.endswith("greeter"):
            await running.says(r"notification \d+ is SENT")
        stop(running.process)
    elif "--to warehouse" in line:
        running = await run("xnovu run warehouse thanks")
        await running.says("copied")
        assert re.search(r"replayed: [1-9]", typed(shell, line))
        stop(running.process)
    else:
        typed(shell, line)


def typed(shell: Shell, line: str) -> str:
    done = shell.run(*command(line))
    assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    return done.stdout


async def a_row_is_sent(shell: Shell) -> None:
    enterprise = an_enterprise(shell)
    insert(shell, enterprise, 1)
    await eventually(lambda: states(shell, enterprise) == {"SENT": 1}, within=LONG)


def test_consumers_are_told_and_removed_by_name(at_work: Shell):
    listed = at_work.xnovu("consumers", "list")
    assert listed.returncode == 0, listed.stderr
    gone = at_work.xnovu("consumers", "remove", "nobody", "--yes")
    assert gone.returncode == 1
    assert "no consumer 'nobody'" in gone.stderr
    stage = at_work.xnovu("consumers", "remove", "trigger", "--yes")
    assert "trigger is a stage" in stage.stderr


def test_a_new_consumer_overwrites_nothing(shell: Shell):
    assert shell.xnovu("new", "consumer", "well-met").returncode == 0
    names = sorted(path.name for path in (shell.folder / "well-met").iterdir())
    assert names == ["pyproject.toml", "test_well_met.py", "well_met.py"]
    again = shell.xnovu("new", "consumer", "well-met")
    assert again.returncode == 1
    assert "is there already" in again.stderr
    for name in ("trigger", "class", "a b", "7"):
        refused = shell.xnovu("new", "consumer", name)
        assert refused.returncode == 1, name


def test_a_module_without_a_consumer_is_named(at_work: Shell):
    (at_work.folder / "empty.py").write_text("")
    done = at_work.xnovu("run", "empty")
    assert done.returncode == 1
    assert "module 'empty' has no consumer" in done.stderr
