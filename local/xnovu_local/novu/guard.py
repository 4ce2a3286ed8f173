"""
Who may talk to the local Novu: programs, and its own page; no other site that a browser has open.

It asks for no key that anybody would have to know, so three things keep other sites out: it
answers under names of this machine only (a foreign name that leads here is DNS rebinding), to no
foreign origin, and changes itself for JSON only, which no form can send.
"""

from collections.abc import Iterable
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from .answers import Problem
from .clock import Clock

CONTROL = "/_local"
READING = ("GET", "HEAD")
NO_BODY = (None, "0")


class Guard:
    """An ASGI application in front of another; ``names`` are its names beside localhost."""

    def __init__(self, app: ASGIApp, clock: Clock, names: Iterable[str] = ()) -> None:
        self._app = app
        self._clock = clock
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (problem := self._problem(scope)):
            await _refuse(problem, self._clock.now(), scope, send)
        else:
            await self._app(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        if not self._is_here(headers.get("host", "")):
            return Problem(421, "not a name of this server: see --allow-host")
        if _is_foreign(headers, scope["method"]):
            return Problem(403, "not for other sites")
        if not _may_change(headers, scope):
            return Problem(415, "the content type is not application/json")
        return None

    def _is_here(self, host: str) -> bool:
        name = _name(host)
        return name in self._names or name.endswith(".localhost") or _is_address(name)


def _name(host: str) -> str:
    """A Host header without its port, in lower case; addresses of IPv6 without their brackets."""
    name = host.lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0]


def _is_address(name: str) -> bool:
    """An address is no name, and so leads nowhere else by DNS."""
    try:
        ip_address(name)
    except ValueError:
        return name == "localhost"
    return True


def _is_foreign(headers: Headers, method: str) -> bool:
    """Whether a browser asks for another site; following a link to the page is not that."""
    if headers.get("sec-fetch-mode") == "navigate" and method in READING:
        return False
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        return True
    return headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


def _may_change(headers: Headers, scope: Scope) -> bool:
    """What changes the server is JSON, or nothing at all."""
    if scope["method"] in READING or not scope["path"].startswith(CONTROL):
        return True
    told = headers.get("content-type")
    if told is None:
        return headers.get("content-length") in NO_BODY and "transfer-encoding" not in headers
    return told.partition(";")[0].strip().lower() == "application/json"


async def _refuse(problem: Problem, at: float, scope: Scope, send: Send) -> None:
    answer = problem.answer(scope["path"], at)
    headers = [
        (b"content-type", answer.media_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
