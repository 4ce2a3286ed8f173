"""The schema as files of a Supabase project, for its CLI and for the SQL editor."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from xnovu.errors import ConfigurationError
from xnovu.sql.schema import Function, Migration, functions, functions_script, migrations, sha256

# A file's name begins with its version, in whose order the CLI applies them: pkg/migration/list.go
# in github.com/supabase/cli. It refuses one that would come before what the database has.
NAMED = re.compile(r"(\d+)_(.+)\.sql")
NAME = "xnovu_schema"
MOMENT = "%Y%m%d%H%M%S"
FIRST = datetime(2026, 1, 1)
HEAD = """\
-- XNovu's schema, written by `xnovu migrate --supabase`; not to be edited.
-- sha256 {checksum}
{rest}"""
HEADED = re.compile(r"--[^\n]*\n-- sha256 (?P<checksum>[0-9a-f]{64})\n(?P<text>.*)", re.DOTALL)
# Those of versions 1 to 19 were a file each.
OLD = re.compile(
    r".*EXECUTE \$migration\$\n(?P<text>.*)\n    \$migration\$;.*'(?P<checksum>[0-9a-f]{64})'\);",
    re.DOTALL,
)
# In both: what a script writes into the ledgers.
HAS = re.compile(r"'(\w+)', '([0-9a-f]{64})'")


@dataclass(frozen=True, slots=True)
class MigrationFile:
    """A file of XNovu's in the project: where, with which text, and whether it is there already."""

    path: Path
    written: bool
    text: str = field(repr=False)

    def write(self) -> None:
        """Make the file, and its folder; raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(self.text, "utf-8", newline="\n")


def migration_files(project: Path) -> Sequence[MigrationFile]:
    """
    XNovu's files in this project, in order, and those that are to be added; writes none.

    What is added is what no file contains yet: all, or what has changed since the last ones. It has
    a fixed version, the same everywhere, but comes after whatever the project has: its own tables
    first, and nothing applied out of order.

    Raises:
        ConfigurationError: a file that was written is not as it was.
    """
    folder = _folder(project)
    present = _present(folder)
    old = {f"xnovu_{migration.name}" for migration in migrations()}
    files = [
        _unchanged(path, HEADED if name == NAME else OLD)
        for path, name in present.items()
        if name == NAME or name in old
    ]
    has = {name: checksum for file in files for name, checksum in HAS.findall(file.text)}
    latest = max((path.name for path in present), default="")
    for version, steps, texts in _missing(has):
        latest = f"{_version(version, latest)}_{NAME}.sql"
        files.append(MigrationFile(folder / latest, False, _text(steps, texts)))
    return files


def _missing(
    has: Mapping[str, str],
) -> Iterable[tuple[int, Sequence[Migration], Sequence[Function]]]:
    """What is missing where this is there, a file each; nothing, if a newer XNovu wrote some."""
    latest = migrations()[-1].version
    if any(name[:4].isdigit() and int(name[:4]) > latest for name in has):
        return
    pending = [each for each in migrations() if has.get(each.name) != each.checksum]
    changed = [each for each in functions() if has.get(each.name) != each.checksum]
    # It may add values to an enum, which must be committed before they are used, and a file is one
    # transaction.
    if migrations()[0] in pending:
        yield 1, [pending.pop(0)], []
    if pending or changed:
        yield latest, pending, changed or functions()[-1:]


def _text(steps: Sequence[Migration], texts: Sequence[Function]) -> str:
    rest = "".join(f"--   {each.name}\n" for each in (*steps, *texts))
    scripts = [step.script for step in steps] + ([functions_script(texts)] if texts else [])
    rest += "".join(f"\n{script}" for script in scripts)
    return HEAD.format(checksum=sha256(rest), rest=rest)


def _unchanged(path: Path, form: re.Pattern[str]) -> MigrationFile:
    text = path.read_text("utf-8")
    found = form.match(text)
    if not found or sha256(found["text"]) != found["checksum"]:
        raise ConfigurationError(
            f"{path} is not what was written there: restore it, or remove it if no database has it"
        )
    return MigrationFile(path, True, text)


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


def _present(folder: Path) -> Mapping[Path, str]:
    """The migrations there are, the project's own among them, with their names without version."""
    if not folder.is_dir():
        return {}
    found = {path: NAMED.fullmatch(path.name) for path in sorted(folder.iterdir())}
    return {path: match[2] for path, match in found.items() if match}


def _version(number: int, latest: str) -> str:
    """Its own, or the one after the last, where that comes later."""
    fixed = FIRST + timedelta(seconds=number)
    return max(f"{fixed:{MOMENT}}", _after(latest.partition("_")[0]))


def _after(version: str) -> str:
    if not version:
        return ""
    try:
        return f"{datetime.strptime(version, MOMENT) + timedelta(seconds=1):{MOMENT}}"
    except ValueError:  # any digits will do
        return str(int(version) + 1).zfill(len(version))
