"""The data folder of a Postgres server: made by `initdb`, and named for it and for the server."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from xnovu_local.errors import LocalServerError
from xnovu_local.postgres_binaries import NAME, major_version
from xnovu_local.process import NO_CHANGE, User, launcher

# Nothing of the caller's environment (PGOPTIONS, secrets) reaches the server.
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}
BUILTIN_LOCALE_SINCE = 17


def nameless(folder: Path, user: User) -> str:
    """A name for the current folder that works even where the folders above it are closed."""
    return "/proc/self/cwd" if user != NO_CHANGE and sys.platform == "linux" else str(folder)


def make_data(data: Path, programs: Path, user: User, password: str) -> None:
    """Makes a new data folder, whole or not at all; raises LocalServerError."""
    fresh = data.with_name("data.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    _give(fresh, user)
    made = _initdb(fresh, programs, user, password)
    if made.returncode != 0:
        said = made.stdout.decode(errors="replace")[-2000:]
        raise LocalServerError(f"{NAME} could not make its data in {fresh}:\n{said}")
    fresh.replace(data)


def _initdb(
    folder: Path, programs: Path, user: User, password: str
) -> subprocess.CompletedProcess[bytes]:
    command = [
        *(*launcher(folder, user), str(programs / "initdb"), "-D", nameless(folder, user)),
        *("--username=postgres", "--auth=scram-sha-256", "--pwfile=/dev/stdin"),
        *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
    ]
    if major_version(programs) >= BUILTIN_LOCALE_SINCE:
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    with tempfile.TemporaryFile() as secret:
        secret.write(password.encode())
        secret.seek(0)
        _give(secret.fileno(), user)
        return subprocess.run(  # noqa: S603 - our own command line
            command,
            stdin=secret,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
            check=False,
        )


def _give(thing: Path | int, user: User) -> None:
    if user != NO_CHANGE:
        os.chown(thing, user.user, user.group)
