"""The migrations 1 to 19 as they were, when they held functions, too: databases have had them."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest

FOLDER = Path(__file__).parent


def old_checksums() -> Mapping[str, str]:
    return {path.stem: sha256(path.read_bytes()).hexdigest() for path in _paths()}


def old_scripts() -> Mapping[str, str]:
    """By name, as they were run: in a Supabase project, each was a file."""
    step = (FOLDER / "step.sql").read_text()
    return {
        path.stem: step.format(
            version=int(path.stem[:4]),
            name=path.stem,
            checksum=sha256(path.read_bytes()).hexdigest(),
            sql=path.read_text(),
        )
        for path in _paths()
    }


def skip_unless_known(server: psycopg.ConnectionInfo, version: int) -> None:
    """From version 14 on their functions were of Postgres 17: no older server can have had them."""
    if version >= 14 and server.server_version < 170000:
        pytest.skip(f"version {version} of the schema is for Postgres 17 and up")


def _paths() -> list[Path]:
    return sorted((FOLDER / "migrations").glob("*.sql"))
