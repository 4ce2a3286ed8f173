"""
What Novu's answers mean.

The rules are those measured on Novu's API 3.15: only ``status`` tells whether an event was taken
(``acknowledged`` is true for errors too), and an outcome is unclear unless it is certain that Novu
has not taken the event.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from itertools import islice
from typing import cast

import httpx
from pydantic_core import from_json

from xnovu.adapters.novu.phrases import REFUSALS, joined, violation
from xnovu.adapters.novu.requests import Event
from xnovu.errors import Paused, Permanent, Unclear, XNovuError
from xnovu.exchange import retry_after

_KEY = ("provider_auth", "Novu does not accept the API key")
_ADDRESS = ("provider_address", "Novu's API is not at this URL")
_PAUSES = {
    401: _KEY,
    402: ("provider_payment", "Novu asks for payment"),
    403: _KEY,
    407: ("provider_auth", "a proxy asks for credentials"),
    408: ("provider_unavailable", "Novu did not wait for the request"),
    429: ("rate_limited", "Novu's rate limit is reached"),
    **dict.fromkeys((301, 302, 303, 307, 308, 404, 405), _ADDRESS),
}
"""Statuses that leave the event untouched and are not its fault: code, and what to tell."""

_MAX_VIOLATIONS = 10
_INDEX = re.compile(r"\bindex\D{0,3}(\d{1,3})\b|\bevents[.\[](\d{1,3})\b")
_REUSED = re.compile(r'Request with key "[^"]*" is being reused for a different body')
_logger = logging.getLogger(__name__)


def unclear(what: str) -> Unclear:
    """It may have been accepted."""
    return Unclear(f"unclear if Novu took it: {what}", code="provider_unclear")


def unavailable(what: str, after: float | None = None) -> Paused:
    """It was certainly not accepted; Novu cannot be reached."""
    return Paused(f"Novu is not available: {what}", code="provider_unavailable", after=after)


def unmakeable(what: str) -> Permanent:
    """It was certainly not accepted, and never will be: no request can be made of it."""
    return Permanent(f"no request to Novu can be made of it: {what}", code="request_invalid")


def is_replay_of_error(response: httpx.Response) -> bool:
    """Whether the idempotency key is spent: on an error, or on a body other than this one."""
    status = response.status_code
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return response.headers.get("idempotency-replay", "").lower() == "true"
    if status != HTTPStatus.UNPROCESSABLE_ENTITY:
        return False
    return bool(_REUSED.match(_message(_json(response))))


def obstacle(response: httpx.Response) -> XNovuError | None:
    """What an answer says that is no word about the event itself; None if it is about that."""
    status = response.status_code
    if status in _PAUSES:
        code, words = _PAUSES[status]
        return Paused(f"{words} ({status})", code=code, after=retry_after(response))
    match status:
        case 200 if "text/html" in response.headers.get("content-type", ""):
            return Paused("a web page, not Novu, is at this URL", code="provider_address")
        case 409:
            return unclear("an earlier request is still running (409)")
        case 503 if _is_novus(response):
            return unavailable("HTTP 503", retry_after(response))
        case _ if status in (200, 201) or response.is_client_error:
            return None
        case _:
            return unclear(f"HTTP {status}")


def single_verdict(response: httpx.Response, event: Event) -> XNovuError | None:
    """What became of the one event of a request that met no obstacle."""
    if response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return too_large()
    if response.is_client_error:
        return _refusal(response)
    return _verdict(_json(response).get("data"), event)


def bulk_verdicts(response: httpx.Response, events: Sequence[Event]) -> list[XNovuError | None]:
    """What became of each event of a bulk; all is unclear if the answer does not fit the events."""
    items = _items(_json(response).get("data"))
    if not _fits(items, events):
        return [unclear("the answer does not fit the request")] * len(events)
    return [_verdict(item, event) for item, event in zip(items, events, strict=True)]


def too_large() -> Permanent:
    """One event is more than Novu takes (512 KB)."""
    return Permanent("Novu refused it (413): the event is too large", code="too_large")


def too_large_index(response: httpx.Response, events: int) -> int | None:
    """Which event made a bulk too large, if the answer names it."""
    found = _INDEX.search(_message(_json(response)))
    index = int(found[1] or found[2]) if found else events
    return index if index < events else None


def _fits(items: Sequence[object], events: Sequence[Event]) -> bool:
    if len(items) != len(events):
        return False
    return all(_named(item) in (None, event.id) for item, event in zip(items, events, strict=True))


def _named(item: object) -> object:
    return _fields(item).get("transactionId")


def _verdict(item: object, event: Event) -> XNovuError | None:
    status = _fields(item).get("status")
    if not isinstance(status, str):
        return unclear("the answer has no status")
    if status in REFUSALS:
        return _refused(status, _texts(_fields(item).get("error")))
    if status != "processed":
        unknown = "notification %d: a status that Novu did not have before counts as accepted"
        _logger.warning(unknown, event.call.notification.id)
    return None


def _refusal(response: httpx.Response) -> Permanent:
    """Novu's 4xx in its three shapes: a message, errors by field, errors as a list."""
    body = _json(response)
    violations = list(islice(_violations(body), _MAX_VIOLATIONS))
    return _refused(str(response.status_code), _texts(body.get("message")), violations)


def _refused(what: str, texts: Sequence[str], violations: Sequence[str] = ()) -> Permanent:
    said = ": ".join(filter(None, (what, joined(texts))))
    code = "provider_refused"
    if "workflow_not_found" in said or "template_not_found" in said:
        code = "workflow_not_found"
    elif violations or "payload validation" in said.lower():
        code = "payload_invalid"
    return Permanent(f"Novu refused it: {said}", code=code, violations=violations)


def _violations(body: Mapping[str, object]) -> Iterator[str]:
    """Place and message of each fault; never the value that Novu found there."""
    errors = body.get("errors")
    for field, fault in _fields(errors).items():
        yield from (violation(field, text) for text in _texts(_fields(fault).get("messages")))
    for fault in _items(errors):
        found = _fields(fault)
        if message := found.get("message"):
            yield violation(found.get("field", "payload"), message)


def _json(response: httpx.Response) -> Mapping[str, object]:
    """The object of a body; empty if it is none."""
    try:
        return _fields(from_json(response.content))
    except ValueError:
        return {}


def _fields(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def _items(value: object) -> Sequence[object]:
    return cast("Sequence[object]", value) if isinstance(value, list) else ()


def _message(body: Mapping[str, object]) -> str:
    return "; ".join(_texts(body.get("message")))


def _texts(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [x for x in _items(value) if isinstance(x, str)]


def _is_novus(response: httpx.Response) -> bool:
    """Whether Novu itself wrote this 503 (before it took the event), and not a proxy before it."""
    try:
        body = from_json(response.content)
    except ValueError:
        return False
    return isinstance(body, str) or "statusCode" in _fields(body)
