"""What is installed on request: which distribution, or extra, brings a module that is missing."""

from collections.abc import Generator
from contextlib import contextmanager

from xnovu.errors import ConfigurationError

BROUGHT_BY = {
    **dict.fromkeys(("faststream", "nats", "cryptography", "starlette", "uvicorn"), "xnovu[nats]"),
    **dict.fromkeys(("supabase", "realtime", "postgrest", "websockets"), "xnovu[supabase]"),
    **dict.fromkeys(("typer", "rich"), "xnovu[cli]"),
    "xnovu_local": "xnovu-local",
}
"""What `pip install` is told, by the package that is missing."""


@contextmanager
def wanted() -> Generator[None]:
    """
    Import what is installed on request.

    Raises:
        ConfigurationError: it is not, and this is what to install.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in BROUGHT_BY:
            raise
        way_out = f"pip install '{BROUGHT_BY[missing]}'"
        raise ConfigurationError(f"{missing} is not installed: {way_out}") from error
