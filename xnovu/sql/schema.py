"""The schema's versions, as they are shipped."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema; ``name`` is its file's, ``checksum`` the SHA-256 of its text."""

    version: int
    name: str
    checksum: str
    sql: bytes = field(repr=False, compare=False)


@cache
def migrations() -> Sequence[Migration]:
    """All migrations that this version of XNovu knows, in order."""
    texts = files("xnovu.sql").joinpath("migrations").iterdir()
    return tuple(
        sorted(
            (_migration(file.name, file.read_bytes()) for file in texts if ".sql" in file.name),
            key=lambda migration: migration.version,
        )
    )


def _migration(name: str, text: bytes) -> Migration:
    stem = name.removesuffix(".sql")
    return Migration(int(stem[:4]), stem, hashlib.sha256(text).hexdigest(), text)
