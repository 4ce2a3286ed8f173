"""Novu's event API over HTTP: turns requests into calls and outcomes into responses."""

import asyncio
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from xnovu_local.serving import cut, gone

from .answers import Answer, Outcome, Problem, Reset, Silence
from .calls import Call, Endpoint
from .state import LocalNovu
from .triggers import parsed

_METHODS: dict[Endpoint, tuple[str, str]] = {
    "bulk": ("POST", "/v1/events/trigger/bulk"),
    "trigger": ("POST", "/v1/events/trigger"),
    "cancel": ("DELETE", "/v1/events/trigger/{transaction}"),
    "notifications": ("GET", "/v1/notifications"),
    "messages": ("DELETE", "/v1/messages/transaction/{transaction}"),
}


class BodyTooLargeError(Exception):
    """The body of a request is longer than the local Novu lets in."""


class EventEndpoint:
    """One endpoint of the event API, as an ASGI application."""

    __slots__ = ("_endpoint", "_novu")

    def __init__(self, novu: LocalNovu, endpoint: Endpoint) -> None:
        self._novu = novu
        self._endpoint: Endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A server that stops cancels what still waits; there is nobody left to be told.
        with suppress(asyncio.CancelledError):
            await respond(await self._outcome(scope, receive), scope, receive, send)

    async def _outcome(self, scope: Scope, receive: Receive) -> Outcome:
        try:
            call = await self._call(scope, receive)
        except BodyTooLargeError:
            problem = Problem(413, "request entity too large")
            return problem.answer(scope["path"], self._novu.clock.now())
        return await self._novu.handle(call)

    async def _call(self, scope: Scope, receive: Receive) -> Call:
        headers = {name.decode("latin-1"): one.decode("latin-1") for name, one in scope["headers"]}
        path: str = scope["path"]
        body = await read_body(headers, receive, self._novu.options.max_body)
        document = parsed(body, headers.get("content-type", ""))
        transaction: str | None = scope["path_params"].get("transaction")
        query = parse_qs(scope["query_string"].decode("latin-1"))
        return Call(self._endpoint, path, headers, body, transaction, query, document)


async def read_body(headers: dict[str, str], receive: Receive, limit: int) -> bytes:
    """The whole body; raises BodyTooLargeError beyond the limit, in bytes."""
    if int(headers.get("content-length", "0")) > limit:
        raise BodyTooLargeError
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise BodyTooLargeError
        more = message.get("more_body", False)
    return b"".join(parts)


async def respond(outcome: Outcome, scope: Scope, receive: Receive, send: Send) -> None:
    """Sends an answer, or does what a broken connection does."""
    match outcome:
        case Answer():
            await start(outcome, send)
            await send({"type": "http.response.body", "body": outcome.body})
        case Silence(seconds):
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await gone(receive)
                    return
            await cut(scope, receive)
        case Reset(half):
            if half is not None:
                await send_half(half, send)
            await cut(scope, receive)


async def start(answer: Answer, send: Send) -> None:
    """Sends the status and the headers."""
    headers = [(name.encode(), value.encode()) for name, value in answer.headers]
    if answer.status != HTTPStatus.NO_CONTENT:
        headers.append((b"content-type", answer.media_type.encode()))
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})


async def send_half(answer: Answer, send: Send) -> None:
    """Sends an answer up to the middle of its body."""
    await start(answer, send)
    part = answer.body[: len(answer.body) // 2]
    await send({"type": "http.response.body", "body": part, "more_body": True})


def event_routes(novu: LocalNovu) -> list[BaseRoute]:
    """The routes of the event API."""
    return [
        Route(path, EventEndpoint(novu, endpoint), methods=[method])
        for endpoint, (method, path) in _METHODS.items()
    ]


def not_found(request: Request, error: Exception) -> Response:
    """What Starlette itself refuses (no such path, wrong method), in Novu's shape."""
    if not isinstance(error, HTTPException):
        raise error
    novu: LocalNovu = request.app.state.novu
    path, text = request.url.path, error.detail
    if error.status_code == HTTPStatus.NOT_FOUND:
        text = f"Cannot {request.method} {path}"
    answer = Problem(error.status_code, text).answer(path, novu.clock.now())
    return Response(answer.body, answer.status, error.headers, answer.media_type)
