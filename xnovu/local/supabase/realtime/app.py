"""The local Realtime as part of an ASGI application: one websocket."""

import asyncio
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import Scope
from starlette.websockets import WebSocket

from .keys import Refused, checked
from .peer import reset
from .state import LocalRealtime

PATH = "/realtime/v1/websocket"
TransportOf = Callable[[Scope], asyncio.Transport]
"""The connection below a request; the server has to say, at ``app.state.transport_of``."""


def realtime_routes(realtime: LocalRealtime) -> list[BaseRoute]:
    """
    The routes of a local Realtime.

    They need a server that sends no pings of its own, as Supabase's does not, and that tells the
    application its connections: ``app.state.transport_of``, a :data:`TransportOf`.
    """

    async def endpoint(websocket: WebSocket) -> None:
        await _serve(realtime, websocket)

    return [WebSocketRoute(PATH, endpoint)]


def create_app(realtime: LocalRealtime) -> Starlette:
    """An application of nothing else."""
    return Starlette(routes=realtime_routes(realtime))


async def _serve(realtime: LocalRealtime, websocket: WebSocket) -> None:
    transport_of: TransportOf = websocket.app.state.transport_of
    transport = transport_of(websocket.scope)
    if realtime.away:
        realtime.log.note("refused", detail="away")
        reset(transport)
        return
    key = websocket.query_params.get("apikey") or websocket.headers.get("x-api-key", "")
    try:
        checked(realtime.keys, key)
    except Refused as refused:
        realtime.log.note("refused", detail=refused.code)
        said = "Invalid API key" if key else "No API key found in request"
        await websocket.send_denial_response(JSONResponse({"message": said}, 401))
        return
    await websocket.accept()
    await realtime.serve(websocket, transport, key)
