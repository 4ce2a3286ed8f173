"""Servers of ours: no client can hold them up, and the local Novu is for nobody's web page."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.conftest import eventually
from tests.security.conftest import Log
from xnovu.serving import Bounds, HttpServer
from xnovu_local.novu import LocalNovuOptions, create_app, running_novu

GUEST = Path(__file__).with_name("guest.py")
HALF = {
    "nothing": b"",
    "half a head": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A",
    "half a body": b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\nx",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
}


@asynccontextmanager
async def guest(err: Path) -> AsyncIterator[int]:
    """The port of a process with 512 file descriptors."""
    with err.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.security.guest"),
            cwd=GUEST.parent.parent.parent,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )
    assert process.stdout
    try:
        yield int(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()


def half_open(stack: ExitStack, port: int, said: bytes, count: int) -> None:
    for _ in range(count):
        connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        connection.sendall(said)


@pytest.mark.parametrize("what", HALF)
async def test_600_half_open_requests_stop_neither_the_work_nor_the_answers(
    what: str, tmp_path: Path
) -> None:
    """Nor do they fill the log, where the process may open 512 files."""
    err = tmp_path / "stderr"
    async with guest(err) as port, httpx.AsyncClient(trust_env=False, timeout=5) as client:
        with ExitStack() as stack:
            await asyncio.to_thread(half_open, stack, port, HALF[what], 600)

            async def worked() -> int:
                answer = await client.get(f"http://127.0.0.1:{port}/status")
                return answer.json()["worked"]

            before = await worked()
            await eventually(lambda: _more(worked, before + 20))
            answer = await client.get(f"http://127.0.0.1:{port}/healthz")
            assert answer.status_code == 200
    assert err.stat().st_size < 5_000


async def _more(worked, than: int) -> bool:
    return await worked() > than


async def slow(request: Request) -> Response:
    await asyncio.sleep(float(request.query_params["for"]))
    return PlainTextResponse("late")


async def large(_: Request) -> Response:
    return PlainTextResponse("x" * 50_000_000)


async def soon(_: Request) -> Response:
    return PlainTextResponse("soon")


APP = Starlette(
    routes=[Route("/slow", slow), Route("/large", large), Route("/", soon, methods=["GET", "POST"])]
)


@asynccontextmanager
async def serving(**bounds: float) -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(APP, Bounds(**bounds))  # pyright: ignore[reportArgumentType]
    server.begin(listener)
    try:
        yield listener.getsockname()[1]
    finally:
        await server.abort()


class Clients:
    """Connections by hand, closed in the end."""

    def __init__(self) -> None:
        self._writers: list[asyncio.StreamWriter] = []

    async def __call__(self, port: int, said: bytes = b"") -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        self._writers.append(writer)
        writer.write(said)
        await writer.drain()
        return reader

    async def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        for writer in self._writers:
            with suppress(ConnectionError):
                await writer.wait_closed()


@pytest.fixture
async def opened() -> AsyncIterator[Clients]:
    clients = Clients()
    yield clients
    await clients.close()


async def closed(reader: asyncio.StreamReader) -> bool:
    """Once the other side has closed; how does not matter."""
    try:
        return await reader.read() is not None
    except ConnectionError:
        return True


ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("said", "bounds"),
    [
        (b"", {"head": 0.1}),
        (b"GET / HTTP/1.1\r\nX: ", {"head": 0.1}),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx", {"body": 0.1, "idle": 1.0}),
        (b"GET /slow?for=60 HTTP/1.1\r\nHost: x\r\n\r\n", {"answer": 0.1}),
        (ASK, {"idle": 1.0, "head": 0.1}),
        (ASK + b"GET / HT", {"idle": 0.1, "head": 0.1}),
    ],
    ids=["nothing", "half a head", "half a body", "a slow answer", "idle", "half a second head"],
)
async def test_each_part_of_a_request_has_its_time(
    opened: Clients, said: bytes, bounds: dict[str, float]
) -> None:
    async with serving(**bounds) as port:
        reader = await opened(port, said)
        async with asyncio.timeout(4):
            assert await closed(reader)


async def test_who_reads_no_answer_is_not_waited_for() -> None:
    """As soon as it cannot be sent any more: a socket of its own takes some of it."""
    async with serving(answer=0.1) as port:
        with socket.create_connection(("127.0.0.1", port)) as deaf:
            deaf.setblocking(False)
            deaf.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")

            async def cut() -> bool:
                try:
                    deaf.send(b"x")
                except (BrokenPipeError, ConnectionResetError):
                    return True
                return False

            await eventually(cut, within=5)


async def test_the_one_that_has_asked_for_nothing_for_the_longest_makes_room(
    opened: Clients,
) -> None:
    async with serving(connections=3) as port:
        first, second, third = [await opened(port) for _ in range(3)]
        asking = asyncio.create_task((await opened(port, ASK)).readuntil(b"soon"))
        assert await closed(first)
        assert await asking
        await opened(port)
        assert await closed(second)
        assert not third.at_eof()


async def test_who_takes_what_he_asks_for_slowly_makes_room(opened: Clients) -> None:
    """However often he asks again meanwhile."""
    async with serving(connections=2) as port:
        with ExitStack() as stack:
            for _ in range(2):
                slow = stack.enter_context(socket.socket())
                slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                slow.connect(("127.0.0.1", port))
                slow.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * 20)

            async def answered() -> bytes:
                try:
                    return await (await opened(port, ASK)).readuntil(b"soon")
                except (asyncio.IncompleteReadError, ConnectionError):
                    return b""

            assert await eventually(answered)


async def test_who_waits_for_an_answer_keeps_his_place(opened: Clients) -> None:
    async with serving(connections=2) as port:
        asked = b"GET /slow?for=0.3 HTTP/1.1\r\nHost: x\r\n\r\n"
        waiting = [await opened(port, asked) for _ in range(2)]
        await asyncio.sleep(0)
        assert await closed(await opened(port, ASK))
        assert [await each.readuntil(b"late") for each in waiting]


async def test_an_answer_under_way_is_finished_before_the_end(opened: Clients) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(APP, Bounds())
    server.begin(listener)
    reader = await opened(
        listener.getsockname()[1], b"GET /slow?for=0.2 HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    idle = await opened(listener.getsockname()[1])
    await eventually(lambda: any(server._state.tasks))
    async with asyncio.timeout(3):
        await server.finish()
    assert b"late" in await reader.read()
    assert await closed(idle)


async def test_what_clients_do_wrong_is_said_once(opened: Clients, log: Log) -> None:
    async with serving() as port:
        for _ in range(30):
            assert await closed(await opened(port, b"\x00\x01\r\n\r\n"))
    assert len([line for line in log.lines if "Invalid HTTP" in line["event"]]) <= 1


async def test_a_local_server_is_bounded_as_well() -> None:
    async with running_novu() as novu, httpx.AsyncClient(trust_env=False) as client:
        with ExitStack() as stack:
            port = int(novu.url.rpartition(":")[2])
            await asyncio.to_thread(half_open, stack, port, b"GET", 530)
            answer = await client.get(f"{novu.url}/_local/options", timeout=5)
    assert answer.status_code == 200


@pytest.fixture
async def novu() -> AsyncIterator[httpx.AsyncClient]:
    from xnovu_local.novu import LocalNovu

    app = create_app(LocalNovu(LocalNovuOptions()), ["novu"])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8025") as client:
        yield client


CONTROL = [
    ("POST", "/_local/reset"),
    ("PUT", "/_local/options"),
    ("PUT", "/_local/workflows"),
    ("POST", "/_local/faults"),
    ("DELETE", "/_local/faults"),
    ("GET", "/_local/inbox"),
    ("GET", "/_local/ledger"),
    ("POST", "/v1/events/trigger"),
]
FOREIGN = {
    "another origin": {"origin": "https://evil.example"},
    "another port": {"origin": "http://localhost:3000"},
    "an origin without a name": {"origin": "null"},
    "no origin, but another site": {"sec-fetch-site": "cross-site"},
    "another site of the same domain": {"sec-fetch-site": "same-site"},
    "a name that leads here": {"host": "evil.example:8025"},
    "a name that looks like ours": {"host": "localhost.evil.example"},
    "an address in a name": {"host": "127.0.0.1.evil.example"},
    "no name": {"host": ""},
}


@pytest.mark.parametrize("who", FOREIGN)
@pytest.mark.parametrize(("method", "path"), CONTROL)
async def test_no_other_site_talks_to_the_local_novu(
    novu: httpx.AsyncClient, method: str, path: str, who: str
) -> None:
    headers = {"content-type": "application/json", **FOREIGN[who]}
    answer = await novu.request(method, path, content=b"{}", headers=headers)
    assert answer.status_code in (403, 421)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None],
)
@pytest.mark.parametrize("path", ["/_local/reset", "/_local/faults"])
async def test_what_a_form_can_send_changes_nothing(
    novu: httpx.AsyncClient, path: str, content_type: str | None
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = await novu.post(path, content=b'{"kind": "502"}', headers=headers)
    assert answer.status_code == 415
    assert (await novu.get("/_local/faults")).json() == {"faults": []}


@pytest.mark.parametrize("host", ["localhost:8025", "127.0.0.1", "[::1]:8025", "10.1.2.3", "novu"])
async def test_who_calls_it_by_its_name_is_let_in(novu: httpx.AsyncClient, host: str) -> None:
    page = {"origin": f"http://{host}", "sec-fetch-site": "same-origin", "host": host}
    assert (await novu.post("/_local/reset", headers=page)).status_code == 204
    assert (await novu.put("/_local/options", json={"rate": 60}, headers=page)).status_code == 200


async def test_a_link_to_its_page_may_be_followed(novu: httpx.AsyncClient) -> None:
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    answer = await novu.get("/", headers=followed)
    assert answer.status_code == 200
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert (await novu.post("/_local/reset", headers=followed)).status_code == 403
