"""Migrations as files of a Supabase project: where, under which names, and never over others."""

import hashlib
from pathlib import Path

import pytest

from xnovu.cli.migration_files import migration_files
from xnovu.errors import ConfigurationError
from xnovu.sql.schema import migrations

PINNED = "29edd88028cf89c78c0b933d55b077a96767ca1f0ded552672cf7a4702d2f6a5"
NAMES = [migration.name for migration in migrations()]


def write(project: Path) -> list[str]:
    """Their names, as they are in the folder."""
    files = migration_files(project)
    for file in files:
        if not file.written:
            file.write()
    return [file.path.name for file in files]


def test_each_has_a_version_of_its_own_that_never_changes(tmp_path: Path) -> None:
    expected = [f"20260101{int(name[:4]):06}_xnovu_{name}.sql" for name in NAMES]
    assert write(tmp_path) == expected
    assert sorted(path.name for path in tmp_path.glob("supabase/migrations/*")) == expected


def test_what_was_written_is_what_will_be_written(tmp_path: Path) -> None:
    """People have these files: a text that changed would be taken for one that they changed."""
    write(tmp_path)
    first = next(tmp_path.glob("supabase/migrations/*_xnovu_0001_tables.sql"))
    assert hashlib.sha256(first.read_bytes()).hexdigest() == PINNED


def test_again_there_is_nothing_to_write(tmp_path: Path) -> None:
    before = write(tmp_path)
    files = migration_files(tmp_path)
    assert all(file.written for file in files)
    assert [file.path.name for file in files] == before


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


def test_one_that_was_changed_is_named_and_kept(tmp_path: Path) -> None:
    write(tmp_path)
    changed = next(tmp_path.glob("supabase/migrations/*_xnovu_0002_*"))
    changed.write_text("-- mine")
    with pytest.raises(ConfigurationError, match=changed.name):
        migration_files(tmp_path)
    assert changed.read_text() == "-- mine"


def test_another_systems_line_ends_are_no_change(tmp_path: Path) -> None:
    write(tmp_path)
    for path in tmp_path.glob("supabase/migrations/*"):
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
def test_they_come_after_what_the_project_has(tmp_path: Path, last: str, following: str) -> None:
    """The CLI refuses a migration older than what the database has."""
    folder = tmp_path / "supabase" / "migrations"
    folder.mkdir(parents=True)
    (folder / f"{last}_own_tables.sql").touch()
    (folder / "README.md").touch()
    names = write(tmp_path)
    assert names[0] == f"{following}_xnovu_{NAMES[0]}.sql"
    assert names == sorted(names)
    assert write(tmp_path) == names


def test_a_new_one_comes_after_what_followed_the_others(tmp_path: Path) -> None:
    names = write(tmp_path)
    folder = tmp_path / "supabase" / "migrations"
    (folder / names[-1]).unlink()
    (folder / "20270101000000_own.sql").touch()
    assert write(tmp_path) == [*names[:-1], f"20270101000001_xnovu_{NAMES[-1]}.sql"]
