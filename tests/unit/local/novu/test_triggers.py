"""Triggers: what is accepted, what is refused, and in which shape."""

import json
from collections.abc import AsyncIterator

import pytest

from xnovu_local.novu import Step, Workflow
from xnovu_local.novu.triggers import subscribers_of

from .conftest import Stand, event


async def test_accepts_a_trigger_and_notifies_afterwards(stand: Stand) -> None:
    answer = await stand.trigger(event("t1"))
    assert answer.status_code == 201
    data = {"acknowledged": True, "status": "processed", "transactionId": "t1"}
    assert answer.json() == {"data": data}
    assert stand.novu.ledger.totals.notified == 0
    assert (await stand.settled())["subscribers"] == {"ada": 1}


async def test_invents_a_transaction_id(stand: Stand) -> None:
    made = (await stand.trigger(event(None))).json()["data"]["transactionId"]
    assert len(made) == 36
    assert (await stand.settled(made))["asked"] == 1


async def test_answers_a_bulk_in_request_order(stand: Stand) -> None:
    answer = await stand.bulk(*(event(f"t{number}") for number in range(100)))
    assert answer.status_code == 201
    ids = [item["transactionId"] for item in answer.json()["data"]]
    assert ids == [f"t{number}" for number in range(100)]
    stand.clock.advance()
    assert stand.novu.ledger.totals.notified == 100


async def test_survives_text_of_any_kind(stand: Stand) -> None:
    odd = 'quo"te \\ \n\u2028 \U0001f600'
    answer = await stand.trigger(event(odd, to=odd))
    assert answer.json()["data"]["transactionId"] == odd
    lone = b'{"name":"w","to":"\\ud800","transactionId":"\\ud800"}'
    headers = {"content-type": "application/json"}
    answer = await stand.client.post("/v1/events/trigger", content=lone, headers=headers)
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("ada", ("ada",)),
        ({"subscriberId": "ada", "email": "ada@example.com"}, ("ada",)),
        (["ada", {"subscriberId": "ada"}, "bob", "ada"], ("ada", "bob")),
        ({"type": "Topic", "topicKey": "news"}, ("topic:news",)),
        ([{"email": "nobody"}, 7, None, "", {"type": "Topic"}], ()),
        ("", ()),
        (7, ()),
    ],
)
def test_finds_the_subscribers(to: object, expected: tuple[str, ...]) -> None:
    assert subscribers_of(to) == expected


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": None}, "name"),
        ({"name": 7}, "name"),
        ({"to": None}, "to"),
        ({"payload": None}, "payload"),
        ({"payload": "text"}, "payload"),
        ({"payload": []}, "payload"),
        ({"overrides": "text"}, "overrides"),
        ({"transactionId": 7}, "transactionId"),
    ],
)
async def test_names_a_wrong_field(stand: Stand, change: dict[str, object], field: str) -> None:
    single = await stand.trigger(event() | change)
    assert single.status_code == 422
    assert list(single.json()["errors"]) == [field]
    bulk = await stand.bulk(event("good"), event() | change)
    assert bulk.status_code == 422
    assert list(bulk.json()["errors"]) == [f"events.1.{field}"]
    stand.clock.advance()
    assert stand.novu.ledger.totals.accepted == 0


async def test_misses_absent_fields(stand: Stand) -> None:
    answer = await stand.trigger({})
    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == {"name", "to"}
    assert (await stand.trigger({"name": "w", "to": "ada"})).status_code == 201


@pytest.mark.parametrize("body", [[], 7, "text", None])
async def test_turns_down_what_is_no_event(stand: Stand, body: object) -> None:
    content = json.dumps(body)
    headers = {"content-type": "application/json"}
    for path in ("/v1/events/trigger", "/v1/events/trigger/bulk"):
        answer = await stand.client.post(path, content=content, headers=headers)
        assert answer.status_code == 422
    assert (await stand.bulk(body)).status_code == 422


@pytest.mark.parametrize("count", [0, 101])
async def test_bounds_a_bulk(stand: Stand, count: int) -> None:
    answer = await stand.bulk(*(event(f"t{number}") for number in range(count)))
    assert answer.status_code == 422
    assert "events" in answer.json()["errors"]


async def test_bounds_the_recipients(stand: Stand) -> None:
    everyone = [f"user-{number}" for number in range(101)]
    assert (await stand.trigger(event(to=everyone[:100]))).status_code == 201
    answer = await stand.trigger(event(to=everyone))
    assert answer.status_code == 400
    assert "100" in answer.json()["message"]
    answer = await stand.bulk(event("a"), event("b", to=everyone))
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("events.1.to")


async def test_turns_down_broken_json(stand: Stand) -> None:
    headers = {"content-type": "application/json"}
    answer = await stand.client.post("/v1/events/trigger", content=b"{", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["statusCode"] == 400


async def test_reads_only_what_is_declared_as_json(stand: Stand) -> None:
    content = json.dumps(event())
    headers = {"content-type": "text/plain"}
    answer = await stand.client.post("/v1/events/trigger", content=content, headers=headers)
    assert answer.status_code == 422


async def test_turns_down_an_event_that_is_too_large(stand: Stand) -> None:
    large = event("large", payload={"text": "x" * 512 * 1024})
    assert (await stand.trigger(large)).status_code == 413
    half = {"text": "x" * 300 * 1024}
    assert (await stand.bulk(event("a", payload=half), event("b", payload=half))).status_code == 201
    answer = await stand.bulk(event("c"), event("d"), large)
    assert answer.status_code == 413
    assert "index 2" in answer.json()["message"]
    assert (await stand.settled("c"))["accepted"] == 0


async def test_bounds_the_body(stand: Stand) -> None:
    stand.novu.change(max_body=100)
    answer = await stand.trigger(event(payload={"text": "x" * 100}))
    assert answer.status_code == 413
    assert answer.json()["message"] == "request entity too large"

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * 30

    answer = await stand.client.post("/v1/events/trigger", content=parts())
    assert answer.status_code == 413


async def test_knows_only_registered_workflows_once_there_are_any(stand: Stand) -> None:
    assert (await stand.trigger()).status_code == 201
    stand.register(Workflow("other"))
    answer = await stand.trigger()
    assert (answer.status_code, answer.json()["message"]) == (422, "workflow_not_found")
    assert "errors" not in answer.json()
    answer = await stand.bulk(event("a"), event("b", name="other"))
    first, second = answer.json()["data"]
    assert first == {"acknowledged": True, "status": "error", "error": ["workflow_not_found"]}
    assert second["status"] == "processed"
    stand.register()
    assert (await stand.trigger()).status_code == 201


@pytest.mark.parametrize(
    ("workflow", "status"),
    [
        (Workflow("welcome", active=False), "trigger_not_active"),
        (Workflow("welcome", steps=()), "no_workflow_steps_defined"),
        (Workflow("welcome", steps=(Step(active=False),)), "no_workflow_active_steps_defined"),
        (Workflow("welcome", refuses="no_tenant_found"), "no_tenant_found"),
        (Workflow("welcome", refuses="a_new_status"), "a_new_status"),
    ],
)
async def test_refuses_with_a_status(stand: Stand, workflow: Workflow, status: str) -> None:
    stand.register(workflow)
    answer = await stand.trigger()
    assert (answer.status_code, answer.json()["data"]["status"]) == (201, status)
    assert (await stand.bulk(event())).json()["data"][0]["status"] == status
    assert (await stand.settled())["accepted"] == 0


async def test_refuses_with_an_error(stand: Stand) -> None:
    stand.register(Workflow("welcome", refuses="error", error="no, thank you"))
    answer = await stand.trigger()
    assert (answer.status_code, answer.json()["message"]) == (400, "no, thank you")
    item = (await stand.bulk(event())).json()["data"][0]
    assert item == {"acknowledged": True, "status": "error", "error": ["no, thank you"]}


async def test_refuses_recipients_that_are_none(stand: Stand) -> None:
    answer = await stand.trigger(event(to=[]))
    assert answer.json()["data"]["status"] == "invalid_recipients"


async def test_holds_payloads_against_the_schema(stand: Stand) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]}
    stand.register(Workflow("welcome", payload_schema=schema))
    assert (await stand.trigger(event(payload={"n": 1}))).status_code == 201
    answer = await stand.trigger(event(payload={"n": "one"}))
    assert (answer.status_code, answer.json()["type"]) == (400, "PAYLOAD_VALIDATION_ERROR")
    assert answer.json()["errors"][0]["field"] == "n"
    assert answer.json()["schema"] == schema
    item = (await stand.bulk(event(payload={}))).json()["data"][0]
    assert (item["status"], item["error"]) == ("error", ["Payload validation failed"])


@pytest.mark.parametrize("header", [None, "", "ApiKey", "ApiKey ", "Bearer secret", "ApiKey wrong"])
async def test_lets_nobody_in_without_the_key(stand: Stand, header: str | None) -> None:
    del stand.client.headers["Authorization"]
    if header is not None:
        stand.client.headers["Authorization"] = header
    for answer in (
        await stand.trigger(),
        await stand.bulk(event()),
        await stand.client.get("/v1/notifications"),
        await stand.client.delete("/v1/events/trigger/t1"),
        await stand.client.delete("/v1/messages/transaction/t1"),
    ):
        assert answer.status_code == 401
        assert answer.json()["statusCode"] == 401


async def test_lets_any_key_in_when_told_so(stand: Stand) -> None:
    stand.novu.change(api_key=None)
    assert (await stand.trigger(Authorization="ApiKey whatever")).status_code == 201
    assert (await stand.trigger(Authorization="Bearer whatever")).status_code == 401


async def test_answers_wrong_paths_in_novu_s_shape(stand: Stand) -> None:
    missing = await stand.client.post("/v1/nothing")
    assert (missing.status_code, missing.json()["path"]) == (404, "/v1/nothing")
    wrong = await stand.client.get("/v1/events/trigger")
    assert (wrong.status_code, wrong.json()["statusCode"]) == (405, 405)
    assert (await stand.client.post("/v1/events/trigger/")).status_code in (404, 405)
