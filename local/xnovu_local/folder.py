"""The folder of one local server: what it remembers between runs, and who owns it."""

import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from xnovu_local.errors import LocalServerError
from xnovu_local.ports import free_port, is_free

POLL = 0.01
PATIENCE = 3.0


def wait_until(check: Callable[[], bool], within: float) -> bool:
    """Whether `check` came true within so many seconds."""
    deadline = time.monotonic() + within
    while not (held := check()) and time.monotonic() < deadline:
        time.sleep(POLL)
    return held


class Folder:
    """
    A server's folder, owned through a file lock.

    The server's processes inherit the lock. So it is free exactly when all of them are gone, even
    those of a supervisor that was killed.
    """

    def __init__(self, path: Path, server: str) -> None:
        self.path = path.absolute()
        self.log = self.path / "server.log"
        self._server = server
        self._lock: int | None = None

    def own(self) -> int:
        """
        Takes the folder and gives the lock's descriptor.

        Waits up to 3 s for a server that is just stopping. Raises LocalServerError when a server
        runs there, or when the folder is someone else's.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            owned = self._lock is None and wait_until(self._take, within=PATIENCE)
        except OSError as error:
            raise LocalServerError(
                f"{self._server} cannot use its folder {self.path} ({error.strerror}):"
                " give it another folder, or run as the user this one belongs to"
            ) from error
        if not owned or self._lock is None:
            raise self._occupied()
        return self._lock

    def release(self) -> None:
        """
        Gives the folder up and waits (up to 10 s) until no process of the server has files open.

        The kernel may need some milliseconds more to take such a process off its list.
        """
        if self._lock is None:
            return
        self._close()
        wait_until(self._take, within=10)
        self._close()

    def recall(self, key: str) -> str | None:
        """What was remembered under this key, in this run or an earlier one."""
        return self._state().get(key)

    def remember(self, key: str, value: str) -> None:
        """Keeps a value for later runs, readable by the folder's user only."""
        fresh = self.path / "state.json.new"
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(self._state() | {key: value}, file)
        fresh.replace(self._state_file)

    def port(self, key: str) -> int:
        """The port to listen on: the one of the last run if it is free, else any."""
        last = self.recall(key)
        port = int(last) if last and is_free(int(last)) else free_port()
        self.remember(key, str(port))
        return port

    def last_lines(self, count: int = 12) -> str:
        """The end of the server's log, for a message."""
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - 4096))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-count:])

    @property
    def _state_file(self) -> Path:
        return self.path / "state.json"

    def _state(self) -> dict[str, str]:
        if not self._state_file.exists():
            return {}
        return cast(dict[str, str], json.loads(self._state_file.read_text()))

    def _take(self) -> bool:
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        os.truncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        self._lock = lock
        return True

    def _close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _occupied(self) -> LocalServerError:
        owner = (self.path / "lock").read_text() or "unknown"
        return LocalServerError(
            f"{self._server} already runs in {self.path} (started by process {owner}):"
            " stop that one, or give this one another folder"
        )
