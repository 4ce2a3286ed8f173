"""Where a project's Realtime is, and as whom it is asked."""

from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import dataclass

from pydantic_core import from_json

from xnovu.adapters.supabase.clients import Access

PATH = "/realtime/v1"


@dataclass(frozen=True, slots=True)
class Credentials:
    """
    The project's URL, its key and, where RLS is to hold for it, a user's JWT.

    Each is asked anew whenever it is needed, so all of them can change without a restart.
    """

    url: Callable[[], str]
    key: Callable[[], str]
    token: Callable[[], str] | None = None

    def access(self) -> Access:
        """
        Where Realtime is, and the key that lets in.

        Raises:
            ConfigurationError, Paused: the project's URL or its key is none.
        """
        project = Access(self.url().strip(), self.key().strip()).check()
        return Access(project.url.rstrip("/") + PATH, project.key)


def expiry(token: str) -> float | None:
    """When a JWT ends, in seconds since 1970; None if it does not, or is no JWT (RFC 7519)."""
    try:
        claims = token.split(".")[1]
        told = from_json(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        return float(told["exp"])
    except (IndexError, KeyError, TypeError, ValueError):
        return None
