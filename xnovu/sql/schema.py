"""The schema as it is shipped: the tables step by step, functions and rights as they are now."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

ACCESS = "xnovu_access"
"""The last of the functions: who may use the others, and the tables."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the tables; ``name`` is its file's, ``checksum`` what the ledger says of it."""

    version: int
    name: str
    checksum: str
    sql: str = field(repr=False, compare=False)

    @property
    def script(self) -> str:
        """
        The step as it is run, by whatever means: all or nothing, recorded, never taken twice.

        Plain SQL that may be run inside a transaction or without one.
        """
        return _read("step.sql").format(
            version=self.version, name=self.name, checksum=self.checksum, sql=self.sql
        )


@dataclass(frozen=True, slots=True)
class Function:
    """A function as it is now; ``checksum`` is its text's, that of :data:`ACCESS` of everything."""

    name: str
    checksum: str
    sql: str = field(repr=False, compare=False)


@cache
def migrations() -> Sequence[Migration]:
    """The steps of the tables that this version of XNovu knows, in order."""
    texts = _texts("tables")
    # Versions 1 to 19 held functions, too, some nothing else: databases know them by these.
    lines = (line.split() for line in _read("versions.txt").splitlines())
    checksums = {name: sha256(text) for name, text in texts.items()} | {
        name: checksum for checksum, name in lines
    }
    return tuple(
        Migration(int(name[:4]), name, checksum, texts.get(name, ""))
        for name, checksum in sorted(checksums.items())
    )


@cache
def functions() -> Sequence[Function]:
    """All functions, by name, and after them :data:`ACCESS`, which changes with whatever does."""
    texts, access = _texts("functions"), _read("access.sql")
    everything = sha256("".join([migrations()[-1].name, *texts.values(), access]))
    each = (Function(name, sha256(text), text) for name, text in texts.items())
    return (*each, Function(ACCESS, everything, access))


def functions_script(chosen: Iterable[Function]) -> str:
    """
    These as they are brought into a database, by whatever means, in one transaction.

    What the database has already is left alone; if it is of a newer version, everything.
    """
    parts = (f"        ('{it.name}', '{it.checksum}', $part$\n{it.sql}$part$)" for it in chosen)
    return _read("functions.sql").format(version=migrations()[-1].version, parts=",\n".join(parts))


def roles_script() -> str:
    """
    What makes the roles `xnovu_stage` and `xnovu_sender` and lets them in, in one transaction.

    It may be run again. The database must be up to date.
    """
    roles = _read("roles.sql").format(version=migrations()[-1].version)
    return roles + functions_script(functions()[-1:])


def sha256(text: str) -> str:
    """As the ledgers have it."""
    return hashlib.sha256(text.encode()).hexdigest()


def _texts(folder: str) -> Mapping[str, str]:
    """By name, in order."""
    found = sorted(file.name for file in files("xnovu.sql").joinpath(folder).iterdir())
    return {name.removesuffix(".sql"): _read(f"{folder}/{name}") for name in found}


@cache
def _read(name: str) -> str:
    return files("xnovu.sql").joinpath(name).read_text("utf-8")
