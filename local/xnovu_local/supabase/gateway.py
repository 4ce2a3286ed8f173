"""What stands in front of a Supabase project: checks the API key and passes requests on."""

import asyncio
import logging
from contextlib import suppress
from http import HTTPStatus
from http.client import responses

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from xnovu_local.faults import FaultScript
from xnovu_local.serving import cut
from xnovu_local.supabase.faults import Fault
from xnovu_local.supabase.keys import Keys

REST = "/rest/v1"
REALTIME = "/realtime/v1/websocket"
ANSWER_WITHIN = 60.0
CONNECTIONS = 100
TRIES = 6
"""How often what only reads is passed on, as with Kong: five retries, and none for what writes."""
# RFC 9110, 7.6.1: about one connection and not to be passed on.
HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding"
    b" upgrade".split()
)
READING = ("GET", "HEAD")
NO_KEY = {
    "message": "No API key found in request",
    "hint": "No `apikey` request header or url param was found.",
}
WRONG_KEY = {
    "message": "Invalid API key",
    "hint": "Double check your Supabase `anon` or `service_role` API key.",
}
NO_ROUTE = {"message": "no Route matched with those values"}
BAD_GATEWAY = {"message": "An invalid response was received from the upstream server"}
TIMED_OUT = {"message": "The upstream server is timing out"}

log = logging.getLogger(__name__)

Headers = list[tuple[bytes, bytes]]


def to_upstream(url: str) -> httpx.AsyncClient:
    """The connections to PostgREST."""
    limits = httpx.Limits(max_connections=CONNECTIONS)
    return httpx.AsyncClient(base_url=url, trust_env=False, timeout=ANSWER_WITHIN, limits=limits)


def create_app(
    upstream: httpx.AsyncClient,
    keys: Keys,
    faults: FaultScript[Fault],
    realtime: ASGIApp | None = None,
) -> Starlette:
    """An application in front of a PostgREST, and of a handler for Realtime."""
    rest = RestEndpoint(upstream, keys, faults)
    routes: list[BaseRoute] = [Route(f"{REST}/{{path:path}}", rest)]
    if realtime is not None:
        routes.append(_websockets(realtime))
    app = Starlette(routes=routes, exception_handlers={HTTPStatus.NOT_FOUND: _no_route})
    app.router.redirect_slashes = False
    return app


def _websockets(realtime: ASGIApp) -> WebSocketRoute:
    route = WebSocketRoute(REALTIME, realtime)
    route.app = realtime  # of which Starlette, if it is a function, makes something else
    return route


class RestEndpoint:
    """Everything under `/rest/v1`, as an ASGI application."""

    def __init__(self, upstream: httpx.AsyncClient, keys: Keys, faults: FaultScript[Fault]) -> None:
        self._upstream = upstream
        self._keys = keys
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A server that stops cancels what still waits; there is nobody left to be told.
        with suppress(asyncio.CancelledError):
            answer = await self._answer(Request(scope, receive))
            if answer is None:
                await cut(scope, receive)
            else:
                await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response | None:
        """What the client gets; None: its connection is cut."""
        method, path = request.method, request.scope["path"]
        held, fault = self._faults.strike(lambda fault: fault.fits(method, path))
        await asyncio.sleep(held)
        if fault is None:
            return await self._let_in(request)
        if fault.kind == "answer_lost":
            await self._let_in(request)
        return _instead(fault)

    async def _let_in(self, request: Request) -> Response:
        key = request.headers.get("apikey") or request.query_params.get("apikey")
        if not key:
            return JSONResponse(NO_KEY, HTTPStatus.UNAUTHORIZED)
        if (token := self._keys.token(key)) is None:
            return JSONResponse(WRONG_KEY, HTTPStatus.UNAUTHORIZED)
        sent = request.headers.get("authorization")
        own = sent if sent and sent != f"Bearer {key}" else f"Bearer {token}"
        return await self._passed_on(request, own)

    async def _passed_on(self, request: Request, authorization: str) -> Response:
        headers = _kept(request.headers.raw, b"host", b"authorization")
        headers.append((b"authorization", authorization.encode("latin-1")))
        # Made by hand: the client would add headers of its own.
        asked = httpx.Request(
            request.method,
            self._upstream.base_url,
            headers=headers,
            content=await request.body(),
            extensions={"target": _target(request.scope)},
        )
        for _ in range(TRIES if request.method in READING else 1):
            try:
                got = await self._upstream.send(asked, stream=True)
                return _passed_back(got, b"".join([part async for part in got.aiter_raw()]))
            except httpx.TimeoutException:
                return JSONResponse(TIMED_OUT, HTTPStatus.GATEWAY_TIMEOUT)
            except httpx.TransportError as error:
                log.warning("no answer to a %s: %s", request.method, type(error).__name__)
        return JSONResponse(BAD_GATEWAY, HTTPStatus.BAD_GATEWAY)


def _passed_back(got: httpx.Response, body: bytes) -> Response:
    answer = Response(body, got.status_code)
    answer.raw_headers = _kept(got.headers.raw)
    if body and "content-length" not in got.headers:
        answer.raw_headers.append((b"content-length", str(len(body)).encode()))
    return answer


def _kept(headers: Headers, *dropped: bytes) -> Headers:
    return [
        (name, value)
        for name, value in headers
        if name.lower() not in HOP_BY_HOP and name.lower() not in dropped
    ]


def _target(scope: Scope) -> bytes:
    """Path and query as they were sent, without the gateway's own parts."""
    path: bytes = scope["raw_path"].removeprefix(REST.encode())
    query: bytes = scope["query_string"]
    kept = b"&".join(part for part in query.split(b"&") if not part.startswith(b"apikey="))
    return path + b"?" + kept if kept else path


def _instead(fault: Fault) -> Response | None:
    """What a fault answers: above PostgREST, failures are pages."""
    status = fault.status
    if fault.kind == "away" or status is None:
        return None
    title = f"{status} {responses.get(status, 'Error')}"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return HTMLResponse(f"<html><head><title>{title}</title></head></html>\n", status)
    return JSONResponse({"message": title}, status)


def _no_route(request: Request, error: Exception) -> Response:
    return JSONResponse(NO_ROUTE, HTTPStatus.NOT_FOUND)
