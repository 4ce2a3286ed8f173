"""What the server does not let this user do, as far as it says so."""

import re

from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.js.errors import APIError, ServiceUnavailableError

from xnovu.errors import ConfigurationError

ACKNOWLEDGEMENTS = "$js.ack."
PROBE = ".0.0.0.0.0"
"""The end of an acknowledgement of no message: it tells whether one would be heard."""
JETSTREAM_IS = "start nats-server with `jetstream { }`, and give the account `jetstream: enabled`"
"""The way out, where there is none."""
NONE_HERE = f"this server has no JetStream: {JETSTREAM_IS}"
NO_JETSTREAM = {10039, 10076}
"""JetStream's error codes where the account, or the server, has none."""
_SERVERS_OWN = re.compile(
    r"(?<=\")_inbox|\$js\.(ack|api\.(consumer\.(msg\.next|[a-z]+)|stream\.(msg\.[a-z]+|[a-z]+)|[a-z]+))(\.[\w-]+)?"
)
"""A call or an acknowledgement and its stream: nats-py tells them in lower case."""
_DENIED = re.compile(r'permissions violation for .*?"(\S+)"')


GRANT = (
    "grant it in the server's configuration (configs/nats-secure.conf has what each stage needs)"
    " and reload the server"
)


def denied(said: str) -> str | None:
    """The subject that an error is about, in lower case, as nats-py has it; None: of no denial."""
    found = _DENIED.search(said.lower())
    return found[1] if found else None


def beginning(subject: str) -> str:
    """What a denial is about: a call, a consumer's acknowledgements, or a kind of messages."""
    low = subject.lower()
    words = 4 if low.startswith(ACKNOWLEDGEMENTS) else 7 if low.startswith("$js.") else 2
    return ".".join(low.split(".")[:words])


def way_out(said: str, who: str) -> str:
    """A denial with whom it is about, and what to do."""
    spelled = _SERVERS_OWN.sub(lambda found: found[0].upper(), said)
    inbox = " or set transport.inbox_prefix to the one it has;" if '"_INBOX' in spelled else ""
    return f"{spelled}: {who} has no such right;{inbox} {GRANT}"


def require_jetstream(error: BaseException, client: Client | None) -> None:
    """
    Raises ConfigurationError where an error says that this account, or the server, has none.

    A JetStream that is away for a moment says so itself, with a code.
    """
    if client and is_unanswered(error) and stands_alone(client):
        raise ConfigurationError(f"NATS: {NONE_HERE}") from error
    if isinstance(error, APIError) and error.err_code in NO_JETSTREAM:
        said = f"NATS: {error.description} ({error.err_code})"
        raise ConfigurationError(f"{said}: {JETSTREAM_IS}") from error


def is_unanswered(error: BaseException) -> bool:
    """Whether nobody listens for what was asked of JetStream."""
    nameless = isinstance(error, ServiceUnavailableError) and error.err_code is None
    return nameless or isinstance(error, NoRespondersError)


def stands_alone(client: Client) -> bool:
    """
    Whether this server has no JetStream, and no cluster in which another may have one.

    A leaf node says nothing of its hub, whose JetStream answers through it: so this is only worth
    a look where nobody answers. A leaf without its hub looks like a server that stands alone.
    """
    told = client._server_info  # pyright: ignore[reportPrivateUsage]
    return not told.get("jetstream") and not told.get("cluster")
