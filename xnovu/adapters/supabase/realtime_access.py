"""Where a project's Realtime is, and as whom it is asked."""

from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import dataclass

from pydantic_core import from_json

from xnovu.errors import ConfigurationError

PATH = "/realtime/v1"


@dataclass(frozen=True, slots=True)
class Access:
    """
    The project's URL, its key and, where RLS is to hold for it, a user's JWT.

    Each is asked anew whenever it is needed, so all of them can change without a restart.
    """

    url: Callable[[], str]
    key: Callable[[], str]
    token: Callable[[], str] | None = None

    def address(self) -> str:
        """
        Tell where Realtime is.

        Raises:
            ConfigurationError: the project's URL is none.
        """
        url = self.url().strip().rstrip("/")
        if not url.startswith(("https://", "http://")):
            raise ConfigurationError("the URL of the Supabase project does not begin with https://")
        return url + PATH


def expiry(token: str) -> float | None:
    """When a JWT ends, in seconds since 1970; None if it does not, or is no JWT (RFC 7519)."""
    try:
        claims = token.split(".")[1]
        told = from_json(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        return float(told["exp"])
    except (IndexError, KeyError, TypeError, ValueError):
        return None
