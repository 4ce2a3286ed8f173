"""One HTTP exchange with a provider: when it may begin, and what is known of it when it fails."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from xnovu.reaching import place_of, why_unreached
from xnovu.sending import slept

CONNECT = 5.0
KEEPALIVE = 4.0
"""Seconds that an idle connection is kept: Node and others close it after 5."""
MAX_WAIT = 3600.0
"""Seconds to wait at the most, whatever the other side asks for."""

_WRITING = ("send_request_headers.started", "send_request_body.started")


def http_url(url: str) -> str:
    """
    A URL without what would end up in a log or in front of a path.

    Raises:
        ValueError: it is no http(s) URL, or has a user, password, query or fragment.
    """
    parsed = httpx.URL(url)
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError("must be an http(s) URL")
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise ValueError("must have no user, password, query or fragment")
    return url.rstrip("/")


def http_client(
    timeout: float, connections: int, transport: httpx.AsyncBaseTransport | None, **more: Any
) -> httpx.AsyncClient:
    """A client to one provider, with so many connections; times are in seconds."""
    connect = min(CONNECT, timeout / 2)
    return httpx.AsyncClient(
        timeout=httpx.Timeout(timeout, connect=connect, pool=connect),
        limits=httpx.Limits(
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=KEEPALIVE,
        ),
        headers={"User-Agent": "xnovu"},
        transport=transport,
        **more,
    )


class Late(Exception):
    """The process was frozen, or starved, while the request was being prepared."""


def only_until(end: float) -> Callable[[str, object], Awaitable[None]]:
    """
    A guard before the parts of a request are written (https://www.encode.io/httpcore/extensions/).

    Raises Late from ``end`` on (loop time and what was slept): a process that was frozen past a
    time-out may write before it learns of it.
    """

    async def guard(event: str, _: object) -> None:
        if event.endswith(_WRITING) and asyncio.get_running_loop().time() + slept() >= end:
            raise Late

    return guard


AWAY = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, Late)
"""Nobody's fault, and nothing was sent. The list is closed: no other error stops the fleet."""

UNMADE = (
    httpx.LocalProtocolError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
    UnicodeEncodeError,
)
"""The call's own fault: no request can be made of it (httpx says so before a byte is written)."""


def why_unsent(error: Exception, url: str) -> str:
    """Where nothing was sent to, and why, of an error in AWAY."""
    match error:
        case httpx.PoolTimeout():
            why = "no connection of provider.concurrency came free in time"
        case Late():
            why = "this process was held up for too long"
        case _:
            why = why_unreached(error) or type(error).__name__
    return f"{place_of(url)}: {why}"


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that the other side asks to wait, given as such or as a date; None: it does not."""
    said = response.headers.get("retry-after", "")
    try:
        seconds = float(said)
    except ValueError:
        return _until(said)
    return min(seconds, MAX_WAIT) if seconds >= 0 else None


def _until(date: str) -> float | None:
    try:
        when = parsedate_to_datetime(date)
    except (ValueError, TypeError, LookupError, OverflowError):  # whatever the parser trips over
        return None
    seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)) - datetime.now(UTC)
    return min(max(seconds.total_seconds(), 0.0), MAX_WAIT)
