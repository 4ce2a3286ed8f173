"""The gateway against a Novu of real sockets: faults, limits, idempotency, the ledger."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.conftest import eventually
from tests.unit.adapters.novu.building import ANY_TIME, call, codes, opened, transaction
from xnovu.errors import Paused, Permanent, Unclear, XNovuError
from xnovu.redaction import MARK
from xnovu_local.novu import (
    Fault,
    LocalNovuOptions,
    RunningNovu,
    Step,
    Workflow,
    running_novu,
)


@pytest.fixture
async def local() -> AsyncIterator[RunningNovu]:
    async with running_novu() as running:
        yield running


def fan_outs(local: RunningNovu, number: int) -> int:
    found = local.novu.ledger.find(transaction(number))
    return found.fan_outs if found else 0


FAULTS: dict[str, tuple[type[XNovuError], str]] = {
    "401": (Paused, "provider_auth"),
    "402": (Paused, "provider_payment"),
    "200_html": (Paused, "provider_address"),
    "429": (Paused, "rate_limited"),
    "503": (Paused, "provider_unavailable"),
    "500": (Unclear, "provider_unclear"),
    "502": (Unclear, "provider_unclear"),
    "503_proxy": (Unclear, "provider_unclear"),
    "504": (Unclear, "provider_unclear"),
    "reset_before": (Unclear, "provider_unclear"),
}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("kind", FAULTS)
async def test_a_fault_before_novu_took_it_is_made_good_by_the_next_try(
    local: RunningNovu, kind: Any, count: int
) -> None:
    error, code = FAULTS[kind]
    local.novu.script(Fault(kind, endpoint="bulk" if count > 1 else "trigger"))
    async with opened(url=local.url) as provider:
        verdicts = await provider.trigger([call(n) for n in range(count)], ANY_TIME)
        assert {type(verdict) for verdict in verdicts} == {error}
        assert set(codes(verdicts)) == {code}
        again = await provider.trigger(
            [call(n, look_up=error is Unclear) for n in range(count)], ANY_TIME
        )
    assert list(again) == [None] * count
    for number in range(count):
        await eventually(lambda number=number: fan_outs(local, number) == 1)
    assert local.novu.ledger.doubled() == []


LOST: list[tuple[Any, bool]] = [
    ("timeout_after_accept", False),
    ("reset_after_accept", False),
    ("500", True),
    ("502", True),
    ("504", True),
    ("503_proxy", True),
]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(("kind", "accepted"), LOST)
async def test_an_event_that_was_taken_is_not_sent_again_when_the_answer_is_lost(
    local: RunningNovu, kind: Any, accepted: bool, count: int
) -> None:
    endpoint = "bulk" if count > 1 else "trigger"
    local.novu.script(Fault(kind, endpoint=endpoint, accepted=accepted))
    async with opened(url=local.url, timeout=3.0) as provider:
        verdicts = await provider.trigger([call(n) for n in range(count)], ANY_TIME)
        assert codes(verdicts) == ["provider_unclear"] * count
        await eventually(lambda: local.novu.ledger.totals.fan_outs == count)
        again = await provider.trigger([call(n, look_up=True) for n in range(count)], ANY_TIME)
    assert list(again) == [None] * count
    totals = local.novu.ledger.totals
    assert (totals.asked, totals.accepted, totals.notified) == (count, count, count)


async def test_an_old_error_that_novu_repeats_is_overcome(local: RunningNovu) -> None:
    local.novu.change(idempotency=True)
    local.novu.script(Fault("500", count=2))
    async with opened(url=local.url) as provider:
        assert codes(await provider.trigger([call(1)], ANY_TIME)) == ["provider_unclear"]
        local.novu.faults.clear()
        assert codes(await provider.trigger([call(1, look_up=True)], ANY_TIME)) == [None]
        assert codes(await provider.trigger([call(n) for n in range(2, 5)], ANY_TIME)) == [None] * 3
    assert local.novu.ledger.find(transaction(1)).accepted == 1


async def test_a_lost_answer_under_idempotency_is_replayed_and_counts_once(
    local: RunningNovu,
) -> None:
    local.novu.change(idempotency=True)
    local.novu.script(Fault("reset_after_accept", endpoint="trigger"))
    async with opened(url=local.url) as provider:
        assert codes(await provider.trigger([call(1)], ANY_TIME)) == ["provider_unclear"]
        assert codes(await provider.trigger([call(1)], ANY_TIME)) == [None]
    assert local.novu.ledger.totals.accepted == 1


async def test_a_body_that_changed_under_idempotency_is_not_sent_twice(local: RunningNovu) -> None:
    local.novu.change(idempotency=True)
    async with opened(url=local.url) as provider:
        assert codes(await provider.trigger([call(1)], ANY_TIME)) == [None]
        await eventually(lambda: fan_outs(local, 1) == 1)
        assert codes(await provider.trigger([call(1, {"text": "else"})], ANY_TIME)) == [None]
    assert local.novu.ledger.totals.accepted == 1


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
WORKFLOWS = [
    Workflow("welcome"),
    Workflow("off", active=False),
    Workflow("empty", steps=()),
    Workflow("idle", steps=(Step(active=False),)),
    Workflow("broken", refuses="error", error="the tenant is odd"),
    Workflow("typed", payload_schema=SCHEMA),
]


async def test_what_novu_refuses_is_told_one_by_one() -> None:
    keys = ["welcome", "off", "empty", "idle", "broken", "missing", "typed"]
    wanted = [
        None,
        *["provider_refused"] * 4,
        "workflow_not_found",
        "payload_invalid",
    ]
    made = [call(n, {"n": "Dear Ada"}, workflow_key=key) for n, key in enumerate(keys)]
    async with running_novu(workflows=WORKFLOWS) as local, opened(url=local.url) as provider:
        assert codes(await provider.trigger(made, ANY_TIME)) == wanted
        singly = [(await provider.trigger([one], ANY_TIME))[0] for one in made[1:]]
    assert codes(singly) == wanted[1:]
    typed = singly[-1]
    assert isinstance(typed, Permanent)
    assert [each.split(":")[0] for each in typed.violations] == [MARK]
    assert "Ada" not in str(typed) + str(typed.violations)
    assert str(singly[3]) == "Novu refused it: 400: …"


async def test_one_large_event_does_not_hold_up_the_others(local: RunningNovu) -> None:
    large = call(2, {"text": "x" * 600_000})
    async with opened(url=local.url) as provider:
        verdicts = await provider.trigger([call(1), large, call(3)], ANY_TIME)
        assert codes(verdicts) == [None, "too_large", None]
        assert codes(await provider.trigger([large], ANY_TIME)) == ["too_large"]
    assert local.novu.ledger.totals.accepted == 2


async def test_a_wrong_path_or_port_pauses(local: RunningNovu) -> None:
    async with opened(url=f"{local.url}/elsewhere") as provider:
        assert codes(await provider.trigger([call(1)], ANY_TIME)) == ["provider_address"]
        assert await provider.ready() == "Novu's API is not at this URL (404)"
    async with opened(url="http://127.0.0.1:9") as provider:
        assert codes(await provider.trigger([call(1)], ANY_TIME)) == ["provider_unavailable"]
    async with opened(url="http://nowhere.invalid", timeout=3.0) as provider:
        assert codes(await provider.trigger([call(1)], ANY_TIME)) == ["provider_unavailable"]


async def test_a_wrong_key_pauses() -> None:
    options = LocalNovuOptions(api_key="another")
    async with running_novu(options) as local, opened(url=local.url) as provider:
        assert codes(await provider.trigger([call(1)], ANY_TIME)) == ["provider_auth"]
        assert codes(await provider.trigger([call(1, look_up=True)], ANY_TIME)) == ["provider_auth"]


async def test_novus_own_limit_pauses_for_as_long_as_it_says() -> None:
    options = LocalNovuOptions(rate=20)
    async with running_novu(options) as local:
        async with opened(url=local.url, bulk="always") as strange:
            assert codes(await strange.trigger([call(1), call(2)], ANY_TIME)) == [None, None]
        async with opened(url=local.url, bulk="always") as provider:
            verdicts = await provider.trigger([call(3), call(4)], ANY_TIME)
    assert codes(verdicts) == ["rate_limited"] * 2
    assert all(isinstance(each, Paused) and each.after and each.after > 1 for each in verdicts)
    assert local.novu.ledger.totals.accepted == 2


async def test_a_batch_cancelled_in_mid_request_leaves_the_client_usable(
    local: RunningNovu,
) -> None:
    local.novu.script(Fault("timeout_after_accept", endpoint="trigger", count=3))
    async with opened(url=local.url, concurrency=1, bulk="never") as provider:
        for number in range(3):
            run = asyncio.create_task(provider.trigger([call(number), call(10 + number)], ANY_TIME))
            await eventually(lambda number=number: fan_outs(local, number) == 1)
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run
        assert list(await provider.trigger([call(20), call(21)], ANY_TIME)) == [None, None]
        again = await provider.trigger([call(n, look_up=True) for n in range(3)], ANY_TIME)
    assert list(again) == [None] * 3
    assert local.novu.ledger.doubled() == []


async def test_a_restarted_novu_is_found_again(local: RunningNovu) -> None:
    async with opened(url=local.url) as provider:
        assert codes(await provider.trigger([call(1)], ANY_TIME)) == [None]
        local.novu.script(Fault("reset_before", count=3))
        for _ in range(3):
            assert codes(await provider.trigger([call(2)], ANY_TIME)) == ["provider_unclear"]
        assert codes(await provider.trigger([call(2, look_up=True)], ANY_TIME)) == [None]


class Frozen(httpx.AsyncHTTPTransport):
    """Is stopped for ten seconds just before it says ``at``, once it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
        super().__init__()
        self.freezes, self.said = False, list[str]()
        self._at, self._monkeypatch = at, monkeypatch

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        guard = request.extensions.get("trace")

        async def saying(event: str, info: object) -> None:
            self.said.append(event)
            if self.freezes and event.endswith(self._at):
                loop = asyncio.get_running_loop()
                later = loop.time() + 10
                self._monkeypatch.setattr(loop, "time", lambda: later)
            if guard:
                await guard(event, info)

        request.extensions["trace"] = saying
        return await super().handle_async_request(request)


@pytest.mark.parametrize(
    "at", ["send_request_headers.started", "send_request_headers.complete", "body.started"]
)
@pytest.mark.parametrize("count", [1, 3])
async def test_what_a_frozen_process_was_about_to_send_it_does_not_send(
    local: RunningNovu, monkeypatch: pytest.MonkeyPatch, at: str, count: int
) -> None:
    """Somebody else has long begun to, though the request's own time is not over."""
    transport, later = Frozen(monkeypatch, at), [call(n) for n in range(2, 2 + count)]
    async with opened(transport, url=local.url, timeout=60.0) as provider:
        assert list(await provider.trigger([call(1)], ANY_TIME)) == [None]
        transport.freezes, transport.said = True, []
        until = asyncio.get_running_loop().time() + 5
        verdicts = await provider.trigger(later, until)
        monkeypatch.undo()
    assert codes(verdicts) == ["provider_unavailable"] * count
    assert {type(verdict) for verdict in verdicts} == {Paused}, "surely not sent"
    assert not any(event.endswith("send_request_body.complete") for event in transport.said)
    assert (fan_outs(local, 1), local.novu.ledger.totals.asked) == (1, 1)


async def test_who_was_frozen_while_looking_up_does_not_send_then(
    local: RunningNovu, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = Frozen(monkeypatch, "receive_response_headers.complete")
    transport.freezes = True
    async with opened(transport, url=local.url, timeout=60.0) as provider:
        until = asyncio.get_running_loop().time() + 5
        [verdict] = await provider.trigger([call(1, look_up=True)], until)
        monkeypatch.undo()
    assert isinstance(verdict, Paused)
    assert local.novu.ledger.totals.asked == 0
