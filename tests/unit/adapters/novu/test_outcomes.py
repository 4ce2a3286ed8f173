"""Every line of the outcome table, for a single call and for a bulk."""

import json
import logging
from typing import Any

import httpx
import pytest

from tests.unit.adapters.novu.building import (
    ANY_TIME,
    BULK,
    KEY,
    NOTIFICATIONS,
    TRIGGER,
    Scripted,
    call,
    listing,
    opened,
    problem,
    taken,
    transaction,
)
from tests.unit.adapters.novu.table import NOT_ABOUT_IT, TABLE, UNMADE, Line, answered
from xnovu.errors import Missing, Paused, Permanent, Retryable, Unclear, XNovuError


def assert_is(verdict: XNovuError | None, line: Line) -> None:
    if line.kind is None:
        assert verdict is None
        return
    assert type(verdict) is line.kind
    assert verdict.code == line.code
    assert getattr(verdict, "after", None) == line.after
    assert verdict.__context__ is None
    assert verdict.__cause__ is None


@pytest.mark.parametrize("name", TABLE)
async def test_a_single(name: str) -> None:
    line = TABLE[name]
    async with opened(Scripted(line.answer)) as provider:
        [verdict] = await provider.trigger([call(1)], ANY_TIME)
    assert_is(verdict, line)


@pytest.mark.parametrize("name", TABLE)
async def test_a_single_that_was_looked_up_and_is_not_there(name: str) -> None:
    line = TABLE[name]
    novu = Scripted(listing(), line.answer)
    async with opened(novu) as provider:
        [verdict] = await provider.trigger([call(1, look_up=True)], ANY_TIME)
    assert novu.paths == [NOTIFICATIONS, TRIGGER]
    assert_is(verdict, line)


@pytest.mark.parametrize("name", TABLE)
async def test_only_what_may_have_been_accepted_is_unclear(name: str) -> None:
    """The send record hangs on it: all else was surely not sent."""
    async with opened(Scripted(TABLE[name].answer)) as provider:
        [verdict] = await provider.trigger([call(1)], ANY_TIME)
    refused = isinstance(verdict, Permanent | Paused)
    unclear = type(verdict) is Unclear and verdict.code == "provider_unclear"
    assert [verdict is None, refused, unclear].count(True) == 1
    if refused:
        assert verdict.code != "provider_unclear"


@pytest.mark.parametrize("name", NOT_ABOUT_IT)
async def test_a_bulk_shares_one_outcome(name: str) -> None:
    line = NOT_ABOUT_IT[name]
    novu = Scripted(line.answer)
    async with opened(novu) as provider:
        verdicts = await provider.trigger([call(1), call(2)], ANY_TIME)
    assert novu.paths == [BULK]
    for verdict in verdicts:
        assert_is(verdict, line)


@pytest.mark.parametrize("name", UNMADE)
async def test_a_bulk_of_which_no_request_can_be_made_is_taken_apart(name: str) -> None:
    line = UNMADE[name]
    novu = Scripted(line.answer, taken, line.answer, taken)
    async with opened(novu) as provider:
        first, second, third = await provider.trigger([call(1), call(2), call(3)], ANY_TIME)
    assert novu.paths == [BULK, TRIGGER, TRIGGER, TRIGGER]
    assert first is third is None
    assert_is(second, line)


async def test_each_event_of_a_bulk_has_its_own_outcome() -> None:
    items = [
        {"acknowledged": True, "status": "processed", "transactionId": transaction(0)},
        {"acknowledged": True, "status": "error", "error": ["workflow_not_found"]},
        {"acknowledged": True, "status": "error", "error": ["odd", "ends"]},
        {"acknowledged": True, "status": "trigger_not_active"},
        {"acknowledged": True, "status": "quite_new"},
        {"acknowledged": True, "status": "error", "error": ["Payload validation failed"]},
        {"acknowledged": True},
    ]
    async with opened(Scripted(httpx.Response(201, json={"data": items}))) as provider:
        verdicts = await provider.trigger([call(n) for n in range(len(items))], ANY_TIME)
    codes = [verdict and verdict.code for verdict in verdicts]
    assert codes == [
        None,
        "workflow_not_found",
        "provider_refused",
        "provider_refused",
        None,
        "payload_invalid",
        "provider_unclear",
    ]
    assert str(verdicts[2]) == "Novu refused it: error: …; …"
    assert str(verdicts[3]) == "Novu refused it: trigger_not_active"


@pytest.mark.parametrize(
    "ids", [[1], [1, 2, 3], [2, 1], []], ids=["short", "long", "swapped", "empty"]
)
async def test_a_bulk_answer_that_does_not_fit_is_unclear(ids: list[int]) -> None:
    items = [{"status": "processed", "transactionId": transaction(n)} for n in ids]
    async with opened(Scripted(httpx.Response(201, json={"data": items}))) as provider:
        verdicts = await provider.trigger([call(1), call(2)], ANY_TIME)
    assert [verdict and verdict.code for verdict in verdicts] == ["provider_unclear"] * 2


def refuses(number: int) -> Any:
    """Refuses any request with this event in it."""

    def answer(request: httpx.Request) -> httpx.Response:
        bad = transaction(number).encode() in request.content
        return problem(400, "bad one") if bad else taken(request)

    return answer


@pytest.mark.parametrize("status", [400, 422])
async def test_the_bad_one_of_a_refused_bulk_is_found(status: int) -> None:
    bulk = problem(status, "Validation Error", errors={"events.1.to": {"messages": ["x"]}})
    novu = Scripted(bulk, *[refuses(1)] * 4)
    async with opened(novu) as provider:
        verdicts = await provider.trigger([call(n) for n in range(4)], ANY_TIME)
    assert [verdict and verdict.code for verdict in verdicts] == [
        None,
        "provider_refused",
        None,
        None,
    ]
    assert novu.paths == [BULK, *[TRIGGER] * 4]
    assert sorted(novu.keys[1:]) == [f"test:{transaction(n)}" for n in range(4)]


@pytest.mark.parametrize(
    "text",
    [
        "Event at index 2 exceeds the maximum size of 512 KB",
        "payload too large (index: 2)",
        "events.2.payload is too large",
        "events[2] is too large",
    ],
)
async def test_the_event_that_is_too_large_is_dropped_and_the_rest_sent(text: str) -> None:
    novu = Scripted(problem(413, text))
    async with opened(novu) as provider:
        verdicts = await provider.trigger([call(n) for n in range(4)], ANY_TIME)
    assert [verdict and verdict.code for verdict in verdicts] == [None, None, "too_large", None]
    assert novu.paths == [BULK, BULK]
    sent = [event["transactionId"] for event in json.loads(novu.requests[1].content)["events"]]
    assert sent == [transaction(0), transaction(1), transaction(3)]


@pytest.mark.parametrize("text", ["request entity too large", "Event at index 9 exceeds 512 KB"])
async def test_if_it_is_not_said_which_is_too_large_each_is_asked(text: str) -> None:
    novu = Scripted(problem(413, text), *[refuses(1)] * 3)
    async with opened(novu) as provider:
        verdicts = await provider.trigger([call(n) for n in range(3)], ANY_TIME)
    assert [verdict and verdict.code for verdict in verdicts] == [None, "provider_refused", None]
    assert novu.paths == [BULK, *[TRIGGER] * 3]


async def test_violations_name_field_and_message_and_never_the_value() -> None:
    listed = problem(
        400,
        "Payload validation failed",
        type="PAYLOAD_VALIDATION_ERROR",
        errors=[
            {"field": "user.age", "message": "must be a number", "value": "forty-two"},
            {
                "field": "payload.user",
                "message": "must have required property 'name'",
                "value": {"q": 1},
            },
            {"field": "odd"},
            "odd",
        ],
    )
    keyed = problem(
        422,
        "Validation Error",
        errors={
            "to": {"messages": ["to is wrong", "must be an array"], "value": "Dear Ada"},
            "x": None,
        },
    )
    async with opened(Scripted(listed, keyed)) as provider:
        [first] = await provider.trigger([call(1)], ANY_TIME)
        [second] = await provider.trigger([call(2)], ANY_TIME)
    assert isinstance(first, Permanent)
    assert isinstance(second, Permanent)
    assert first.violations == (
        "…: must be a number",
        "payload.…: must have required property …",
    )
    assert second.violations == ("to: …", "to: must be an array")


async def test_an_unknown_status_is_logged_without_recipients(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with opened(Scripted(answered("sent to ada@example.org"))) as provider:
        assert list(await provider.trigger([call(1)], ANY_TIME)) == [None]
    [record] = [each for each in caplog.records if each.name.startswith("xnovu")]
    assert record.levelno == logging.WARNING
    assert "notification 1:" in record.getMessage()
    assert "ada" not in record.getMessage()


SECRETS = ("ada@example.org", "Dear Ada", "1234-fife", "x-overridden", KEY)


def echo(request: httpx.Request, line: Line) -> httpx.Response:
    """The line's answer, with all that was sent repeated wherever there is room."""
    if isinstance(line.answer, Exception):
        raise line.answer
    said = f"{request.content.decode()} {dict(request.headers)}"
    told = json.dumps({"message": [said, said], "errors": {said: {"messages": [said]}}})
    try:
        body = json.loads(line.answer.content)
        body["data"] = {"status": body["data"]["status"], "error": [said]}
        told = json.dumps(body)
    except (ValueError, LookupError, TypeError):
        pass
    headers = {"content-type": line.answer.headers.get("content-type", "application/json")}
    return httpx.Response(line.answer.status_code, text=told, headers=headers)


@pytest.mark.parametrize("look_up", [False, True])
@pytest.mark.parametrize("name", TABLE)
async def test_nothing_private_is_repeated(
    name: str, look_up: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    line = TABLE[name]
    novu = Scripted(*[lambda request: echo(request, line)] * 3)
    made = call(
        1,
        {"text": "Dear Ada", "deep": [{"code": "1234-fife"}]},
        overrides={"email": {"from": "x-overridden"}},
        look_up=look_up,
    )
    async with opened(novu) as provider:
        verdicts = await provider.trigger([made], ANY_TIME)
    told = [str(verdict) + repr(getattr(verdict, "violations", "")) for verdict in verdicts]
    told += [record.getMessage() for record in caplog.records]
    for secret in SECRETS:
        assert secret not in "\n".join(told)


@pytest.mark.parametrize("name", [name for name, line in NOT_ABOUT_IT.items()])
async def test_a_look_up_that_fails_sends_nothing(name: str) -> None:
    line = NOT_ABOUT_IT[name]
    novu = Scripted(line.answer)
    async with opened(novu) as provider:
        [verdict] = await provider.trigger([call(1, look_up=True)], ANY_TIME)
    assert novu.paths == [NOTIFICATIONS]
    if line.kind is Paused:
        assert_is(verdict, line)
    else:
        assert_is(verdict, Line(line.answer, Retryable, "provider_unclear"))


@pytest.mark.parametrize("status", [400, 422, 418])
async def test_a_look_up_that_is_refused_sends_nothing(status: int) -> None:
    novu = Scripted(problem(status))
    async with opened(novu) as provider:
        [verdict] = await provider.trigger([call(1, look_up=True)], ANY_TIME)
    assert novu.paths == [NOTIFICATIONS]
    assert type(verdict) is Retryable, "not unclear: this call was not sent"
    assert (verdict.code, verdict.after) == ("provider_unclear", None)


@pytest.mark.parametrize("name", TABLE)
async def test_what_is_only_looked_up_is_missing_whatever_became_of_it_if_sent(name: str) -> None:
    novu = Scripted(listing(), TABLE[name].answer)
    async with opened(novu) as provider:
        [verdict] = await provider.trigger([call(1, look_up=True, send=False)], ANY_TIME)
    assert novu.paths == [NOTIFICATIONS]
    assert type(verdict) is Missing
    assert (verdict.code, verdict.after, verdict.bounded) == ("provider_unclear", None, False)


@pytest.mark.parametrize("name", NOT_ABOUT_IT)
async def test_a_look_up_that_fails_does_not_say_that_it_is_missing(name: str) -> None:
    line = NOT_ABOUT_IT[name]
    novu = Scripted(line.answer)
    async with opened(novu) as provider:
        [verdict] = await provider.trigger([call(1, look_up=True, send=False)], ANY_TIME)
    assert novu.paths == [NOTIFICATIONS]
    assert type(verdict) is (Paused if line.kind is Paused else Retryable)
