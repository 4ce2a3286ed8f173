"""What NATS, its client or the network says, in words, with the place and the way out."""

import ssl
from collections.abc import Sequence

from nats.errors import Error as NatsError
from nats.errors import NoServersError
from nats.js.errors import APIError, ServiceUnavailableError

from xnovu.adapters.nats.rights import JETSTREAM_IS, NO_JETSTREAM, NONE_HERE, is_unanswered
from xnovu.errors import ConfigurationError, Paused, XNovuError
from xnovu.reaching import why_unreached

STRANGER = "authorization violation"
REFUSED = (STRANGER, "user authentication", "authentication timeout")
"""What the server says of credentials it does not know, or no longer."""


def cause(error: BaseException) -> str:
    """Why something failed; never a message, a payload or a secret."""
    if isinstance(error, NoServersError):
        return "none of its servers can be reached"
    if why := why_unreached(error):
        return f"{why}{_certificate(error)}"
    known = isinstance(error, NatsError | OSError | ConfigurationError)
    said = (str(error) if known else "") or type(error).__name__
    return said.removeprefix("nats: ").strip("'")


def not_connected(errors: Sequence[BaseException], address: str, who: str) -> XNovuError:
    """A connection that no server has let in; ``who`` asked."""
    told = list(dict.fromkeys(map(cause, errors)))
    for said in told:
        if any(word in said.lower() for word in REFUSED):
            return refused(said, address, who)
    where = f"cannot connect to NATS at {address} as {who}"
    return Paused(f"{where}: {'; '.join(told)}", code="broker_unavailable")


def refused(said: str, address: str, who: str) -> ConfigurationError:
    """The server does not let this user in."""
    return ConfigurationError(
        f"NATS at {address} refuses the credentials: {said} ({who}): are those in XNOVU_NATS_URL,"
        " or in the files that XNOVU_NATS_CREDS_FILE, XNOVU_NATS_NKEY_FILE, XNOVU_NATS_USER and"
        " XNOVU_NATS_PASSWORD_FILE name, the server's?"
    )


def unanswered(
    error: BaseException, address: str, denials: Sequence[str] = (), *, alone: bool = False
) -> XNovuError:
    """
    A request that failed on a connection that stands.

    ``denials`` are what the server has said, on the side, that this user may not do;
    ``alone``: that its server has no JetStream, and nobody beside it that might.
    """
    if denials:
        said = "; ".join(denials).removeprefix("nats: ")
        return ConfigurationError(f"NATS at {address}: {said}")
    if alone and is_unanswered(error):
        return ConfigurationError(f"NATS at {address}: {NONE_HERE}")
    match error:
        case APIError(err_code=int(code)) if code in NO_JETSTREAM:
            return _no_jetstream(address, f"{error.description}, {code}")
        case _ if is_unanswered(error):
            return _no_jetstream(address, "nobody answers to its API")
        case APIError() if not isinstance(error, ServiceUnavailableError):
            return ConfigurationError(f"NATS at {address} refuses: {_told(error)}")
        case _:
            said = _told(error) if isinstance(error, APIError) else cause(error)
            return Paused(f"NATS at {address}: {said}", code="broker_unavailable")


def _no_jetstream(address: str, said: str) -> ConfigurationError:
    return ConfigurationError(
        f"NATS at {address} has no JetStream for this account ({said}): {JETSTREAM_IS}"
    )


def _told(error: APIError) -> str:
    return f"{error.description or 'no reason given'} ({error.err_code or error.code})"


def _certificate(error: BaseException) -> str:
    """Which setting a certificate is named by, where it is one that is refused."""
    match error:
        case ssl.SSLCertVerificationError():
            named = "transport.tls_ca to the certificate of who has signed the server's"
        case ssl.SSLError():
            named = "transport.tls_cert and transport.tls_key to a certificate the server takes"
        case _:
            return ""
    return f": set {named}"
