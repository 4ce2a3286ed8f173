"""Bulks where they pay, places, tokens, and time that runs out."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.conftest import eventually
from tests.unit.adapters.novu.building import (
    ANY_TIME,
    BULK,
    LIMITS,
    TRIGGER,
    Scripted,
    call,
    codes,
    opened,
    taken,
)
from xnovu.adapters.novu.pace import IN_A_ROW, LISTEN, Pace, Rank
from xnovu.adapters.novu.wire import LOOK_UPS
from xnovu.errors import Paused
from xnovu.peers import Alone


async def test_singles_once_novu_has_shown_limits_and_bulks_when_full() -> None:
    def limited(request: httpx.Request) -> httpx.Response:
        answer = taken(request)
        answer.headers.update(LIMITS)
        return answer

    novu = Scripted(*[limited] * 300)
    async with opened(novu) as provider:
        await provider.trigger([call(n) for n in range(2)], ANY_TIME)
        assert novu.paths == [BULK]
        await provider.trigger([call(n) for n in range(5)], ANY_TIME)
        assert novu.paths[1:] == [TRIGGER] * 5
        await provider.trigger([call(n) for n in range(101)], ANY_TIME)
        assert sorted(novu.paths[6:]) == [TRIGGER, BULK]


@pytest.mark.parametrize(
    ("options", "count", "paths"),
    [
        ({"bulk": "never"}, 3, [TRIGGER] * 3),
        ({"bulk": "always"}, 1, [TRIGGER]),
        ({"bulk": "always"}, 2, [BULK]),
        ({"bulk": "auto"}, 101, [BULK, TRIGGER]),
        ({"bulk": "always", "rate": 19}, 3, [TRIGGER] * 3),
        ({"bulk": "always", "rate": 20}, 3, [BULK]),
        ({"bulk": "always", "rate": 10, "bulk_cost": 50}, 3, [BULK]),
    ],
)
async def test_which_requests_are_made(
    options: dict[str, Any], count: int, paths: list[str]
) -> None:
    novu = Scripted()
    async with opened(novu, **options) as provider:
        assert (
            list(await provider.trigger([call(n) for n in range(count)], ANY_TIME))
            == [None] * count
        )
    assert sorted(novu.paths) == sorted(paths)


async def test_always_means_bulks_where_there_are_limits_too() -> None:
    novu = Scripted(*[httpx.Response(429, headers=LIMITS)] * 2)
    async with opened(novu, bulk="always") as provider:
        await provider.trigger([call(1), call(2)], ANY_TIME)
        await provider.trigger([call(1), call(2)], ANY_TIME)
    assert novu.paths == [BULK, BULK]


async def test_what_gets_no_tokens_in_time_is_paused_and_the_rest_is_accepted() -> None:
    novu = Scripted()
    async with opened(novu, rate=0.4, timeout=1.0) as provider:
        verdicts = await provider.trigger([call(n) for n in range(5)], ANY_TIME)
    assert sorted(codes(verdicts), key=str) == [None, None, *["rate_limited"] * 3]
    waits = [verdict.after for verdict in verdicts if isinstance(verdict, Paused)]
    assert waits == [2.5] * 3
    assert len(novu.requests) == 2


async def test_a_rate_below_one_call_in_five_seconds_still_lets_calls_through() -> None:
    novu = Scripted()
    async with opened(novu, rate=0.01, timeout=0.2) as provider:
        assert codes(await provider.trigger([call(1)], ANY_TIME)) == [None]
        [verdict] = await provider.trigger([call(2)], ANY_TIME)
    assert isinstance(verdict, Paused)
    assert verdict.after == 100.0


async def test_a_429_holds_back_all_that_comes_after_it() -> None:
    slow = httpx.Response(429, headers={"Retry-After": "60"})
    novu = Scripted(taken, slow)
    async with opened(novu, bulk="never", concurrency=1) as provider:
        verdicts = await provider.trigger([call(n) for n in range(5)], ANY_TIME)
        assert codes(verdicts) == [None, *["rate_limited"] * 4]
        later = await provider.trigger([call(9)], ANY_TIME)
    waits = [each.after for each in (*verdicts, *later) if isinstance(each, Paused)]
    assert len(waits) == 5
    assert all(wait and 50 < wait <= 60 for wait in waits)
    assert len(novu.requests) == 2


async def test_a_short_429_is_waited_for() -> None:
    novu = Scripted(httpx.Response(429, headers={"Retry-After": "0.05"}), taken)
    async with opened(novu) as provider:
        assert codes(await provider.trigger([call(1)], ANY_TIME)) == ["rate_limited"]
        assert codes(await provider.trigger([call(1)], ANY_TIME)) == [None]


class Silent(httpx.AsyncBaseTransport):
    """A Novu that answers only when it is let."""

    def __init__(self) -> None:
        self.waiting = 0
        self.most = 0
        self.let = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        try:
            await self.let.wait()
        finally:
            self.waiting -= 1
        answer = taken(request)
        answer.stream = httpx.ByteStream(answer.content)
        return answer


async def test_a_request_that_gets_no_answer_is_unclear_and_the_rest_has_not_begun() -> None:
    async with opened(Silent(), timeout=0.2, bulk="never", concurrency=1) as provider:
        verdicts = await provider.trigger([call(1), call(2), call(3)], ANY_TIME)
    assert sorted(codes(verdicts), key=str) == [
        "provider_unavailable",
        "provider_unavailable",
        "provider_unclear",
    ]


@pytest.mark.parametrize("options", [{}, {"rate": 100}, {"bulk": "never"}], ids=str)
async def test_nothing_begins_when_the_time_for_it_is_over(options: dict[str, Any]) -> None:
    novu = Scripted()
    async with opened(novu, **options) as provider:
        now = asyncio.get_running_loop().time()
        made = [call(1), call(2), call(3, look_up=True), call(4, look_up=True, send=False)]
        verdicts = await provider.trigger(made, now)
    assert {type(verdict) for verdict in verdicts} == {Paused}
    assert novu.requests == []


async def test_what_waits_begins_no_later_than_it_may_though_there_is_more_patience() -> None:
    novu = Silent()
    async with opened(novu, timeout=60.0, bulk="never", concurrency=1) as provider:
        until = asyncio.get_running_loop().time() + 0.1
        run = asyncio.create_task(provider.trigger([call(1), call(2), call(3)], until))
        await eventually(lambda: asyncio.get_running_loop().time() > until)
        novu.let.set()
        verdicts = await run
    assert codes(verdicts) == [None, *["provider_unavailable"] * 2]


async def test_requests_under_way_are_bounded() -> None:
    novu = Silent()
    async with opened(novu, bulk="never", concurrency=3, rate=100) as provider:
        run = asyncio.create_task(provider.trigger([call(n) for n in range(9)], ANY_TIME))
        await eventually(lambda: novu.waiting == 3)
        novu.let.set()
        assert list(await run) == [None] * 9
    assert novu.most == 3


async def test_look_ups_without_an_answer_take_no_place_from_the_others() -> None:
    class Half(Silent):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "POST":
                return taken(request)
            return await super().handle_async_request(request)

    novu = Half()
    async with opened(novu, concurrency=1) as provider:
        stuck = asyncio.create_task(
            provider.trigger([call(n, look_up=True) for n in range(9)], ANY_TIME)
        )
        await eventually(lambda: novu.waiting == 4)
        assert list(await provider.trigger([call(20)], ANY_TIME)) == [None]
        stuck.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stuck


async def test_what_is_looked_up_does_not_wait_for_other_look_ups_to_be_sent() -> None:
    """Else slow look-ups would take all the time there is, round by round, and send nothing."""

    class Slow(Silent):
        """Answers a look-up once what the first four looked for has been sent."""

        def __init__(self) -> None:
            super().__init__()
            self.asked = self.sent = 0

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "POST":
                self.sent += 1
                if self.sent == LOOK_UPS:
                    self.let.set()
                return taken(request)
            self.asked += 1
            if self.asked <= LOOK_UPS:
                return taken(request)
            return await super().handle_async_request(request)

    async with opened(Slow()) as provider:
        verdicts = await provider.trigger(
            [call(n, look_up=True) for n in range(3 * LOOK_UPS)], ANY_TIME
        )
    assert list(verdicts) == [None] * 3 * LOOK_UPS


async def test_a_cancelled_batch_gives_its_places_and_turns_back() -> None:
    novu = Silent()
    async with opened(novu, bulk="never", concurrency=2, rate=1) as provider:
        run = asyncio.create_task(provider.trigger([call(n) for n in range(9)], ANY_TIME))
        await eventually(lambda: novu.waiting == 2)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        await eventually(lambda: novu.waiting == 0)
        novu.let.set()
        assert list(await provider.trigger([call(20)], ANY_TIME)) == [None]


async def test_the_pace_forgets_who_stopped_waiting() -> None:
    pace = Pace(10, Alone())
    now = asyncio.get_running_loop().time
    assert await pace.admit(50, now() + 9) is None
    waiting = [asyncio.create_task(pace.admit(40, now() + 9)) for _ in range(3)]
    await asyncio.sleep(0)
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert await pace.admit(1, now() + 9) is None


async def test_express_goes_before_who_waits_for_many_tokens() -> None:
    pace = Pace(100, Alone())
    now = asyncio.get_running_loop().time
    assert await pace.admit(490, now() + 9) is None
    bulk = asyncio.create_task(pace.admit(200, now() + 9))
    await asyncio.sleep(0)
    for _ in range(20):
        assert await pace.admit(1, now() + 9, Rank.EXPRESS) is None
    assert not bulk.done()
    assert await bulk is None


async def test_express_does_not_keep_the_others_waiting_for_good() -> None:
    pace = Pace(1000, Alone())
    now = asyncio.get_running_loop().time
    assert await pace.admit(5000, now() + 9) is None
    usual = asyncio.create_task(pace.admit(10, now() + 9))
    await asyncio.sleep(0)
    passed = 0
    while not usual.done():
        assert await pace.admit(1, now() + 9, Rank.EXPRESS) is None
        passed += 1
    assert passed <= (IN_A_ROW + 1) * 10 + 1


class Reachable(Alone):
    """Others could be heard of, and there are none."""

    reachable = True


async def test_one_request_after_a_while_does_not_wait_to_hear_of_others() -> None:
    pace, now = Pace(1000, Reachable()), asyncio.get_running_loop().time
    assert await pace.admit(1, now() + LISTEN / 2) is None
    assert isinstance(await pace.admit(500, now() + LISTEN / 2), Paused)


async def test_who_comes_too_late_is_not_told_of_a_rate_limit_that_there_is_not() -> None:
    past = asyncio.get_running_loop().time() - 1
    assert await Pace(0, Alone()).admit(1, past) is None


async def test_what_was_spent_before_a_rest_is_not_there_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for seconds in ("LATELY", "LISTEN"):
        monkeypatch.setattr(f"xnovu.adapters.novu.pace.{seconds}", 0.01)
    pace, now = Pace(rate=1.0, peers=Reachable()), asyncio.get_running_loop().time
    assert await pace.admit(pace.most, now() + 5) is None
    await eventually(pace._idle)
    assert isinstance(await pace.admit(pace.most, now() + 0.5), Paused)
