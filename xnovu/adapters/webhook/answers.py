"""What a webhook's answers mean: the status, and of a look-up or a cancellation the body."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import cast

import httpx
from pydantic_core import from_json

from xnovu.errors import Paused, Permanent, Retryable, Unclear, XNovuError
from xnovu.exchange import retry_after
from xnovu.retraction import Recalled

_AUTH = ("provider_auth", "the webhook does not accept the signature")
_ADDRESS = ("provider_address", "no webhook is at this URL")
_PAUSES = {
    401: _AUTH,
    402: ("provider_payment", "the webhook asks for payment"),
    403: _AUTH,
    407: ("provider_auth", "a proxy asks for credentials"),
    408: ("provider_unavailable", "the webhook did not wait for the request"),
    429: ("rate_limited", "the webhook's rate limit is reached"),
    **dict.fromkeys((300, 301, 302, 303, 305, 307, 308, 404, 405, 410), _ADDRESS),
}
"""Statuses that say that nothing was taken, and that it is not the call's fault."""

_OUTCOMES = {
    "unknown": Recalled(),
    "open": Recalled(there=True, sent=True),
    "cancelled": Recalled(there=True, settled=True, spared=True),
    "partly": Recalled(there=True, settled=True, sent=True, spared=True),
    "too_late": Recalled(there=True, settled=True, sent=True),
}
TOO_LATE = _OUTCOMES["too_late"]


def unclear(what: str) -> Unclear:
    """It may have been accepted."""
    return Unclear(f"unclear if the webhook took it: {what}", code="provider_unclear")


def unavailable(what: str, after: float | None = None) -> Paused:
    """It was certainly not accepted."""
    said = f"the webhook is not available: {what}"
    return Paused(said, code="provider_unavailable", after=after)


def verdict(response: httpx.Response) -> XNovuError | None:
    """What became of the call that was posted; None: it was accepted."""
    if response.is_success:
        return None
    if paused := _paused(response):
        return paused
    match status := response.status_code:
        case 409 | 425:
            return unclear(f"an earlier request is still under way ({status})")
        case 413:
            return Permanent("the webhook refused it (413): it is too large", code="too_large")
        case _ if response.is_client_error:
            return Permanent(f"the webhook refused it ({status})", code="provider_refused")
        case _:
            return unclear(f"HTTP {status}")


def found(response: httpx.Response, body: bytes) -> bool | XNovuError:
    """Whether a look-up finds the call; a page that is not the webhook's says nothing."""
    said = _fields(body).get("found")
    if response.is_success and isinstance(said, bool):
        return said
    return _paused(response) or _failed("look-up", response)


def recalled(response: httpx.Response, body: bytes) -> Recalled | XNovuError:
    """How far the call has got that was to be taken back."""
    said = _fields(body).get("outcome")
    if response.is_success and isinstance(said, str) and said in _OUTCOMES:
        return _OUTCOMES[said]
    return _paused(response) or _failed("cancellation", response)


def _paused(response: httpx.Response) -> Paused | None:
    status, after = response.status_code, retry_after(response)
    if status in _PAUSES:
        code, words = _PAUSES[status]
        return Paused(f"{words} ({status})", code=code, after=after)
    if status == HTTPStatus.SERVICE_UNAVAILABLE and after is not None:
        return unavailable("HTTP 503", after)
    return None


def _failed(what: str, response: httpx.Response) -> Retryable:
    why = "the answer cannot be read" if response.is_success else f"HTTP {response.status_code}"
    return Retryable(f"the {what} failed: {why}", code="provider_unclear")


def _fields(body: bytes) -> Mapping[str, object]:
    try:
        read: object = from_json(body)
    except ValueError:
        return {}
    return cast("Mapping[str, object]", read) if isinstance(read, dict) else {}
