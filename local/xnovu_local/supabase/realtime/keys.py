"""Who may come in: what the Realtime asks about API keys and access tokens."""

import time
from collections.abc import Mapping
from typing import Any

import jwt

from xnovu_local.supabase.keys import Keys

Claims = Mapping[str, Any]
MISSING_CLAIMS = "Fields `role` and `exp` are required in JWT"


class Refused(Exception):
    """A token that does not let its bearer in; ``code`` is the server's, the text for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def checked(keys: Keys, token: str, now: float | None = None) -> Claims:
    """The claims of a key or a token; raises Refused, in the server's own words."""
    try:
        claims = keys.claims(token)
    except jwt.ExpiredSignatureError:
        raise Refused("InvalidJWTToken", expired(_exp(token), now)) from None
    except jwt.MissingRequiredClaimError:
        raise Refused("InvalidJWTToken", MISSING_CLAIMS) from None
    except jwt.InvalidSignatureError:
        raise Refused("JwtSignatureError", "Failed to validate JWT signature") from None
    except jwt.InvalidTokenError:
        raise Refused("MalformedJWT", "The token provided is not a valid JWT") from None
    if "role" not in claims or ("exp" not in claims and not is_key(token)):
        raise Refused("InvalidJWTToken", MISSING_CLAIMS)
    return claims


def expired(at: float, now: float | None = None) -> str:
    """What the server says of a token that has expired at this time."""
    ago = (time.time() if now is None else now) - at
    return f"Token has expired {max(0, int(ago))} seconds ago"


def is_key(token: str) -> bool:
    """Whether it is an API key of the new kind rather than a token."""
    return token.startswith("sb_")


def _exp(token: str) -> float:
    unverified: Claims = jwt.decode(token, options={"verify_signature": False})
    return float(unverified.get("exp", 0))
