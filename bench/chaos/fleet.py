"""The stages as processes, to be killed and frozen; forked from one that has loaded everything."""

import asyncio
import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path

PRELOAD = ["xnovu.cli.run", "xnovu.adapters.novu.sdk"]
PR_SET_PDEATHSIG = 1
STARTED = '"event": "started"'
PROVISIONED = "all is provisioned"
START = 120.0
"""Seconds that they may take to start."""
LOOK_EVERY = 0.1


def _become(names: Sequence[str], environment: Mapping[str, str], log: str) -> None:
    """What a forked process does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(written, 1)
    os.dup2(written, 2)
    os.environ.clear()
    os.environ.update(environment)
    from xnovu.cli.run import run_stages
    from xnovu.cli.setup import provision_broker

    if names:
        run_stages(names, None)
    else:
        asyncio.run(provision_broker())
        print(PROVISIONED, flush=True)


class Fleet:
    """Processes of stages, by number; each can be killed, frozen and brought back."""

    def __init__(
        self, layout: Sequence[Sequence[str]], environment: Mapping[str, str], log: Path
    ) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)
        self._layout = layout
        self._environment = {**os.environ, **environment}
        self._log = log
        self._processes: list[ForkServerProcess | None] = [None] * len(layout)

    def start(self) -> None:
        for number in range(len(self._layout)):
            self.begin(number)

    async def started(self) -> None:
        """Wait until every process says that it is at work."""
        async with asyncio.timeout(START):
            while True:
                if self._log.read_text().count(STARTED) >= len(self._layout):
                    return
                await asyncio.sleep(LOOK_EVERY)

    @property
    def processes(self) -> list[int]:
        """Their process ids."""
        return [process.pid for process in self._processes if process and process.pid]

    def provision(self) -> None:
        """Make the streams and consumers; a forkserver may not know how it has ended."""
        before = self._times_provisioned()
        self._forked(()).join()
        if self._times_provisioned() == before:
            raise RuntimeError(f"cannot provision: {self._log.read_text()[-2000:]}")

    def _times_provisioned(self) -> int:
        return self._log.read_text().count(PROVISIONED) if self._log.exists() else 0

    def begin(self, number: int) -> None:
        self._processes[number] = self._forked(self._layout[number])

    def _forked(self, names: Sequence[str]) -> ForkServerProcess:
        process = self._context.Process(
            target=_become,
            args=(tuple(names), self._environment, str(self._log)),
            daemon=True,
        )
        process.start()
        return process

    def kill(self, number: int) -> None:
        process = self._processes[number]
        if process:
            process.kill()
            process.join()

    def freeze(self, number: int) -> None:
        self._signal(number, signal.SIGSTOP)

    def thaw(self, number: int) -> None:
        self._signal(number, signal.SIGCONT)

    def stop(self) -> None:
        """Everybody has to go."""
        for number in range(len(self._processes)):
            self.kill(number)

    def mend(self) -> list[int]:
        """Bring back who is not there; says who had ended by himself, which nobody should."""
        ended: list[int] = []
        for number, process in enumerate(self._processes):
            if process and not process.is_alive():
                if process.exitcode != -signal.SIGKILL:
                    ended.append(process.exitcode or 0)
                self.begin(number)
        return ended

    def _signal(self, number: int, what: signal.Signals) -> None:
        process = self._processes[number]
        if process and process.pid:
            with suppress(ProcessLookupError):
                os.kill(process.pid, what)
