"""The migrations as files of a Supabase project, for its CLI and for the SQL editor."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from xnovu.errors import ConfigurationError
from xnovu.sql.schema import Migration, migrations

# A file's name begins with its version, in whose order the CLI applies them: pkg/migration/list.go
# in github.com/supabase/cli. It refuses one that would come before what the database has.
NAMED = re.compile(r"(\d+)_(.+)\.sql")
MOMENT = "%Y%m%d%H%M%S"
FIRST = datetime(2026, 1, 1)


@dataclass(frozen=True, slots=True)
class MigrationFile:
    """A migration as a file: where, with which text, and whether it is there already."""

    migration: Migration
    path: Path
    written: bool
    text: str = field(repr=False)

    def write(self) -> None:
        """Make the file, and its folder; raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(self.text, "utf-8", newline="\n")


def migration_files(project: Path) -> Sequence[MigrationFile]:
    """
    All migrations as files of this project, in order; writes none.

    A file keeps the version it was given. A new one has a fixed version, the same everywhere, but
    comes after whatever the project has: its own tables first, and nothing applied out of order.

    Raises:
        ConfigurationError: a file that was written is not as it was.
    """
    folder = _folder(project)
    present = _present(folder)
    latest = max((path.name for path in present.values()), default="")
    files: list[MigrationFile] = []
    for migration in migrations():
        name = f"xnovu_{migration.name}"
        if name in present:
            files.append(_unchanged(migration, present[name]))
            continue
        latest = f"{_version(migration, latest)}_{name}.sql"
        files.append(MigrationFile(migration, folder / latest, False, migration.script))
    return files


def _folder(project: Path) -> Path:
    """Where the CLI looks, by whichever of its folders the project is named."""
    nested = project / "supabase"
    match project.resolve():
        case _ if nested.is_dir():
            return nested / "migrations"
        case Path(name="migrations", parent=Path(name="supabase")):
            return project
        case Path(name="supabase"):
            return project / "migrations"
        case _:
            return nested / "migrations"


def _present(folder: Path) -> Mapping[str, Path]:
    """The migrations there are, the project's own among them, by their names without version."""
    if not folder.is_dir():
        return {}
    found = {path: NAMED.fullmatch(path.name) for path in sorted(folder.iterdir())}
    return {match[2]: path for path, match in found.items() if match}


def _unchanged(migration: Migration, path: Path) -> MigrationFile:
    text = path.read_text("utf-8")
    if text != migration.script:
        raise ConfigurationError(
            f"{path} is not what was written there: restore it, or remove it if no database has it"
        )
    return MigrationFile(migration, path, True, text)


def _version(migration: Migration, latest: str) -> str:
    """Its own, or the one after the last, where that comes later."""
    fixed = FIRST + timedelta(seconds=migration.version)
    return max(f"{fixed:{MOMENT}}", _after(latest.partition("_")[0]))


def _after(version: str) -> str:
    if not version:
        return ""
    try:
        return f"{datetime.strptime(version, MOMENT) + timedelta(seconds=1):{MOMENT}}"
    except ValueError:  # any digits will do
        return str(int(version) + 1).zfill(len(version))
