"""Why a server is not reached, in words and with the way out, whatever library has tried it."""

import socket
import ssl
from collections.abc import Iterator
from typing import cast
from urllib.parse import urlsplit

UNKNOWN = "this host is unknown: is its name right, and does DNS know it here?"
REFUSED = "nothing listens there (connection refused): does it run, and is the port right?"
SILENT = "nobody answers in time: is it there, and does a firewall let this machine through?"
CUT = "the connection was cut off: is it what listens there, and does it ask for TLS?"
NO_WAY = "this machine has no way to it: is the address right, and the network up?"
_DEEPEST = 12
_SAID: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, UNKNOWN),
    (ConnectionRefusedError, REFUSED),
    (ConnectionError, CUT),
    (EOFError, CUT),
    (TimeoutError, SILENT),
)
_KNOWN = tuple(kind for kind, _ in _SAID)


def why_unreached(error: BaseException) -> str | None:
    """What an error of the network means; None for one that is of something else."""
    return next(filter(None, map(_why, _all(error))), None)


def _why(error: BaseException) -> str | None:
    match error:
        case ssl.SSLCertVerificationError(verify_message=said):
            return f"its TLS certificate is refused here ({said}): trust who signed it"
        case ssl.SSLWantReadError() | ssl.SSLWantWriteError():  # it was still waited for
            return None
        case ssl.SSLError():
            said = getattr(error, "reason", None) or "no reason given"
            return f"TLS fails ({said}): does it speak TLS at this port?"
        case OSError(errno=int(), strerror=str(said)) if not isinstance(error, _KNOWN):
            return f"{said}: {NO_WAY}"
        case _:
            return next((said for kind, said in _SAID if isinstance(error, kind)), None)


def place_of(url: str) -> str:
    """Host and port of a URL, without what may be secret in it."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "an address that cannot be read"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{port}" if port else str(host)


def _all(error: BaseException) -> Iterator[BaseException]:
    """An error, what it was raised from, and the members of groups: the deepest knows most."""
    pending, found = [error], list[BaseException]()
    while pending and len(found) < _DEEPEST:
        each = pending.pop(0)
        found.append(each)
        if isinstance(each, BaseExceptionGroup):
            pending.extend(cast("BaseExceptionGroup[BaseException]", each).exceptions)
        pending.extend(cause for cause in (each.__cause__, each.__context__) if cause)
    return iter(sorted(found, key=_is_general))


def _is_general(error: BaseException) -> bool:
    """Whether an error says little: another one of the same failure may say more."""
    return type(error) in (OSError, TimeoutError, ConnectionError, EOFError)
