"""Which XNovu this is."""

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def installed() -> str:
    """The installed distribution's version; of sources that run as they are, their project's."""
    try:
        return version("xnovu")
    except PackageNotFoundError:
        return tomllib.loads(PROJECT.read_text("utf-8"))["project"]["version"]
