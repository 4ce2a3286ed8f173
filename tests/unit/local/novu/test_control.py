"""The switches, the books and the page."""

import pytest

from xnovu_local.novu import LocalNovu, LocalNovuOptions, Step, Workflow

from .conftest import Stand, event


async def test_reads_the_totals(stand: Stand) -> None:
    await stand.bulk(event("t1", to=["ada", "bob"]), event("t2"), event("t2"))
    stand.clock.advance()
    book = (await stand.client.get("/_local/ledger")).json()
    assert book == {
        "totals": {
            "transactions": 2,
            "asked": 3,
            "accepted": 3,
            "dropped": 1,
            "fanOuts": 2,
            "notified": 3,
            "cancelled": 0,
            "doubled": 0,
            "lookUps": 0,
        },
        "doubled": [],
        "transactions": [],
    }


async def test_reads_single_transactions(stand: Stand) -> None:
    stand.novu.change(dedupe_gap=1.0)
    await stand.bulk(event("t1"), event("t1"), event("t2"))
    stand.clock.advance(1)
    query = [("transactionId", "t1"), ("transactionId", "t2"), ("transactionId", "t3")]
    book = (await stand.client.get("/_local/ledger", params=query)).json()
    assert book["doubled"] == ["t1"]
    assert book["transactions"][0] == {
        "transactionId": "t1",
        "workflow": "welcome",
        "asked": 2,
        "accepted": 2,
        "dropped": 0,
        "fanOuts": 2,
        "notified": 2,
        "cancelled": False,
        "subscribers": {"ada": 2},
    }
    assert len(book["transactions"]) == 2


async def test_reset_forgets_all_but_options_and_workflows(stand: Stand) -> None:
    stand.register(Workflow("welcome"))
    stand.novu.change(idempotency=True, rate="free")
    for _ in range(2):
        await stand.bulk(event(), **{"Idempotency-Key": "one"})
    await stand.client.post("/_local/faults", json={"kind": "502", "count": 9})
    stand.clock.advance()
    assert (await stand.client.post("/_local/reset")).status_code == 204
    totals = (await stand.client.get("/_local/ledger")).json()["totals"]
    assert set(totals.values()) == {0}
    assert (await stand.client.get("/_local/inbox")).json()["received"] == []
    answer = await stand.bulk(event(), **{"Idempotency-Key": "one"})
    assert (answer.status_code, "Idempotency-Replay" in answer.headers) == (201, False)
    assert answer.headers["RateLimit-Remaining"] == "230"
    assert stand.novu.workflows.find("other") is None


async def test_changes_options_while_running(stand: Stand) -> None:
    options = (await stand.client.get("/_local/options")).json()
    assert "api_key" not in options
    answer = await stand.client.put("/_local/options", json={**options, "rate": "pro"})
    assert answer.json()["rate"] == "pro"
    assert stand.novu.options.api_key == "secret"
    assert (await stand.trigger()).headers["RateLimit-Limit"] == "1200"
    await stand.client.put("/_local/options", json={"rate": None, "api_key": "other"})
    assert (await stand.trigger()).status_code == 401


@pytest.mark.parametrize(
    "body", [{"speed": 1}, {"latency": -1}, {"rate": "gold"}, {"rate": 0}, {"max_body": "x"}, []]
)
async def test_turns_down_options_that_make_no_sense(stand: Stand, body: object) -> None:
    before = stand.novu.options
    assert (await stand.client.put("/_local/options", json=body)).status_code == 400
    assert stand.novu.options == before


async def test_registers_workflows(stand: Stand) -> None:
    empty = (await stand.client.get("/_local/workflows")).json()
    assert empty == {"mode": "open", "workflows": []}
    mine = {"key": "welcome", "steps": [{"channel": "email", "delay": 5}], "refuses": None}
    shown = (await stand.client.put("/_local/workflows", json={"workflows": [mine]})).json()
    assert shown["mode"] == "closed"
    assert stand.novu.workflows.find("welcome") == Workflow("welcome", steps=(Step("email", 5),))
    again = await stand.client.put("/_local/workflows", json=shown["workflows"])
    assert again.json() == shown
    assert (await stand.client.put("/_local/workflows", json=[])).json()["mode"] == "open"


@pytest.mark.parametrize(
    "body",
    [
        7,
        {},
        [{"active": True}],
        [{"key": "w", "steps": [{"channel": "pigeon"}]}],
        [{"key": "w", "payload_schema": {"type": "nonsense"}}],
    ],
)
async def test_turns_down_workflows_that_make_no_sense(stand: Stand, body: object) -> None:
    assert (await stand.client.put("/_local/workflows", json=body)).status_code == 400
    assert stand.novu.workflows.shown()["mode"] == "open"


async def test_turns_down_what_is_not_json(stand: Stand) -> None:
    for path in ("/_local/options", "/_local/workflows"):
        answer = await stand.client.put(
            path, content=b"{", headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 400
    assert (await stand.client.get("/_local/inbox?limit=many")).status_code == 400


async def test_shows_what_subscribers_received(stand: Stand) -> None:
    stand.register(Workflow("welcome", steps=(Step("in_app"), Step("email"))))
    await stand.trigger(event("t1", to=["Ada", "bob"]))
    await stand.trigger(event("t2", to="eve"))
    stand.clock.advance()
    inbox = (await stand.client.get("/_local/inbox")).json()
    assert [one["transactionId"] for one in inbox["received"]] == ["t2", "t1"]
    assert inbox["received"][1] == {
        "number": 1,
        "at": "2023-11-14T22:13:20.000Z",
        "workflow": "welcome",
        "transactionId": "t1",
        "subscribers": ["Ada", "bob"],
        "channels": ["in_app", "email"],
        "payload": {"text": "hello"},
        "takenBack": [],
    }
    assert inbox["totals"]["notified"] == 3
    assert (inbox["held"], inbox["at"]) == (2, stand.clock.now())
    for query, found in (("subscriber=ADA", ["t1"]), ("after=1", ["t2"]), ("limit=1", ["t2"])):
        some = (await stand.client.get(f"/_local/inbox?{query}")).json()["received"]
        assert [one["transactionId"] for one in some] == found


async def test_remembers_a_bounded_number(stand: Stand) -> None:
    stand.novu.change(events_held=3)
    await stand.bulk(*(event(f"t{number}") for number in range(10)))
    stand.clock.advance()
    held = [one.transaction for one in stand.novu.inbox.latest(100)]
    assert held == ["t9", "t8", "t7"]
    stand.novu.change(events_held=1)
    assert len(stand.novu.inbox) == 1


async def test_remembers_a_bounded_number_of_bytes(stand: Stand) -> None:
    stand.novu.change(bytes_held=10_000)
    for number in range(10):
        await stand.trigger(event(f"t{number}", payload={"text": "x" * 3000}))
        stand.clock.advance()
    assert len(stand.novu.inbox) == 3


async def test_keeps_no_payload_when_it_shows_none(stand: Stand) -> None:
    stand.novu.change(events_held=0)
    await stand.trigger()
    assert (await stand.settled())["notified"] == 1
    assert len(stand.novu.inbox) == 0
    assert (await stand.seen("t1"))["data"]


async def test_serves_a_page_that_needs_nothing_else(stand: Stand) -> None:
    answer = await stand.client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "/_local/inbox" in answer.text
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    for dangerous in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert dangerous not in answer.text


def test_options_are_refused_by_their_name() -> None:
    with pytest.raises(ValueError, match="rate"):
        LocalNovu().change(rate="gold")
    assert LocalNovuOptions().changed({"rate": 600}).rate == 600
