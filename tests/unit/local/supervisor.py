"""A process that starts an embedded server and waits, to be killed by a test; and its start."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

REPOSITORY = Path(__file__).parents[3]


@contextmanager
def supervisor(
    kind: str,
    folder: Path,
    python: str = sys.executable,
    user: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The running process and its server's address."""
    with subprocess.Popen(
        [python, "-m", __name__, kind, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        user=user,
        env={
            "PYTHONPATH": ":".join(map(str, (REPOSITORY, *filter(None, sys.path)))),
            **(environment or {}),
        },
    ) as process:
        assert process.stdout
        address = process.stdout.readline().strip()
        assert address, f"the {kind} supervisor failed"
        yield process, address


def reachable(address: str) -> bool:
    """Whether something listens there."""
    parts = urlsplit(address)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname or "", parts.port or 0)) == 0


def main(kind: str, folder: Path) -> None:
    from xnovu_local.nats import EmbeddedNats
    from xnovu_local.postgres import EmbeddedPostgres
    from xnovu_local.supabase import Postgrest

    match kind:
        case "postgres":
            server = EmbeddedPostgres(folder)
        case "nats":
            server = EmbeddedNats(folder)
        case _:
            server = Postgrest(folder, os.environ["DSN"], os.environ["JWT_SECRET"])
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()  # the starting thread ends, which must not end the server
    address = server.dsn if isinstance(server, EmbeddedPostgres) else server.url
    sys.stdout.write(address + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
