"""Where the broker is, with the credentials kept apart from what may be shown."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypedDict
from urllib.parse import SplitResult, unquote, urlsplit

from xnovu.errors import ConfigurationError

Url = Callable[[], str]
"""One address or several, comma-separated; the first one's credentials are for all."""


class Credentials(TypedDict, total=False):
    """Arguments of nats-py's ``connect``, which asks them anew whenever it connects."""

    user: Url
    password: Url
    token: Url


SCHEMES = ("nats", "tls", "ws", "wss")


def require_url(text: str) -> None:
    """Raises ConfigurationError, without the text, where it names no server."""
    for part in text.split(","):
        try:
            url = urlsplit(part.strip() if "://" in part else f"nats://{part.strip()}")
            fits = url.scheme in SCHEMES and url.hostname and url.port != 0
        except ValueError:
            fits = False
        if not fits:
            raise ConfigurationError(
                "is no address of NATS, such as nats://host:4222 or tls://user:password@host:4222"
                " (several: with commas between)"
            )


def bare_servers(url: Url) -> list[str]:
    """The addresses without credentials, fit to be shown."""
    return [_bare(urlsplit(part.strip())) for part in url().split(",")]


def asked(url: str | Url) -> Url:
    """
    An address that can be asked for again, at any time.

    While it cannot be read (a secret's file is being replaced) it is the one that was read last.
    """
    if not callable(url):
        return lambda: url
    last = url()

    def ask() -> str:
        nonlocal last
        with suppress(Exception):
            last = url()
        return last

    return ask


def credentials(url: Url) -> Credentials:
    """How the client introduces itself. A user without a password is a token."""

    def user() -> str:
        return unquote(_first(url).username or "")

    def password() -> str:
        return unquote(_first(url).password or "")

    if not user():
        return {}
    return {"user": user, "password": password} if password() else {"token": user}


def _first(url: Url) -> SplitResult:
    return urlsplit(url().split(",", 1)[0].strip())


def _bare(url: SplitResult) -> str:
    return url._replace(netloc=url.netloc.rpartition("@")[-1]).geturl()
