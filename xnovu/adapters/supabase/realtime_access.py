"""Where a project's Realtime is, and as whom it is asked."""

import time
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


def seconds_left(token: str, came: float, zero: float | None) -> float | None:
    """
    How long a JWT still holds (RFC 7519); None if it is none, or does not say.

    This machine's clock is not asked: whoever looks at the token has another. ``came`` is when the
    token came here, and ``zero`` what the server's clock (seconds since 1970) showed at 0, both by
    ``time.monotonic``. If the server did not tell, the token is taken for one that came when new.
    """
    try:
        claims = token.split(".")[1]
        told = from_json(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        began = float(told["iat"]) - came if zero is None else zero
        return float(told["exp"]) - began - time.monotonic()
    except (IndexError, KeyError, TypeError, ValueError):
        return None
