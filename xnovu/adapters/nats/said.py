"""What NATS, its client or the network says, in words, with the place and the way out."""

from collections.abc import Sequence

from nats.errors import Error as NatsError
from nats.errors import NoRespondersError, NoServersError
from nats.js.errors import APIError, ServiceUnavailableError

from xnovu.adapters.nats.rights import JETSTREAM_IS, NO_JETSTREAM
from xnovu.errors import ConfigurationError, Paused, XNovuError
from xnovu.reaching import why_unreached

STRANGER = "authorization violation"
REFUSED = (STRANGER, "user authentication", "authentication timeout")
"""What the server says of credentials it does not know, or no longer."""
ASK_FOR_RIGHTS = "docs/operations.md lists what a user needs"


def cause(error: BaseException) -> str:
    """Why something failed; never a message, a payload or a secret."""
    if isinstance(error, NoServersError):
        return "none of its servers can be reached"
    if why := why_unreached(error):
        return why
    known = isinstance(error, NatsError | OSError | ConfigurationError)
    said = (str(error) if known else "") or type(error).__name__
    return said.removeprefix("nats: ").strip("'")


def not_connected(error: BaseException, address: str, *, as_somebody: bool) -> XNovuError:
    """A connection that could not be made."""
    said = cause(error)
    if any(word in said.lower() for word in REFUSED):
        return refused(said, address, as_somebody=as_somebody)
    return Paused(f"cannot connect to NATS at {address}: {said}", code="broker_unavailable")


def refused(said: str, address: str, *, as_somebody: bool) -> ConfigurationError:
    """The server does not let this user in."""
    if as_somebody:
        return ConfigurationError(
            f"NATS at {address} refuses the credentials ({said}): are those in XNOVU_NATS_URL the"
            " server's?"
        )
    return ConfigurationError(
        f"NATS at {address} asks for credentials, and none are set ({said}): put them into"
        " XNOVU_NATS_URL, or the file that XNOVU_NATS_URL_FILE names"
    )


def unanswered(error: BaseException, address: str, denials: Sequence[str] = ()) -> XNovuError:
    """
    A request that failed on a connection that stands.

    ``denials`` are what the server has said, on the side, that this user may not do.
    """
    if denials:
        said = "; ".join(denials).removeprefix("nats: ")
        return ConfigurationError(f"NATS at {address}: {said}: grant it ({ASK_FOR_RIGHTS})")
    match error:
        case APIError(err_code=int(code)) if code in NO_JETSTREAM:
            return _no_jetstream(address, f"{error.description}, {code}")
        case ServiceUnavailableError(err_code=None) | NoRespondersError():
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
