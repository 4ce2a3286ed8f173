"""Faults on purpose, over real sockets and, for the matching, without."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.conftest import eventually
from xnovu_local.novu import (
    Fault,
    LocalNovu,
    LocalNovuOptions,
    RunningNovu,
    create_app,
    running_novu,
)

from .conftest import KEY, Stand, event


@pytest.fixture
async def running() -> AsyncIterator[RunningNovu]:
    async with running_novu() as handle:
        yield handle


@pytest.fixture
async def client(running: RunningNovu) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=running.url, headers=KEY, timeout=20) as client:
        yield client


def accepted(running: RunningNovu, transaction: str = "t1") -> int:
    found = running.novu.ledger.find(transaction)
    return found.accepted if found else 0


async def post(client: httpx.AsyncClient, transaction: str = "t1") -> httpx.Response:
    return await client.post("/v1/events/trigger", json=event(transaction))


async def test_resets_before_it_accepts(running: RunningNovu, client: httpx.AsyncClient) -> None:
    running.novu.script(Fault("reset_before"))
    with pytest.raises(httpx.TransportError):
        await post(client)
    assert accepted(running) == 0
    assert (await post(client)).status_code == 201


async def test_resets_after_it_accepted(running: RunningNovu, client: httpx.AsyncClient) -> None:
    running.novu.script(Fault("reset_after_accept"))
    with pytest.raises(httpx.TransportError):
        await post(client)
    assert accepted(running) == 1
    await eventually(lambda: running.novu.ledger.totals.notified == 1)
    assert (await post(client)).status_code == 201


async def test_a_reset_comes_in_the_middle_of_the_answer(running: RunningNovu) -> None:
    running.novu.script(Fault("reset_after_accept"))
    host, port = running.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = "POST /v1/events/trigger HTTP/1.1\r\nhost: localhost\r\nauthorization: ApiKey k\r\n"
    body = '{"name":"w","to":"ada","transactionId":"t1"}'
    length = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write((head + length + body).encode())
    got = b""
    with pytest.raises(ConnectionResetError):
        while part := await reader.read(1000):
            got += part
    writer.close()
    assert b"201" in got
    assert b'"t1"}}' not in got


async def test_other_connections_survive_a_reset(running: RunningNovu) -> None:
    slow = Fault("latency", transaction="slow", seconds=0.05)
    running.novu.script(slow, Fault("reset_before", transaction="cut"))
    async with (
        httpx.AsyncClient(base_url=running.url, headers=KEY) as one,
        httpx.AsyncClient(base_url=running.url, headers=KEY) as other,
    ):
        kept, lost = await asyncio.gather(
            post(one, "slow"), post(other, "cut"), return_exceptions=True
        )
    assert isinstance(kept, httpx.Response)
    assert isinstance(lost, httpx.TransportError)


async def test_is_silent_after_it_accepted(running: RunningNovu, client: httpx.AsyncClient) -> None:
    running.novu.script(Fault("timeout_after_accept"))
    waiting = asyncio.create_task(post(client))
    await eventually(lambda: accepted(running) == 1)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert (await post(client, "t2")).status_code == 201


async def test_a_client_s_time_out_runs_into_silence(running: RunningNovu) -> None:
    running.novu.script(Fault("timeout_after_accept"))
    timeout = httpx.Timeout(20, read=0.2)
    async with httpx.AsyncClient(base_url=running.url, headers=KEY, timeout=timeout) as client:
        with pytest.raises(httpx.ReadTimeout):
            await post(client)
    await eventually(lambda: accepted(running) == 1)


async def test_silence_ends_in_a_cut_when_told_so(
    running: RunningNovu, client: httpx.AsyncClient
) -> None:
    running.novu.script(Fault("timeout_after_accept", seconds=0.01))
    with pytest.raises(httpx.NetworkError):
        await post(client)
    assert accepted(running) == 1


async def test_stops_at_once_whatever_is_under_way() -> None:
    async with httpx.AsyncClient(headers=KEY, timeout=60) as client:
        async with running_novu() as handle:
            handle.novu.script(
                Fault("timeout_after_accept", transaction="silent"),
                Fault("latency", transaction="slow", seconds=1000),
            )
            url = f"{handle.url}/v1/events/trigger"
            waiting = [
                asyncio.create_task(client.post(url, json=event(name)))
                for name in ("silent", "slow")
            ]
            await eventually(lambda: handle.novu.ledger.totals.asked == 2)
            before = time.monotonic()
        assert time.monotonic() - before < 15
        lost = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(one, httpx.TransportError) for one in lost)
        with pytest.raises(httpx.ConnectError):
            await client.post(url, json=event())


async def test_several_run_side_by_side() -> None:
    async with running_novu() as one, running_novu(LocalNovuOptions(api_key="secret")) as other:
        assert one.url != other.url
        async with httpx.AsyncClient(headers=KEY) as client:
            for handle in (one, other):
                answer = await client.post(f"{handle.url}/v1/events/trigger", json=event())
                assert answer.status_code == 201
        await eventually(lambda: other.novu.ledger.totals.notified == 1)


async def test_a_port_in_use_is_an_error(running: RunningNovu) -> None:
    port = int(running.url.rsplit(":", 1)[1])
    with pytest.raises(OSError, match="in use"):
        async with running_novu(port=port):
            raise AssertionError("two on one port")


async def test_without_a_server_a_reset_is_an_exception() -> None:
    novu = LocalNovu()
    novu.script(Fault("reset_before"))
    app, url = httpx.ASGITransport(create_app(novu)), "http://localhost"
    async with httpx.AsyncClient(transport=app, base_url=url, headers=KEY) as client:
        with pytest.raises(ConnectionResetError):
            await post(client)


@pytest.mark.parametrize(
    ("kind", "status", "media"),
    [
        ("200_html", 200, "text/html"),
        ("401", 401, "application/json"),
        ("402", 402, "application/json"),
        ("429", 429, "application/json"),
        ("500", 500, "application/json"),
        ("502", 502, "text/html"),
        ("503", 503, "application/json"),
        ("503_proxy", 503, "text/html"),
        ("504", 504, "text/html"),
    ],
)
async def test_answers_with_a_status(stand: Stand, kind: str, status: int, media: str) -> None:
    body = {"kind": kind, "seconds": 7}
    assert (await stand.client.post("/_local/faults", json=body)).status_code == 201
    answer = await stand.trigger()
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith(media)
    retry = "7" if kind in ("429", "503") else None
    assert answer.headers.get("Retry-After") == retry
    assert (await stand.settled())["accepted"] == 0
    assert (await stand.client.post("/_local/faults", json=body | {"accepted": True})).is_success
    assert (await stand.trigger(event("t2"))).status_code == status
    assert (await stand.settled("t2"))["notified"] == 1


async def test_faults_strike_calls_of_all_kinds(stand: Stand) -> None:
    stand.novu.script(
        Fault("502", endpoint="cancel"),
        Fault("502", endpoint="notifications", transaction="t2"),
        Fault("502", endpoint="messages"),
        Fault("502", endpoint="bulk", workflow="rare"),
    )
    assert (await stand.trigger()).status_code == 201
    assert (await stand.bulk(event())).status_code == 201
    assert (await stand.bulk(event(), event(name="rare"))).status_code == 502
    assert (await stand.client.delete("/v1/events/trigger/t1")).status_code == 502
    assert (await stand.client.delete("/v1/messages/transaction/t1")).status_code == 502
    for transaction, status in (("t1", 200), ("t2", 502), ("t2", 200)):
        query = {"transactionId": transaction}
        answer = await stand.client.get("/v1/notifications", params=query)
        assert answer.status_code == status


async def test_faults_count_the_calls_they_fit(stand: Stand) -> None:
    stand.novu.script(Fault("502", transaction="t1", nth=2, count=2))
    statuses = [(await stand.trigger(event(name))).status_code for name in ("t1", "t2") * 4]
    assert statuses == [201, 201, 502, 201, 502, 201, 201, 201]


async def test_the_first_scripted_strikes_and_the_next_waits(stand: Stand) -> None:
    stand.novu.script(Fault("502"), Fault("429"))
    assert [(await stand.trigger()).status_code for _ in range(3)] == [502, 429, 201]


async def test_faults_strike_by_chance_and_repeatably(stand: Stand) -> None:
    async def statuses() -> list[int]:
        stand.novu.reset()
        stand.novu.script(Fault("502", probability=0.3, seed=7, count=None))
        return [(await stand.trigger()).status_code for _ in range(200)]

    first = await statuses()
    assert first == await statuses()
    assert 30 < first.count(502) < 90


async def test_latency_adds_up_and_holds_up_other_faults(stand: Stand) -> None:
    stand.novu.change(latency=1.0)
    stand.novu.script(Fault("latency", seconds=2), Fault("latency", seconds=3))
    waiting = asyncio.create_task(stand.trigger())
    for seconds, asked in ((5.9, False), (0.1, True)):
        await eventually(lambda: stand.novu.ledger.totals.asked == 1)
        stand.clock.advance(seconds)
        await asyncio.sleep(0)
        assert (stand.novu.ledger.totals.accepted == 1) is asked
    assert (await waiting).status_code == 201
    stand.novu.script(Fault("latency", seconds=2), Fault("502"))
    waiting = asyncio.create_task(stand.trigger())
    await eventually(lambda: stand.novu.ledger.totals.asked == 2)
    stand.clock.advance(2)
    assert (await waiting).status_code == 502


async def test_shows_and_clears_the_script(stand: Stand) -> None:
    faults = [{"kind": "502", "count": 2}, {"kind": "latency", "seconds": 0, "count": None}]
    await stand.client.post("/_local/faults", json=faults)
    await stand.trigger()
    shown = (await stand.client.get("/_local/faults")).json()["faults"]
    assert [(one["kind"], one["seen"], one["struck"]) for one in shown] == [
        ("502", 1, 1),
        ("latency", 1, 1),
    ]
    assert (await stand.client.delete("/_local/faults")).status_code == 204
    assert (await stand.trigger()).status_code == 201


@pytest.mark.parametrize(
    "body", [{}, {"kind": "flood"}, {"kind": "502", "nth": 0}, {"kind": "502", "often": 1}, 7]
)
async def test_turns_down_faults_that_make_no_sense(stand: Stand, body: object) -> None:
    answer = await stand.client.post("/_local/faults", json=body)
    assert (answer.status_code, answer.json()["statusCode"]) == (400, 400)
