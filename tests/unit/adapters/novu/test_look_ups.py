"""What may have been sent before: looked up first, and old errors that Novu repeats."""

import json

import httpx
import pytest

from tests.unit.adapters.novu.building import (
    ANY_TIME,
    BULK,
    NOTIFICATIONS,
    TRIGGER,
    Scripted,
    call,
    codes,
    listing,
    opened,
    problem,
    taken,
    transaction,
)
from xnovu.errors import Missing, Retryable

REPLAY = {"Idempotency-Replay": "true"}
REUSED = problem(
    422, f'Request with key "test:{transaction(1)}" is being reused for a different body'
)


def replay(status: int = 500) -> httpx.Response:
    return httpx.Response(status, json={"statusCode": status}, headers=REPLAY)


async def test_a_call_that_is_looked_up_first_is_not_sent_if_novu_has_it() -> None:
    novu = Scripted(listing(transaction(1)))
    async with opened(novu) as provider:
        assert list(await provider.trigger([call(1, look_up=True)], ANY_TIME)) == [None]
    [request] = novu.requests
    assert request.url.path == NOTIFICATIONS
    assert request.url.params["transactionId"] == transaction(1)


async def test_a_call_that_is_looked_up_first_and_not_there_is_sent_under_its_first_key() -> None:
    novu = Scripted()
    async with opened(novu) as provider:
        assert list(await provider.trigger([call(1, look_up=True)], ANY_TIME)) == [None]
    assert novu.paths == [NOTIFICATIONS, TRIGGER]
    assert novu.keys == [f"test:{transaction(1)}"]


async def test_a_good_answer_that_the_sdk_cannot_read_is_read_all_the_same() -> None:
    strange = json.loads(listing(transaction(1)).content)
    strange["data"][0]["channels"] = ["telepathy"]
    strange["data"][0]["severity"] = 7
    novu = Scripted(httpx.Response(200, json=strange))
    async with opened(novu) as provider:
        assert list(await provider.trigger([call(1, look_up=True)], ANY_TIME)) == [None]
    assert novu.paths == [NOTIFICATIONS]


@pytest.mark.parametrize(
    "answer",
    [
        listing(transaction(2)),
        listing(transaction(1), transaction(2)),
        httpx.Response(200, json={"data": [{"transactionId": {"$ne": 1}}]}),
        httpx.Response(200, json={"data": [{}]}),
        httpx.Response(200, json={"data": None}),
        httpx.Response(200, json=[]),
        httpx.Response(200, text="{"),
    ],
)
async def test_a_look_up_that_says_nothing_certain_sends_nothing(answer: httpx.Response) -> None:
    novu = Scripted(answer)
    async with opened(novu) as provider:
        [verdict] = await provider.trigger([call(1, look_up=True)], ANY_TIME)
    assert novu.paths == [NOTIFICATIONS]
    assert type(verdict) is Retryable, "not unclear: this call was not sent"
    assert (verdict.code, verdict.after) == ("provider_unclear", None)


async def test_one_failed_look_up_is_no_concern_of_the_others() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        asked = request.url.params.get("transactionId")
        if asked == transaction(1):
            return problem(500)
        return listing(asked) if asked == transaction(2) else taken(request)

    novu = Scripted(*[answer] * 9)
    async with opened(novu) as provider:
        made = [call(n, look_up=n > 0) for n in range(4)]
        assert codes(await provider.trigger(made, ANY_TIME)) == [
            None,
            "provider_unclear",
            None,
            None,
        ]
    sent = [json.loads(r.content)["transactionId"] for r in novu.requests if r.method == "POST"]
    assert sorted(sent) == [transaction(0), transaction(3)]


async def test_after_a_replayed_error_it_looks_and_sends_under_the_next_key() -> None:
    novu = Scripted(replay(), listing(), replay(503), replay(), taken)
    async with opened(novu) as provider:
        assert list(await provider.trigger([call(1)], ANY_TIME)) == [None]
    assert novu.paths == [TRIGGER, NOTIFICATIONS, TRIGGER, TRIGGER, TRIGGER]
    assert novu.keys == [f"test:{transaction(1)}{n}" for n in ("", ":1", ":2", ":3")]


async def test_after_a_replayed_error_nothing_is_sent_that_is_there() -> None:
    novu = Scripted(replay(), listing(transaction(1)))
    async with opened(novu) as provider:
        assert list(await provider.trigger([call(1)], ANY_TIME)) == [None]
    assert novu.paths == [TRIGGER, NOTIFICATIONS]


async def test_after_a_replayed_error_nothing_is_sent_if_the_look_up_fails() -> None:
    novu = Scripted(replay(), problem(500))
    async with opened(novu) as provider:
        [verdict] = await provider.trigger([call(1)], ANY_TIME)
    assert type(verdict) is Retryable, "the old error was repeated: nothing was sent now"
    assert novu.paths == [TRIGGER, NOTIFICATIONS]


async def test_a_key_used_for_another_body_is_treated_like_a_replayed_error() -> None:
    novu = Scripted(REUSED, listing(), taken)
    async with opened(novu) as provider:
        assert list(await provider.trigger([call(1)], ANY_TIME)) == [None]
    assert novu.keys == [f"test:{transaction(1)}", f"test:{transaction(1)}:1"]


async def test_replayed_errors_are_not_followed_for_ever() -> None:
    novu = Scripted(replay(), listing(), *[replay()] * 50)
    async with opened(novu) as provider:
        assert codes(await provider.trigger([call(1)], ANY_TIME)) == ["provider_unclear"]
    assert novu.keys[-1] == f"test:{transaction(1)}:10"


async def test_a_bulk_with_a_replayed_error_sends_only_what_is_missing() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        asked = request.url.params.get("transactionId")
        return listing(asked) if asked == transaction(1) else taken(request)

    novu = Scripted(replay(), *[answer] * 9)
    async with opened(novu) as provider:
        assert list(await provider.trigger([call(n) for n in range(3)], ANY_TIME)) == [None] * 3
    assert sorted(novu.paths) == sorted([BULK, *[NOTIFICATIONS] * 3, *[TRIGGER] * 2])
    assert sorted(novu.keys[1:]) == [f"test:{transaction(n)}:1" for n in (0, 2)]


async def test_what_is_only_looked_up_is_found_or_missing_and_never_sent() -> None:
    novu = Scripted(*[lambda r: listing(transaction(1)) if one(r) else listing()] * 3)
    async with opened(novu) as provider:
        made = [call(1, look_up=True, send=False), call(2, look_up=True, send=False)]
        found, missing = await provider.trigger(made, ANY_TIME)
    assert (found, type(missing)) == (None, Missing)
    assert novu.paths == [NOTIFICATIONS] * 2


def one(request: httpx.Request) -> bool:
    return request.url.params["transactionId"] == transaction(1)


async def test_what_may_not_be_sent_is_not_even_if_nobody_asks_for_a_look_up() -> None:
    novu = Scripted()
    async with opened(novu) as provider:
        made = [call(1, send=False), call(2, send=False), call(3)]
        assert codes(await provider.trigger(made, ANY_TIME)) == ["provider_unclear"] * 2 + [None]
    assert novu.keys == [f"test:{transaction(3)}"]


async def test_what_is_only_looked_up_holds_nobody_else_up() -> None:
    novu = Scripted()
    async with opened(novu, bulk="always") as provider:
        late = [call(n, look_up=True, send=False) for n in range(3)]
        fresh = [call(n) for n in range(10, 13)]
        verdicts = await provider.trigger([*late, *fresh], ANY_TIME)
    assert codes(verdicts) == ["provider_unclear"] * 3 + [None] * 3
    assert sorted(novu.paths) == sorted([*[NOTIFICATIONS] * 3, BULK])
