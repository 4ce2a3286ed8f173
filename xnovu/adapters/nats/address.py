"""Where the broker is and who asks to be let in, with the secrets apart from what is shown."""

import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from xnovu.adapters.nats.nkeys import UserCredentials, UserKey
from xnovu.adapters.nats.options import NatsOptions
from xnovu.errors import ConfigurationError

Url = Callable[[], str]
"""One address or several, comma-separated; the first one's credentials are for all."""
Told = Callable[[], str]
"""A secret, asked for anew whenever a connection is made."""


@dataclass(frozen=True, slots=True)
class Access:
    """
    Where NATS is, and who asks to be let in.

    By a ``.creds`` file's text, by an nkey's seed, by a user with a password, or as the URL says;
    the first of these that there is. Over TLS where the URL is a ``tls://`` one or a certificate
    is named: then never in the clear.
    """

    url: Url
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    inbox_prefix: str = "_INBOX"
    creds: Told | None = field(default=None, repr=False)
    nkey: Told | None = field(default=None, repr=False)
    user: Told | None = field(default=None, repr=False)
    password: Told | None = field(default=None, repr=False)

    @property
    def servers(self) -> list[str]:
        """The addresses without credentials, fit to be shown."""
        return bare_servers(self.url)

    @property
    def encrypted(self) -> bool:
        """Whether it was asked for TLS."""
        schemes = {urlsplit(server).scheme for server in self.servers}
        return bool(self.tls_ca or self.tls_cert or schemes & {"tls", "wss"})

    def context(self) -> ssl.SSLContext:
        """
        With the certificates as they are now.

        Raises ConfigurationError: one of the files cannot be read, or is no certificate.
        """
        try:
            context = ssl.create_default_context(cafile=self.tls_ca)
            if self.tls_cert:
                context.load_cert_chain(self.tls_cert, self.tls_key)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            named = "transport.tls_ca, tls_cert or tls_key"
            why = getattr(error, "strerror", None) or type(error).__name__
            raise ConfigurationError(f"NATS: {named} cannot be used: {why}") from error
        return context

    @property
    def who(self) -> str:
        """Who it is that asks; never a secret."""
        try:
            if self.key:
                return f"nkey {self.key.public}"
        except ConfigurationError as error:
            return f"somebody ({error})"
        told = credentials(self.url, self.user, self.password)
        if "user" in told:
            return f"user {told['user']()!r}"
        return "the token of the URL" if "token" in told else "nobody: no credentials were given"

    @property
    def key(self) -> UserKey | None:
        """The key that signs. Raises ConfigurationError: there is none in what was given."""
        if self.creds:
            return UserCredentials.of_text(self.creds()).key
        return UserKey.of_seed(self.nkey().strip()) if self.nkey else None

    def introduction(self) -> dict[str, Any]:
        """Arguments of nats-py's ``connect``, which asks them anew whenever it connects."""
        given: dict[str, Any] = {"inbox_prefix": self.inbox_prefix}
        if self.encrypted:
            given["tls"] = self.context()
        if creds := self.creds:
            given["user_jwt_cb"] = lambda: UserCredentials.of_text(creds()).jwt.encode()
        if self.key:
            return given | {"signature_cb": self._signed}
        return given | credentials(self.url, self.user, self.password)

    def _signed(self, nonce: str) -> bytes:
        return self.key.sign(nonce) if self.key else b""


def access_of(where: "str | Url | Access", options: NatsOptions | None = None) -> Access:
    """A plain address is reached as the options say, by what it says itself."""
    if isinstance(where, Access):
        return where
    told = options or NatsOptions()
    return Access(asked(where), told.tls_ca, told.tls_cert, told.tls_key, told.inbox_prefix)


def bare_servers(url: Url) -> list[str]:
    """The addresses without credentials, fit to be shown."""
    return [_bare(urlsplit(part.strip())) for part in url().split(",")]


def asked(url: str | Url) -> Url:
    """
    What can be asked for again, at any time.

    While it cannot be read (a secret's file is being replaced) it is what was read last.
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


def credentials(
    url: Url, name: Told | None = None, secret: Told | None = None
) -> dict[str, Callable[[], str]]:
    """How the client introduces itself. In a URL, a user without a password is a token."""

    def user() -> str:
        return name() if name else unquote(_first(url).username or "")

    def password() -> str:
        return secret() if secret else unquote(_first(url).password or "")

    if not user():
        return {}
    return {"user": user, "password": password} if password() else {"token": user}


def _first(url: Url) -> SplitResult:
    return urlsplit(url().split(",", 1)[0].strip())


def _bare(url: SplitResult) -> str:
    return url._replace(netloc=url.netloc.rpartition("@")[-1]).geturl()
