"""The gateway: who is let in, what is passed on, and what goes wrong on purpose."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import psycopg
import pytest
from postgrest import APIError

from tests.conftest import eventually
from xnovu_local.supabase import Fault, FaultScript, Keys, RunningSupabase
from xnovu_local.supabase.gateway import create_app

from .conftest import Connect

NOTE = "/rest/v1/note"


@pytest.fixture
async def http(supabase: RunningSupabase) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the service key, to the schema `notify`."""
    headers = {
        "apikey": supabase.service_key,
        "accept-profile": "notify",
        "content-profile": "notify",
    }
    async with httpx.AsyncClient(base_url=supabase.url, headers=headers, timeout=60) as client:
        yield client


def written(supabase: RunningSupabase) -> list[int]:
    with psycopg.connect(supabase.dsn) as connection:
        rows = connection.execute("SELECT id FROM notify.note ORDER BY id").fetchall()
    return [row[0] for row in rows]


async def test_without_a_key_nobody_is_let_in(supabase: RunningSupabase) -> None:
    async with httpx.AsyncClient(base_url=supabase.url) as client:
        answer = await client.get(NOTE, headers={"authorization": f"Bearer {supabase.service_key}"})
    assert answer.status_code == 401
    assert answer.json() == {
        "message": "No API key found in request",
        "hint": "No `apikey` request header or url param was found.",
    }


@pytest.mark.parametrize("key", ["sb_secret_guess", "eyJhbGciOiJIUzI1NiJ9.e30.x"])
async def test_an_unknown_key_is_refused(http: httpx.AsyncClient, key: str) -> None:
    answer = await http.get(NOTE, headers={"apikey": key})
    assert (answer.status_code, answer.json()["message"]) == (401, "Invalid API key")


async def test_the_key_may_stand_in_the_query(supabase: RunningSupabase) -> None:
    query = {"id": "gt.0", "apikey": supabase.keys.secret, "select": "id"}
    async with httpx.AsyncClient(base_url=supabase.url) as client:
        answer = await client.get(NOTE, params=query, headers={"accept-profile": "notify"})
    assert (answer.status_code, answer.json()) == (200, [])


async def test_another_key_as_a_token_is_no_token(
    supabase: RunningSupabase, http: httpx.AsyncClient
) -> None:
    other = {"apikey": supabase.keys.publishable, "authorization": f"Bearer {supabase.keys.secret}"}
    assert (await http.get(NOTE, headers=other)).status_code == 401


async def test_passes_on_what_was_sent_and_back_what_was_said(http: httpx.AsyncClient) -> None:
    made = await http.post(
        NOTE, json=[{"id": 1}, {"id": 2}], headers={"prefer": "return=representation"}
    )
    assert made.status_code == 201
    assert [row["id"] for row in made.json()] == [1, 2]
    ranged = await http.get(
        f"{NOTE}?id=in.(1,2)&order=id", headers={"range": "1-1", "prefer": "count=exact"}
    )
    assert (ranged.status_code, ranged.headers["content-range"]) == (206, "1-1/2")
    counted = await http.head(NOTE, headers={"prefer": "count=exact"})
    assert (counted.status_code, counted.headers["content-range"]) == (200, "0-1/2")
    put = await http.put(f"{NOTE}?id=eq.2", json={"id": 2, "enterprise_id": None, "text": "%2B+"})
    assert put.is_success
    found = await http.get(f"{NOTE}?text=eq.%252B%2B&select=id")
    assert found.json() == [{"id": 2}]
    assert (await http.delete(f"{NOTE}?id=gt.0")).status_code == 204
    assert (await http.options(NOTE)).headers["allow"].startswith("OPTIONS,GET,HEAD,POST")


async def test_without_postgrest_it_says_so(
    supabase: RunningSupabase, http: httpx.AsyncClient
) -> None:
    assert (await http.get(NOTE)).status_code == 200
    supabase.postgrest.kill()
    assert (await http.get(NOTE)).status_code == 502
    await asyncio.to_thread(supabase.postgrest.start)
    assert (await http.get(NOTE)).status_code == 200


@pytest.mark.parametrize(("method", "answers"), [("GET", 200), ("HEAD", 200), ("POST", 502)])
async def test_what_only_reads_is_passed_on_again(method: str, answers: int) -> None:
    """A connection that was kept may be one that PostgREST is just closing."""
    asked: list[str] = []

    def upstream(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        if len(asked) == 1:
            raise httpx.RemoteProtocolError("Server disconnected", request=request)
        return httpx.Response(200, stream=httpx.ByteStream(b""))

    keys = Keys()
    async with httpx.AsyncClient(
        transport=httpx.MockTransport(upstream), base_url="http://postgrest"
    ) as behind:
        app = create_app(behind, keys, FaultScript())
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://gateway"
        ) as client:
            answer = await client.request(method, NOTE, headers={"apikey": keys.secret})
    assert answer.status_code == answers
    assert asked == ([method] * 2 if answers == 200 else [method])


async def test_away_does_nothing(supabase: RunningSupabase, http: httpx.AsyncClient) -> None:
    supabase.faults.script(Fault("away"))
    with pytest.raises(httpx.TransportError):
        await http.post(NOTE, json={"id": 1})
    assert written(supabase) == []
    assert (await http.post(NOTE, json={"id": 1})).status_code == 201


async def test_a_lost_answer_leaves_what_was_done(
    supabase: RunningSupabase, connect: Connect
) -> None:
    client = await connect(supabase.service_key)
    supabase.faults.script(Fault("answer_lost", method="POST", path="/rest/v1/note"))
    with pytest.raises(httpx.TransportError):
        await client.table("note").insert({"id": 1}).execute()
    assert written(supabase) == [1]
    with pytest.raises(APIError, match="duplicate key"):
        await client.table("note").insert({"id": 1}).execute()
    assert supabase.faults.struck("answer_lost") == 1


async def test_an_answer_may_be_lost_behind_a_gateways_own(
    supabase: RunningSupabase, connect: Connect
) -> None:
    client = await connect(supabase.service_key)
    supabase.faults.script(Fault("answer_lost", 504))
    with pytest.raises(APIError) as failed:
        await client.table("note").insert({"id": 1}).execute()
    assert failed.value.code == "504"
    assert written(supabase) == [1]


@pytest.mark.parametrize(
    ("status", "media"),
    [(429, "application/json"), (503, "text/html; charset=utf-8"), (522, "text/html")],
)
async def test_answers_with_a_status(
    supabase: RunningSupabase, http: httpx.AsyncClient, status: int, media: str
) -> None:
    supabase.faults.script(Fault("status", status))
    answer = await http.post(NOTE, json={"id": 1})
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith(media)
    assert written(supabase) == []


async def test_latency_adds_up_and_holds_up_other_faults(
    supabase: RunningSupabase, http: httpx.AsyncClient
) -> None:
    slow = Fault("latency", seconds=0.05)
    supabase.faults.script(slow, slow, Fault("status", 503))
    before = time.monotonic()
    assert (await http.get(NOTE)).status_code == 503
    assert time.monotonic() - before >= 0.1


async def test_faults_count_the_requests_they_fit(
    supabase: RunningSupabase, http: httpx.AsyncClient
) -> None:
    supabase.faults.script(
        Fault("status", 500, path="*/note", method="GET", nth=2, count=2),
        Fault("status", 503, path="/rest/v1/rpc/*", count=None),
    )
    assert (await http.post(NOTE, json={"id": 1})).status_code == 201
    assert [(await http.get(NOTE)).status_code for _ in range(4)] == [200, 500, 500, 200]
    assert {(await http.post("/rest/v1/rpc/whoami")).status_code for _ in range(3)} == {503}
    supabase.faults.clear()
    assert (await http.post("/rest/v1/rpc/whoami")).status_code == 200


async def test_the_first_scripted_strikes_and_the_next_waits(
    supabase: RunningSupabase, http: httpx.AsyncClient
) -> None:
    supabase.faults.script(Fault("status", 502), Fault("status", 429))
    assert [(await http.get(NOTE)).status_code for _ in range(3)] == [502, 429, 200]


def test_a_status_must_be_named() -> None:
    with pytest.raises(ValueError, match="status"):
        Fault("status")


async def test_other_connections_survive_a_cut(
    supabase: RunningSupabase, http: httpx.AsyncClient
) -> None:
    supabase.faults.script(
        Fault("latency", method="HEAD", seconds=0.05), Fault("away", method="GET")
    )
    kept, lost = await asyncio.gather(http.head(NOTE), http.get(NOTE), return_exceptions=True)
    assert isinstance(kept, httpx.Response)
    assert isinstance(lost, httpx.TransportError)


async def test_away_refuses_connections_as_long_as_it_lasts(
    supabase: RunningSupabase, http: httpx.AsyncClient
) -> None:
    async with supabase.away():
        with pytest.raises(httpx.ConnectError):
            await http.get(NOTE)
    assert (await http.get(NOTE)).status_code == 200


async def test_stops_at_once_whatever_is_under_way(
    supabase: RunningSupabase, http: httpx.AsyncClient
) -> None:
    supabase.faults.script(Fault("latency", seconds=1000))
    waiting = asyncio.create_task(http.get(NOTE))
    await eventually(lambda: supabase.faults.struck("latency") == 1)
    async with supabase.away():
        with pytest.raises(httpx.TransportError):
            await waiting
