"""The environment's variables: which there are, and what was meant by one that is not."""

import os
from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from xnovu.compose import secrets
from xnovu.errors import ConfigurationError

PREFIX = "XNOVU_"
BETWEEN = "__"
CONFIG = "XNOVU_CONFIG"
LOG_LEVEL = "XNOVU_LOG_LEVEL"
CONFORMANCE = {"XNOVU_SUPABASE_ANON_KEY", "XNOVU_SUPABASE_JWT_SECRET"}
"""Variables of `./run conformance` alone."""
LOCAL = {"XNOVU_PG_BIN", "XNOVU_PG_USER", "XNOVU_NATS_BIN", "XNOVU_POSTGREST_BIN"}
"""Variables of the embedded servers."""
NAMED = {CONFIG, LOG_LEVEL, *(name for each in secrets.NAMES for name in (each, f"{each}_FILE"))}


def variable(*path: str) -> str:
    """The variable of a setting."""
    return PREFIX + BETWEEN.join(path).upper()


def refuse_unknown(tables: Iterable[str], settings: Iterable[str]) -> None:
    """
    Refuse a variable of ours that is none; of those of a known table, that table's model decides.

    Raises:
        ConfigurationError: with all of them by name, and what may have been meant.
    """
    known = NAMED | LOCAL | CONFORMANCE
    begun = tuple(f"{PREFIX}{table}{BETWEEN}".upper() for table in tables)
    unknown = sorted(
        name
        for name in os.environ
        if name.startswith(PREFIX) and name not in known and not name.upper().startswith(begun)
    )
    if unknown:
        meant = [*NAMED, *settings]
        raise ConfigurationError("\n".join(_told(name, meant) for name in unknown))


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """The nearest of the known names, as the end of a sentence; empty if none is near."""
    near = get_close_matches(given, list(known), n=1, cutoff=0.6)
    return f": did you mean {near[0]}?" if near else ""


def _told(name: str, known: Iterable[str]) -> str:
    meant = did_you_mean(name, known) or ": configs/xnovu.toml and docs/operations.md name them all"
    return f"there is no variable {name}{meant}"


def set_ones(prefix: str = PREFIX) -> Iterator[str]:
    """The variables of ours that are set."""
    return (name for name in sorted(os.environ) if name.startswith(prefix))
