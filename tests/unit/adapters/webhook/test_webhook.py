"""What a webhook's answers mean, and what is done where none came."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.webhook_receiver import OTHER, SECRET, Receiver, receiving
from xnovu.adapters.webhook import WebhookOptions, WebhookProvider
from xnovu.adapters.webhook.answers import verdict
from xnovu.adapters.webhook.signing import signed
from xnovu.errors import Missing, Paused, Permanent, Unclear, XNovuError
from xnovu.ports import Trigger
from xnovu.retraction import Recall, Recalled
from xnovu.testing.contract.provider import call

URL = "http://hook.test/hook"
ONE = "http://hook.test/calls/{transaction_id}"
TOO_LATE = Recalled(there=True, settled=True, sent=True)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


async def asked(
    receiver: Receiver,
    *calls: Trigger,
    secret: Callable[[], str] = lambda: SECRET,
    **options: object,
) -> Sequence[XNovuError | None]:
    settings = {"url": f"{receiver.url}/hook", "timeout": 2.0, **options}
    provider = WebhookProvider(WebhookOptions.model_validate(settings), secret)
    await provider.open()
    try:
        return await provider.trigger(calls, math.inf)
    finally:
        await provider.close()


def test_a_signature_is_the_specifications():
    """Its example: https://github.com/standard-webhooks/standard-webhooks."""
    headers = signed(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


async def test_while_a_secret_changes_there_is_a_signature_by_each(receiver: Receiver):
    receiver.secret = OTHER
    assert await asked(receiver, call(1), secret=lambda: f"{SECRET}\n{OTHER}\n") == [None]


@pytest.mark.parametrize(
    "secret", ["", "hush", "whsec_", "whsec_aHVzaA==", "whsec_%%%", "hush " * 3]
)
async def test_what_is_no_secret_pauses_and_is_not_told(receiver: Receiver, secret: str):
    [error] = await asked(receiver, call(1), secret=lambda: secret)
    assert isinstance(error, Paused)
    assert error.code == "provider_auth"
    assert "hush" not in str(error)


STATUSES = {
    **dict.fromkeys((200, 201, 202, 204), None),
    **dict.fromkeys((400, 406, 418, 422), (Permanent, "provider_refused")),
    413: (Permanent, "too_large"),
    **dict.fromkeys((401, 403, 407), (Paused, "provider_auth")),
    402: (Paused, "provider_payment"),
    408: (Paused, "provider_unavailable"),
    429: (Paused, "rate_limited"),
    **dict.fromkeys((301, 302, 307, 308, 404, 405, 410), (Paused, "provider_address")),
    **dict.fromkeys((409, 425, 500, 502, 503, 504, 599), (Unclear, "provider_unclear")),
}


@pytest.mark.parametrize(("status", "meant"), STATUSES.items())
def test_a_status_says_what_became_of_it(status: int, meant: tuple[type, str] | None):
    error = verdict(httpx.Response(status))
    assert (error and (type(error), error.code)) == meant


@given(st.integers(200, 599), st.text() | st.none())
def test_whatever_is_answered_has_a_meaning(status: int, after: str | None):
    """Nothing but a 2xx counts as accepted, and a 5xx never as surely not."""
    headers = [(b"retry-after", after.encode())] if after is not None else []
    error = verdict(httpx.Response(status, headers=headers))
    assert (error is None) == (status < 300)
    assert status < 500 or status == 503 or isinstance(error, Unclear)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("said", "after"),
    [("7", 7), ("0", 0), ("1e9", 3600), ("tomorrow", 3600)],
)
def test_it_is_left_alone_for_as_long_as_it_says(status: int, said: str, after: float):
    """And a 503 that says so has not taken it."""
    if said == "tomorrow":
        said = format_datetime(datetime.now(UTC) + timedelta(1))
    error = verdict(httpx.Response(status, headers={"retry-after": said}))
    assert isinstance(error, Paused)
    assert error.after == after


async def test_who_is_not_there_was_not_sent_anything(receiver: Receiver):
    [error] = await asked(receiver, call(1), url="http://127.0.0.1:9/hook")
    assert isinstance(error, Paused)
    assert error.code == "provider_unavailable"


async def test_a_lost_answer_is_in_doubt_and_found_by_a_look_up(receiver: Receiver):
    receiver.answers = ["lost"]
    [error] = await asked(receiver, call(1))
    assert isinstance(error, Unclear)
    look_up = {"look_up_url": f"{receiver.url}/calls/{{transaction_id}}"}
    again, new = call(1, look_up=True), call(2, look_up=True)
    assert await asked(receiver, again, new, **look_up) == [None, None]
    assert receiver.asked == {call(1).transaction_id: 1, call(2).transaction_id: 1}


@pytest.mark.parametrize("send", [True, False])
async def test_in_doubt_without_a_look_up_it_ends_unclear(receiver: Receiver, send: bool):
    [error] = await asked(receiver, call(1, look_up=True, send=send))
    assert isinstance(error, Permanent)
    assert error.code == "unclear"
    assert receiver.asked == {}


async def test_or_is_sent_again_as_the_same_where_the_receiver_knows_it(receiver: Receiver):
    receiver.answers = ["lost"]
    await asked(receiver, call(1))
    assert await asked(receiver, call(1, look_up=True), resend=True) == [None]
    [missing] = await asked(receiver, call(2, look_up=True, send=False), resend=True)
    assert isinstance(missing, Missing)
    assert not missing.certain
    assert receiver.asked == {call(1).transaction_id: 2}
    assert list(receiver.taken) == [call(1).transaction_id]


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"found": "yes"}', b"<html>", b'{"found": null}'])
async def test_a_page_that_is_no_look_up_says_nothing(answer: bytes):
    """It must not be taken for a No: then it would be sent again."""
    provider = WebhookProvider(
        WebhookOptions(url=URL, look_up_url=ONE),
        lambda: SECRET,
        transport=httpx.MockTransport(lambda _: httpx.Response(200, content=answer)),
    )
    await provider.open()
    [error] = await provider.trigger([call(1, look_up=True)], math.inf)
    await provider.close()
    assert error
    assert error.code == "provider_unclear"
    assert not isinstance(error, Missing)


OUTCOMES = {
    "unknown": Recalled(),
    "open": Recalled(there=True, sent=True),
    "cancelled": Recalled(there=True, settled=True, spared=True),
    "partly": Recalled(there=True, settled=True, sent=True, spared=True),
    "too_late": TOO_LATE,
}


@pytest.mark.parametrize(("outcome", "recalled"), OUTCOMES.items())
async def test_a_cancellation_says_what_it_came_to(outcome: str, recalled: Recalled):
    provider = WebhookProvider(
        WebhookOptions(url=URL, cancel_url=ONE),
        lambda: SECRET,
        transport=httpx.MockTransport(lambda _: httpx.Response(200, json={"outcome": outcome})),
    )
    await provider.open()
    assert await provider.cancel([Recall(call(1).transaction_id, 1)]) == [recalled]
    await provider.close()


async def test_without_a_cancellation_what_was_sent_stays(receiver: Receiver):
    await asked(receiver, call(1))
    for look_up, unknown in (
        ({}, TOO_LATE),
        ({"look_up_url": "/calls/{transaction_id}"}, Recalled()),
    ):
        paths = {name: f"{receiver.url}{path}" for name, path in look_up.items()}
        provider = WebhookProvider(WebhookOptions(url=URL, **paths), lambda: SECRET)
        await provider.open()
        recalls = [Recall(call(n).transaction_id, 1) for n in (1, 2)]
        assert await provider.cancel(recalls) == [TOO_LATE, unknown]
        await provider.close()


async def test_no_request_begins_too_late():
    """Not even one that waits for its place; and what has begun is heard to its end."""
    begun: list[str] = []

    async def slow(request: httpx.Request) -> httpx.Response:
        begun.append(request.headers["webhook-id"])
        await asyncio.sleep(0.3)
        return httpx.Response(200)

    options = WebhookOptions(url=URL, concurrency=1)
    provider = WebhookProvider(options, lambda: SECRET, transport=httpx.MockTransport(slow))
    await provider.open()
    until = asyncio.get_running_loop().time() + 0.1
    began = time.monotonic()
    first, second = await provider.trigger([call(1), call(2)], until)
    await provider.close()
    assert (first, type(second)) == (None, Paused)
    assert begun == [call(1).transaction_id]
    assert time.monotonic() - began < 5


async def test_a_status_counts_however_its_body_goes_on():
    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 65_536

    endless = httpx.MockTransport(lambda _: httpx.Response(200, stream=Endless()))
    provider = WebhookProvider(WebhookOptions(url=URL), lambda: SECRET, transport=endless)
    await provider.open()
    assert await provider.trigger([call(1)], math.inf) == [None]
    await provider.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"url": "ftp://x/"},
        {"url": "http://me:hidden@x/"},
        {"url": "http://x/?token=hidden"},
        {"url": URL, "look_up_url": "http://x/calls"},
        {"url": URL, "cancel_url": "{transaction_id}"},
        {"url": URL, "key": "hidden"},
    ],
)
def test_what_is_wrong_is_refused(wrong: dict[str, str]):
    with pytest.raises(ValueError, match=r"url|URL|key"):
        WebhookOptions.model_validate(wrong)


async def test_it_is_ready_once_its_secret_and_its_look_up_are(receiver: Receiver):
    paths = {
        "url": f"{receiver.url}/hook",
        "look_up_url": f"{receiver.url}/calls/{{transaction_id}}",
    }
    for secret, well in ((SECRET, True), (OTHER, False), ("x", False)):
        provider = WebhookProvider(WebhookOptions(**paths), lambda secret=secret: secret)
        await provider.open()
        assert (await provider.ready() is None) == well
        await provider.close()
