"""What the server does not let this user do, as far as it says so."""

import re

from nats.js.errors import APIError

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


def require_jetstream(error: BaseException) -> None:
    """Raises ConfigurationError where an error says that this account, or the server, has none."""
    if isinstance(error, APIError) and error.err_code in NO_JETSTREAM:
        raise ConfigurationError(f"NATS: {error.description} ({error.err_code})") from error
