import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime

import httpx
import pytest

from tests.conftest import eventually
from xnovu.adapters.http import SETTING, HealthServer
from xnovu.connection import Connection, Link
from xnovu.errors import ConfigurationError, Paused

Check = Callable[[], Awaitable[str | None]]


async def well() -> str | None:
    return None


async def unwell() -> str | None:
    return "the stream xnovu-hydrate is missing"


@asynccontextmanager
async def serving(
    checks: Mapping[str, Check] | None = None,
    live: Callable[[], str | None] = lambda: None,
    metrics: Callable[[], tuple[str, bytes]] = lambda: ("text/plain; version=0.0.4", b"up 1\n"),
) -> AsyncIterator[httpx.AsyncClient]:
    server = HealthServer(
        "127.0.0.1", 0, checks=checks or {}, live=live, status=dict, metrics=metrics
    )
    await server.start()
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{server.port}", trust_env=False, timeout=10
    ) as client:
        yield client
        await server.stop()


async def test_is_alive():
    async with serving() as client:
        answer = await client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok"}


async def test_is_not_alive_and_says_why():
    async with serving(live=lambda: "trigger: a batch is stuck for 300 s") as client:
        answer = await client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["reason"] == "trigger: a batch is stuck for 300 s"


async def test_is_not_alive_if_it_cannot_even_say():
    def live() -> str | None:
        raise ValueError("postgres://app:hunter2@db/x")

    async with serving(live=live) as client:
        answer = await client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["reason"].startswith("ValueError at adapters/test_http.py:")


async def test_is_ready_with_every_check_named():
    async with serving({"consumer": well, "database": well}) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "checks": {"consumer": "ok", "database": "ok"}}
    assert answer.headers["cache-control"] == "no-store"


async def test_is_not_ready_and_says_which_check_and_why():
    async with serving({"consumer": unwell, "database": well}) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {
        "consumer": "the stream xnovu-hydrate is missing",
        "database": "ok",
    }


async def test_a_check_that_raises_is_a_complaint_without_the_strangers_words():
    async def foreign() -> str | None:
        raise OSError("postgres://app:hunter2@db/x refused")

    async def ours() -> str | None:
        raise Paused("the database is away")

    async with serving({"foreign": foreign, "ours": ours}) as client:
        answer = await client.get("/readyz")
    told = answer.json()["checks"]
    assert told["foreign"].startswith("failed: OSError at adapters/test_http.py:")
    assert told["ours"] == "failed: the database is away"
    assert "hunter2" not in answer.text


async def test_what_a_check_says_is_redacted():
    async def careless() -> str | None:
        return "cannot reach postgres://app:hunter2@db/x"

    async with serving({"database": careless}, live=lambda: "Bearer hunter2") as client:
        answers = [await client.get("/readyz"), await client.get("/healthz")]
    assert [answer.status_code for answer in answers] == [503, 503]
    assert "hunter2" not in "".join(answer.text for answer in answers)


async def test_hung_checks_are_answered_for_in_time_and_not_piled_up(monkeypatch):
    monkeypatch.setattr("xnovu.adapters.http.CHECK_SECONDS", 0.05)
    under_way = 0
    let_go = asyncio.Event()

    async def stubborn() -> str | None:
        nonlocal under_way
        under_way += 1
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        under_way -= 1
        return None

    async def hung() -> str | None:
        await asyncio.Event().wait()
        return None

    checks = {"database": hung, "stubborn": stubborn, "consumer": well}
    async with asyncio.timeout(10), serving(checks) as client:
        answers = [await client.get("/readyz") for _ in range(3)]
        assert under_way == 1
        let_go.set()
        await eventually(lambda: under_way == 0)
    complaint = "did not answer within 0.05 s"
    for answer in answers:
        assert answer.status_code == 503
        assert answer.json()["checks"] == {
            "database": complaint,
            "stubborn": complaint,
            "consumer": "ok",
        }


async def test_is_ready_again_once_the_check_answers_again(monkeypatch):
    monkeypatch.setattr("xnovu.adapters.http.CHECK_SECONDS", 0.05)
    back = asyncio.Event()

    async def database() -> str | None:
        await back.wait()
        return None

    async with serving({"database": database}) as client:
        assert (await client.get("/readyz")).status_code == 503
        back.set()
        assert (await client.get("/readyz")).status_code == 200


async def test_the_time_for_a_check_leaves_an_answer_within_two_seconds():
    from xnovu.adapters.http import CHECK_SECONDS

    assert CHECK_SECONDS < 2


async def test_serves_metrics():
    async with serving() as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.content == b"up 1\n"


async def test_unknown_paths_and_methods():
    async with serving() as client:
        assert (await client.get("/")).status_code == 404
        assert (await client.get("/debug")).status_code == 404
        assert (await client.post("/healthz")).status_code == 405


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_head_answers_without_a_body(path: str):
    async with serving({"consumer": well}) as client:
        answer = await client.head(path)
    assert answer.status_code == 200
    assert answer.content == b""


async def test_a_port_in_use_is_a_configuration_error_that_says_what_to_change():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = HealthServer(
            "127.0.0.1", port, checks={}, live=lambda: None, status=dict, metrics=lambda: ("", b"")
        )
        with pytest.raises(ConfigurationError) as caught:
            await server.start()
        await server.stop()
    assert str(port) in str(caught.value)
    assert SETTING in str(caught.value)


async def test_stops_at_once_with_connections_open_and_frees_the_port():
    server = HealthServer(
        "127.0.0.1", 0, checks={}, live=lambda: None, status=dict, metrics=lambda: ("", b"")
    )
    await server.start()
    port = server.port
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        await client.get("/healthz")
        _, half_a_request = await asyncio.open_connection("127.0.0.1", port)
        half_a_request.write(b"GET /healthz HTT")
        await half_a_request.drain()
        async with asyncio.timeout(5):
            await server.stop()
        half_a_request.close()
    socket.create_server(("127.0.0.1", port)).close()


async def test_stop_does_not_wait_for_a_hung_check():
    asked = asyncio.Event()

    async def hung() -> str | None:
        asked.set()
        await asyncio.Event().wait()
        return None

    server = HealthServer(
        "127.0.0.1",
        0,
        checks={"database": hung},
        live=lambda: None,
        status=dict,
        metrics=lambda: ("", b""),
    )
    await server.start()
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{server.port}", trust_env=False
    ) as client:
        asking = asyncio.create_task(client.get("/readyz"))
        await asked.wait()
        await server.stop()
        assert (await asking).status_code == 503


async def test_stops_before_it_has_started_and_twice():
    server = HealthServer(
        "127.0.0.1", 0, checks={}, live=lambda: None, status=dict, metrics=lambda: ("", b"")
    )
    await server.stop()
    await server.start()
    await server.stop()
    await server.stop()


async def test_signals_stay_with_the_process():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    async with serving() as client:
        await client.get("/healthz")
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


async def test_status_is_shown_as_json():
    since = datetime(2026, 1, 1, tzinfo=UTC)
    server = HealthServer(
        "127.0.0.1",
        0,
        checks={},
        live=lambda: None,
        status=lambda: {"wakeups": asdict(Connection(Link.CONNECTED, since))},
        metrics=lambda: ("", b""),
    )
    await server.start()
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://127.0.0.1:{server.port}/status")
    await server.stop()
    assert answer.json()["wakeups"]["state"] == "connected"
    assert datetime.fromisoformat(answer.json()["wakeups"]["since"]) == since


async def test_metrics_are_told_what_the_checks_say():
    noted: list[Mapping[str, bool]] = []
    server = HealthServer(
        "127.0.0.1",
        0,
        checks={"broker": unwell, "database": well},
        live=lambda: None,
        status=dict,
        metrics=lambda: ("text/plain", str(noted[-1]["broker"]).encode()),
        note=noted.append,
    )
    await server.start()
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://127.0.0.1:{server.port}/metrics")
    await server.stop()
    assert answer.text == "False"
    assert noted == [{"broker": False, "database": True}]
