"""One server program as a child: it starts, stops, freezes, is killed, dies with its parent."""

import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from xnovu_local.errors import LocalServerError
from xnovu_local.folder import Folder, wait_until

START_WITHIN = 60.0
STOP_WITHIN = 30.0
# Linux takes the death of the *thread* that made a child for the death of its parent. So children
# are made by one thread that lives as long as this process.
_BIRTHPLACE = ThreadPoolExecutor(max_workers=1, thread_name_prefix="xnovu-local")


@dataclass(frozen=True, slots=True)
class User:
    """Whom a child becomes."""

    user: int
    group: int


NO_CHANGE = User(0, 0)


@dataclass(frozen=True, slots=True)
class Command:
    """What a child runs, where, as whom, and how to see (given its pid) that it is ready."""

    arguments: Sequence[str | Path]
    folder: Path
    ready: Callable[[int], bool]
    user: User = NO_CHANGE
    environment: Mapping[str, str] | None = None


def launcher(folder: Path, user: User) -> list[str]:
    """The words before a command that make it this process's own child."""
    launch = str(Path(__file__).with_name("launch.py"))
    numbers = map(str, (os.getpid(), user.user, user.group))
    return [sys.executable, "-I", "-S", launch, *numbers, str(folder)]


class Server(ABC):
    """
    A server and its whole family of processes, owner of its folder.

    It keeps its port there, and takes it again if it is free. On Linux it dies with the process
    that started it.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = Folder(folder, name)
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _command(self) -> Command:
        """What to run, everything prepared for it; the folder is owned by then."""

    @property
    def running(self) -> bool:
        """Whether the server lives (frozen counts)."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """
        Starts the server and waits until it is ready.

        Raises LocalServerError when a server runs there already or this one does not come up.
        """
        if self._process is not None and not self.running:
            self._forget()
        lock = self._folder.own()
        try:
            self._come_up(self._command(), lock)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Shuts the server down and waits for it, 30 s at most; what it has stored stays."""
        if self._process is not None and self.running:
            self.resume()
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                self.kill()
        self._forget()

    def kill(self) -> None:
        """Ends all its processes on the spot (SIGKILL); `start` brings it back, on its port."""
        if self._process is not None and self.running:
            _signal_all(_freeze(self._process.pid), signal.SIGKILL)
            self._process.wait()
        self._forget()

    def pause(self) -> None:
        """Freezes every process of the server: connections stay open, nothing answers any more."""
        if self._process is not None and self.running:
            frozen = _freeze(self._process.pid)
            wait_until(lambda: all(map(_stands_still, frozen)), within=STOP_WITHIN)

    def resume(self) -> None:
        """Lets a frozen server go on."""
        if self._process is not None and self.running:
            _signal_all(family(self._process.pid), signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _known(self, key: str) -> str:
        """What is known of its address from the first start on."""
        if (value := self._folder.recall(key)) is None:
            raise LocalServerError(f"{self._name} has no address yet: start it first")
        return value

    def _come_up(self, command: Command, lock: int) -> None:
        process = self._process = _BIRTHPLACE.submit(self._spawn, command, lock).result()
        wait_until(
            lambda: process.poll() is not None or command.ready(process.pid), within=START_WITHIN
        )
        if process.poll() is not None or not command.ready(process.pid):
            raise LocalServerError(
                f"{self._name} did not start; the end of {self._folder.log}:\n"
                + self._folder.last_lines()
            )

    def _spawn(self, command: Command, lock: int) -> subprocess.Popen[bytes]:
        prefix = launcher(command.folder, command.user)
        with self._folder.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own command line
                [*prefix, *map(str, command.arguments)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=command.environment,
                pass_fds=(lock,),
                start_new_session=True,  # Ctrl-C is for the supervisor, which then stops the server
            )

    def _forget(self) -> None:
        self._process = None
        self._folder.release()


def family(root: int) -> set[int]:
    """
    The pids of a process and of all its living descendants.

    Not simply its process group: each backend of Postgres leads a group of its own.
    """
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found, fresh = set[int](), [root]
    while fresh:
        found.update(fresh)
        fresh = [child for pid in fresh for child in children.get(pid, ())]
    return found


def _parents() -> list[tuple[int, int]]:
    if sys.platform == "linux":  # `ps` is missing from small images
        return [pair for stat in Path("/proc").glob("[0-9]*/stat") if (pair := _parent(stat))]
    listing = subprocess.run(
        ["/bin/ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=True
    )
    return [(int(pid), int(ppid)) for pid, ppid in map(str.split, listing.stdout.splitlines())]


def _parent(stat: Path) -> tuple[int, int] | None:
    try:
        after_name = stat.read_text(errors="replace").rpartition(")")[2]
    except OSError:  # gone meanwhile
        return None
    return int(stat.parent.name), int(after_name.split()[1])


def _freeze(root: int) -> set[int]:
    frozen = set[int]()
    while fresh := family(root) - frozen:  # until none was forked between the look and the signal
        _signal_all(fresh, signal.SIGSTOP)
        frozen |= fresh
    return frozen


def _stands_still(pid: int) -> bool:
    """Whether all its threads have stopped: the signal reaches them one by one (seen on Linux)."""
    return all(map(_is_stopped, Path(f"/proc/{pid}/task").glob("*/stat")))


def _is_stopped(stat: Path) -> bool:
    try:
        state = stat.read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:  # gone meanwhile
        return True
    return state in {"T", "t", "Z", "X"}  # proc(5)


def _signal_all(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
