"""What the server does not let this user do, as far as it says so."""

import re

from nats.aio.client import Client
from nats.js.errors import APIError, ServiceUnavailableError

from xnovu.errors import ConfigurationError

ACKNOWLEDGEMENTS = "$js.ack."
PROBE = ".0.0.0.0.0"
"""The end of an acknowledgement of no message: it tells whether one would be heard."""
NO_JETSTREAM = {10039, 10076}
"""JetStream's error codes where the account, or the server, has none."""
_DENIED = re.compile(r'permissions violation for .*?"(\S+)"')


def denied(said: str) -> str | None:
    """The subject that an error is about, in lower case, as nats-py has it; None: of no denial."""
    found = _DENIED.search(said.lower())
    return found[1] if found else None


def beginning(subject: str) -> str:
    """What a denial is about: a consumer's acknowledgements, or a kind of messages."""
    low = subject.lower()
    return ".".join(low.split(".")[: 4 if low.startswith(ACKNOWLEDGEMENTS) else 2])


def require_jetstream(error: BaseException, client: Client | None = None) -> None:
    """
    Raises ConfigurationError where an error says that this account, or the server, has none.

    Where nobody answers, that is said of a server that stands alone; in a cluster others may have.
    """
    if isinstance(error, ServiceUnavailableError) and client and _has_none(client):
        raise ConfigurationError("NATS: this server has no JetStream") from error
    if isinstance(error, APIError) and error.err_code in NO_JETSTREAM:
        raise ConfigurationError(f"NATS: {error.description} ({error.err_code})") from error


def _has_none(client: Client) -> bool:
    """By what the server said of itself at the beginning."""
    told = getattr(client, "_server_info", {"jetstream": True})
    return not told.get("jetstream") and "cluster" not in told
