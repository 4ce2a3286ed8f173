import json
import subprocess
import sys
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from novu_py import models
from pydantic import ValidationError

from tests.unit.adapters.novu.building import (
    ANY_TIME,
    BULK,
    KEY,
    Scripted,
    call,
    codes,
    opened,
    transaction,
)
from xnovu.adapters.novu import NovuOptions
from xnovu.adapters.novu.requests import MAX_KEY, Event, bulk_body, event_of, parts, single_key
from xnovu.adapters.novu.wire import Wire
from xnovu.errors import Permanent
from xnovu.events import is_transaction_id
from xnovu.retraction import Recall, Recalled

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

PAYLOAD: dict[str, Any] = {
    "n": 2**70,
    "f": 1e-7,
    "deep": [{"a": [None, True, {"ü": "日本 🎉 \u2028 \"'\\"}]}],
    "": "",
    "$set": {"x.y": 1},
}
OVERRIDES: dict[str, Any] = {
    "fcm": {"type": "data"},
    "providers": {"sendgrid": {"ipPoolName": "x", "unknown": [1, 2]}},
    "layoutIdentifier": "plain",
    "unheard_of": {"deep": {"er": 10**20}},
}


def body_of(event: Event | Permanent) -> dict[str, Any]:
    assert isinstance(event, Event)
    return json.loads(event.body)


def test_everything_arrives_unchanged() -> None:
    made = call(1, PAYLOAD, ("ada", "bob"), overrides=OVERRIDES)
    assert body_of(event_of(made, "")) == {
        "name": "welcome",
        "to": ["ada", "bob"],
        "payload": PAYLOAD,
        "overrides": OVERRIDES,
        "transactionId": transaction(1),
    }


def test_no_overrides_are_not_sent_but_empty_ones_are() -> None:
    assert "overrides" not in body_of(event_of(call(1), ""))
    assert body_of(event_of(call(1, overrides={}), ""))["overrides"] == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)  # fmt: skip


@PATIENT
@given(st.dictionaries(st.text(), JSON), st.none() | st.dictionaries(st.text(), JSON))
def test_any_payload_arrives_unchanged(
    payload: dict[str, Any], overrides: dict[str, Any] | None
) -> None:
    body = body_of(event_of(call(1, payload, overrides=overrides), ""))
    assert body["payload"] == payload
    assert body.get("overrides") == overrides


def test_the_sdk_takes_what_we_send() -> None:
    made = [call(n, PAYLOAD, overrides={"email": {"from": "x@example.org"}}) for n in range(3)]
    events = [event for one in made if isinstance(event := event_of(one, "_xnovu"), Event)]
    single = models.TriggerEventRequestDto.model_validate_json(events[0].body)
    assert (single.workflow_id, single.transaction_id) == ("welcome", transaction(0))
    bulk = models.BulkTriggerEventDto.model_validate_json(bulk_body(events))
    assert [each.transaction_id for each in bulk.events] == [transaction(n) for n in range(3)]


def test_what_the_contract_has_no_field_for_travels_in_the_payload() -> None:
    made = call(7, {"a": 1}, tags=("x", "y"), channels=("email",), name="Hi", workflow_version="2")
    assert body_of(event_of(made, "_xnovu"))["payload"] == {
        "a": 1,
        "_xnovu": {
            "id": 7,
            "enterprise_id": "acme",
            "name": "Hi",
            "channels": ["email"],
            "tags": ["x", "y"],
            "workflow_version": "2",
        },
    }
    assert body_of(event_of(call(7, {}), "_xnovu"))["payload"] == {
        "_xnovu": {"id": 7, "enterprise_id": "acme"}
    }


@given(own=st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_what_a_payload_says_of_itself_under_our_key_is_replaced(own: object) -> None:
    """Else one enterprise's user had Novu's workflows see another enterprise."""
    made = call(7, {"_xnovu": own, "a": 1})
    said = body_of(event_of(made, "_xnovu"))["payload"]
    assert said == {"_xnovu": {"id": 7, "enterprise_id": "acme"}, "a": 1}


def test_the_row_is_not_changed_by_what_is_added() -> None:
    made = call(7, {"a": 1})
    event_of(made, "_xnovu")
    assert made.notification.payload == {"a": 1}


def test_what_cannot_be_written_is_refused_without_a_word_of_it() -> None:
    refused = event_of(call(1, {"a": "secret \ud800"}), "")
    assert isinstance(refused, Permanent)
    assert refused.code == "payload_invalid"
    assert "secret" not in str(refused)
    assert refused.__context__ is None


BAD_IDS = ("", " ", "order-1 ", "order-1\n", "..", "../../subscribers/victim", "order-7?x", "ö")


@pytest.mark.parametrize("name", BAD_IDS)
async def test_nothing_is_asked_about_what_is_no_transaction_id(name: str) -> None:
    wrong = replace(call(1), transaction_id=name)
    novu = Scripted()
    async with opened(novu) as provider:
        refused, looked_up, taken = await provider.trigger(
            [wrong, replace(wrong, look_up=True, transaction_id=f"{name}/"), call(2)], ANY_TIME
        )
        [recalled] = await provider.cancel([Recall(name, 1)])
    assert codes([refused, looked_up, taken]) == ["invalid_row", "invalid_row", None]
    assert recalled == Recalled()
    assert novu.paths == ["/v1/events/trigger"]


@PATIENT
@given(st.text(min_size=1, max_size=300) | st.text("./%?#a\\ ", min_size=1, max_size=9))
async def test_a_path_is_one_step_longer_whatever_the_id(name: str) -> None:
    novu = Scripted()
    options = NovuOptions(url="http://novu.test")
    wire = Wire(options, lambda: KEY, novu)
    asked = [await wire.cancel(name), await wire.take_back(name)]
    await wire.close()
    raw = [request.url.raw_path.partition(b"?")[0] for request in novu.requests]
    if raw:
        quoted = quote(name, safe="").encode()
        assert raw == [b"/v1/events/trigger/" + quoted, b"/v1/messages/transaction/" + quoted]
    else:
        assert [type(answer) for answer in asked] == [Permanent, Permanent]


@PATIENT
@given(st.from_regex(r"[A-Za-z0-9._:-]{1,255}", fullmatch=True).filter(is_transaction_id))
def test_an_idempotency_key_is_not_too_long(name: str) -> None:
    event = Event(replace(call(1), transaction_id=name), b"")
    keys = [single_key("e" * 64, event, generation) for generation in (0, 1, 10)]
    assert max(map(len, keys)) <= MAX_KEY
    assert len(set(keys)) == len(keys)


def test_more_recipients_than_novu_takes_are_refused() -> None:
    refused = event_of(call(1, recipients=tuple(f"user-{n}" for n in range(101))), "")
    assert isinstance(refused, Permanent)
    assert refused.code == "too_many_recipients"
    assert isinstance(event_of(call(1, recipients=("u",) * 100), ""), Event)


async def test_headers_carry_the_key_and_a_stable_idempotency_key() -> None:
    novu = Scripted()
    async with opened(novu) as provider:
        assert list(await provider.trigger([call(1)], ANY_TIME)) == [None]
        assert list(await provider.trigger([call(1)], ANY_TIME)) == [None]
        assert list(await provider.trigger([call(1), call(2)], ANY_TIME)) == [None, None]
        assert list(await provider.trigger([call(1), call(2)], ANY_TIME)) == [None, None]
    first, again, bulk, bulk_again = novu.requests
    assert first.headers["authorization"] == f"ApiKey {KEY}"
    assert first.headers["content-type"] == "application/json"
    assert novu.keys[0] == novu.keys[1] == f"test:{transaction(1)}"
    assert novu.keys[2] == novu.keys[3]
    assert novu.keys[2].startswith("test:bulk:")
    assert len(novu.keys[2]) == len("test:bulk:") + 64
    assert bulk.url.path == BULK
    assert (first.content, bulk.content) == (again.content, bulk_again.content)
    events = json.loads(bulk.content)["events"]
    assert [event["transactionId"] for event in events] == [transaction(1), transaction(2)]


def events(count: int, size: int = 10) -> list[Event]:
    return [Event(call(n), b"x" * size) for n in range(count)]


@pytest.mark.parametrize(
    ("count", "pays", "sizes"),
    [
        (0, 2, []),
        (1, 2, [1]),
        (2, 2, [2]),
        (101, 2, [100, 1]),
        (250, 2, [100, 100, 50]),
        (100, 100, [100]),
        (102, 100, [100, 1, 1]),
        (3, float("inf"), [1, 1, 1]),
        (2, 1, [2]),
    ],
)
def test_events_go_together_where_it_pays(count: int, pays: float, sizes: list[int]) -> None:
    assert [len(part) for part in parts(events(count), pays)] == sizes


def test_no_bulk_grows_beyond_what_a_proxy_takes() -> None:
    assert [len(part) for part in parts(events(6, 8_000_000), 2)] == [2, 2, 2]
    assert [len(part) for part in parts(events(2, 30_000_000), 2)] == [1, 1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "novu.co"},
        {"url": "ftp://novu.co"},
        {"url": "https://user:pass@novu.co"},
        {"url": "https://novu.co?x=1"},
        {"environment": "a b"},
        {"environment": ""},
        {"rate": -1},
        {"timeout": 0},
        {"concurrency": 0},
        {"bulk": "sometimes"},
        {"api_key": "x"},
    ],
)
def test_wrong_options_are_told_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NovuOptions(**wrong)


async def test_a_url_may_have_a_path_and_a_slash() -> None:
    novu = Scripted()
    async with opened(novu, url="https://example.org/novu/") as provider:
        await provider.trigger([call(1), call(2, look_up=True)], ANY_TIME)
    paths = {request.url.path for request in novu.requests}
    assert paths == {"/novu/v1/events/trigger", "/novu/v1/notifications"}


def test_novus_sdk_is_not_imported_before_it_is_needed() -> None:
    code = "import sys, xnovu.adapters.novu; sys.exit('novu_py' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_nothing_is_sent_for_nothing() -> None:
    novu = Scripted()
    async with opened(novu) as provider:
        assert list(await provider.trigger([], ANY_TIME)) == []
    assert novu.requests == []


async def test_a_transaction_twice_in_a_batch_is_sent_once() -> None:
    novu = Scripted()
    async with opened(novu) as provider:
        assert list(await provider.trigger([call(1), call(1)], ANY_TIME)) == [None, None]
    assert len(novu.requests) == 1
    assert isinstance(novu.requests[0], httpx.Request)
