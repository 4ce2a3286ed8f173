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

    @property
    def script(self) -> str:
        """
        The step as it is run, by whatever means: all or nothing, recorded, never taken twice.

        Plain SQL that may be run inside a transaction or without one.
        """
        return _step().format(
            version=self.version, name=self.name, checksum=self.checksum, sql=self.sql.decode()
        )


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


@cache
def _step() -> str:
    return files("xnovu.sql").joinpath("step.sql").read_text("utf-8")


def _migration(name: str, text: bytes) -> Migration:
    stem = name.removesuffix(".sql")
    return Migration(int(stem[:4]), stem, hashlib.sha256(text).hexdigest(), text)
