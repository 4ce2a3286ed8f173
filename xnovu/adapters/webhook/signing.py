"""Signatures as the Standard Webhooks specification has them (https://www.standardwebhooks.com)."""

import base64
import binascii
import hashlib
import hmac

PREFIX = "whsec_"
LENGTH = range(24, 65)
"""Bytes of a secret."""


def signed(secrets: str, name: str, timestamp: int, body: bytes) -> dict[str, str]:
    """
    The three headers of a message that is called ``name``, at ``timestamp`` (seconds since 1970).

    ``secrets`` is one, or several with spaces between them while one takes the place of another:
    there is a signature by each. Raises ValueError for what is none.
    """
    content = b".".join((name.encode(), str(timestamp).encode(), body))
    signatures = [f"v1,{_signature(key, content)}" for key in _keys(secrets)]
    return {
        "webhook-id": name,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def _signature(key: bytes, content: bytes) -> str:
    return base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()


def _keys(secrets: str) -> list[bytes]:
    keys = [_key(secret) for secret in secrets.split()]
    if not keys:
        raise ValueError("is empty")
    return keys


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in LENGTH:
        raise ValueError(f"is not {PREFIX} and base64 of 24 to 64 bytes") from None
    return key
