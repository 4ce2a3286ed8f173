"""The place where a handler of Realtime's websockets stands, in front of it the gateway."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.conftest import eventually
from xnovu_local.supabase import Keys, RunningSupabase, running_supabase

pytestmark = pytest.mark.usefixtures("postgrest_program")


class Echo:
    """Sends back what it is sent, to whom a key lets in."""

    def __init__(self) -> None:
        self.open = 0
        self.alive = False

    @asynccontextmanager
    async def __call__(self, dsn: str, keys: Keys) -> AsyncIterator[ASGIApp]:
        async def handle(scope, receive, send) -> None:
            socket = WebSocket(scope, receive, send)
            key = parse_qs(scope["query_string"].decode())["apikey"][0]
            if keys.token(key) is None:
                await socket.send_denial_response(JSONResponse({"message": "no"}, 401))
                return
            await socket.accept()
            self.open += 1
            try:
                async for text in socket.iter_text():
                    await socket.send_text(text)
            finally:
                self.open -= 1

        self.alive = True
        yield handle
        self.alive = False


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def running(database: str, echo: Echo) -> AsyncIterator[RunningSupabase]:
    async with running_supabase(database, realtime=echo) as running:
        yield running


def address(running: RunningSupabase, key: str) -> str:
    url = running.url.replace("http", "ws")
    return f"{url}/realtime/v1/websocket?apikey={key}&vsn=1.0.0"


async def test_passes_websockets_to_the_handler(running: RunningSupabase, echo: Echo) -> None:
    async with connect(address(running, running.anon_key)) as socket:
        await socket.send("hello")
        assert await socket.recv() == "hello"
        assert (echo.open, echo.alive) == (1, True)
    await eventually(lambda: echo.open == 0)


async def test_the_handler_may_refuse_before_the_upgrade(running: RunningSupabase) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(address(running, "wrong"))
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body or b"") == {"message": "no"}


async def test_being_away_cuts_websockets(running: RunningSupabase, echo: Echo) -> None:
    async with connect(address(running, running.anon_key)) as socket, running.away():
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        with pytest.raises(ConnectionRefusedError):
            await connect(address(running, running.anon_key))
    assert echo.open == 0
    async with connect(address(running, running.anon_key)) as socket:
        await socket.send("again")
        assert await socket.recv() == "again"


async def test_the_handler_ends_with_its_server(database: str, echo: Echo) -> None:
    async with running_supabase(database, realtime=echo) as running:
        socket = await connect(address(running, running.anon_key))
        await eventually(lambda: echo.open == 1)
    assert (echo.open, echo.alive) == (0, False)
    await socket.wait_closed()


async def test_without_a_handler_there_is_no_such_place(supabase: RunningSupabase) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(address(supabase, supabase.anon_key))
    assert refused.value.response.status_code == 404
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{supabase.url}/storage/v1/bucket")
    assert answer.status_code == 404
    assert answer.json() == {"message": "no Route matched with those values"}
