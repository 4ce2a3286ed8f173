"""The schema as files of a Supabase project: where, under which names, and never over others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.upgrades import old_scripts
from xnovu.cli import migration_files as module
from xnovu.cli.migration_files import migration_files
from xnovu.errors import ConfigurationError
from xnovu.sql.schema import Function, Migration, functions, migrations

LATEST = max(19, migrations()[-1].version)
FRESH = ["20260101000001_xnovu_schema.sql", f"20260101{LATEST:06}_xnovu_schema.sql"]
STEPS = [migration.name for migration in migrations()]
TEXTS = [function.name for function in functions()]


def write(project: Path) -> list[str]:
    """Their names, as they are in the folder."""
    files = migration_files(project)
    for file in files:
        if not file.written:
            file.write()
    return [file.path.name for file in files]


def contents(path: Path) -> list[str]:
    """What a file says that it contains."""
    head, _, _ = path.read_text().partition("\n\n")
    return [line.removeprefix("--   ") for line in head.splitlines() if line.startswith("--   ")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "supabase" / "migrations"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def old(folder: Path) -> list[str]:
    """The files of versions 1 to 19, as people have them."""
    scripts = {f"20260101{int(it[:4]):06}_xnovu_{it}.sql": it for it in old_scripts()}
    for name, migration in scripts.items():
        (folder / name).write_text(old_scripts()[migration])
    return list(scripts)


@pytest.fixture
def next_release(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One with a step more, and another text of one function."""
    *others, access = functions()
    changed = others[3]
    newer = Function(changed.name, "f" * 64, "SELECT 1;")
    more = Migration(9000, "9000_more", "e" * 64, "SELECT 2;")
    monkeypatch.setattr(module, "migrations", lambda: (*migrations(), more))
    rights = Function(access.name, "d" * 64, access.sql)
    texts = (*(newer if it == changed else it for it in others), rights)
    monkeypatch.setattr(module, "functions", lambda: texts)
    yield


def test_a_project_without_any_gets_all(tmp_path: Path, folder: Path) -> None:
    """New values of an enum, which the first step adds, must be committed before they are used."""
    assert write(tmp_path) == FRESH
    first, second = (folder / name for name in FRESH)
    assert contents(first) == STEPS[:1]
    assert contents(second) == [*STEPS[1:], *TEXTS]
    assert sorted(path.name for path in folder.iterdir()) == FRESH


def test_again_there_is_nothing_to_write(tmp_path: Path) -> None:
    before = write(tmp_path)
    files = migration_files(tmp_path)
    assert all(file.written for file in files)
    assert [file.path.name for file in files] == before


def test_old_files_stay_and_the_rest_comes_after_them(
    tmp_path: Path, folder: Path, old: list[str]
) -> None:
    before = [(folder / name).read_bytes() for name in old]
    *kept, new = write(tmp_path)
    assert kept == old
    assert new == max("20260101000020", f"20260101{LATEST:06}") + "_xnovu_schema.sql"
    newer = [step for step in STEPS if step > "0020"]
    assert contents(folder / new) == [*newer, *TEXTS]
    assert write(tmp_path) == [*old, new]
    assert [(folder / name).read_bytes() for name in old] == before


def test_of_old_files_only_those_that_are_missing_are_made_up_for(
    tmp_path: Path, folder: Path, old: list[str]
) -> None:
    for name in old[10:]:
        (folder / name).unlink()
    new = write(tmp_path)[-1]
    missing = [step for step in STEPS if step > "0011"]
    assert contents(folder / new) == [*missing, *TEXTS]


def test_a_release_brings_what_it_changed(
    tmp_path: Path, folder: Path, request: pytest.FixtureRequest
) -> None:
    before = write(tmp_path)
    request.getfixturevalue("next_release")
    *kept, new = write(tmp_path)
    assert kept == before
    assert contents(folder / new) == ["9000_more", TEXTS[3], TEXTS[-1]]
    assert write(tmp_path) == [*before, new]


@pytest.mark.usefixtures("next_release")
def test_an_older_one_adds_nothing_to_a_newer_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = write(tmp_path)
    monkeypatch.undo()
    assert write(tmp_path) == newer


@pytest.mark.parametrize("named", [".", "supabase", "supabase/migrations"])
def test_the_project_may_be_named_by_any_of_its_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    folder = tmp_path / "supabase" / "migrations"
    folder.mkdir(parents=True)
    for project in (tmp_path / named, Path()):
        monkeypatch.chdir(tmp_path / named)
        paths = {file.path.resolve().parent for file in migration_files(project)}
        assert paths == {folder}


def test_a_project_inside_a_folder_of_that_name(tmp_path: Path) -> None:
    project = tmp_path / "supabase"
    (project / "supabase").mkdir(parents=True)
    assert migration_files(project)[0].path.parent == project / "supabase" / "migrations"


@pytest.mark.parametrize("name", ["20260101000002_xnovu_0002_audit.sql", FRESH[1]])
@pytest.mark.parametrize("edit", ["-- mine", "{}-- mine", ""], ids=["other", "more", "empty"])
@pytest.mark.usefixtures("old")
def test_one_that_was_changed_is_named_and_kept(
    tmp_path: Path, folder: Path, name: str, edit: str
) -> None:
    changed = folder / write(tmp_path)[-1] if name == FRESH[1] else folder / name
    text = edit.format(changed.read_text().replace("SELECT", "SELEKT"))
    changed.write_text(text)
    with pytest.raises(ConfigurationError, match=changed.name):
        migration_files(tmp_path)
    assert changed.read_text() == text


@pytest.mark.usefixtures("old")
def test_another_systems_line_ends_are_no_change(tmp_path: Path, folder: Path) -> None:
    write(tmp_path)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert all(file.written for file in migration_files(tmp_path))


@pytest.mark.parametrize(
    ("last", "following"),
    [
        ("20250101000000", "20260101000001"),
        ("20261231235959", "20270101000000"),
        ("20269999999999", "20270000000000"),
    ],
)
def test_they_come_after_what_the_project_has(
    tmp_path: Path, folder: Path, last: str, following: str
) -> None:
    """The CLI refuses a migration older than what the database has."""
    (folder / f"{last}_own_tables.sql").touch()
    (folder / "README.md").touch()
    names = write(tmp_path)
    assert names[0] == f"{following}_xnovu_schema.sql"
    assert names == sorted(names)
    assert write(tmp_path) == names


def test_a_new_one_comes_after_what_followed_the_others(tmp_path: Path, folder: Path) -> None:
    names = write(tmp_path)
    (folder / names[-1]).unlink()
    (folder / "20270101000000_own.sql").touch()
    assert write(tmp_path) == [*names[:-1], "20270101000001_xnovu_schema.sql"]
