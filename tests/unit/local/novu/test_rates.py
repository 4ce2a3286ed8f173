"""Rate limits: Novu's bucket, its headers and its costs."""

import pytest

from xnovu_local.novu.rates import BURST, TOKENS_PER_SECOND, WINDOW, RateLimits, TokenBucket

from .conftest import Stand, event

HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy")


async def test_says_nothing_of_limits_without_any(stand: Stand) -> None:
    answer = await stand.trigger()
    assert not [name for name in answer.headers if name.startswith("ratelimit")]


async def test_names_the_limits_on_every_answer(stand: Stand) -> None:
    stand.novu.change(rate="free")
    answer = await stand.trigger()
    policy = '300;w=5;burst=330;comment="token bucket";category="trigger"'
    assert [answer.headers[name] for name in HEADERS] == [
        "300",
        "329",
        "1",
        f'{policy};cost="single";serviceLevel="free"',
    ]
    assert "Retry-After" not in answer.headers
    invalid = await stand.trigger({})
    assert (invalid.status_code, invalid.headers["RateLimit-Remaining"]) == (422, "328")
    bulk = await stand.bulk(event())
    assert bulk.headers["RateLimit-Remaining"] == "228"
    assert bulk.headers["RateLimit-Policy"] == f'{policy};cost="bulk";serviceLevel="free"'
    assert (await stand.client.delete("/v1/events/trigger/t")).headers["RateLimit-Limit"] == "300"
    looked = await stand.client.get("/v1/notifications")
    assert looked.headers["RateLimit-Limit"] == "150"
    assert 'category="global"' in looked.headers["RateLimit-Policy"]
    assert "RateLimit-Limit" not in (await stand.client.get("/_local/ledger")).headers


async def test_refuses_when_the_tokens_are_gone(stand: Stand) -> None:
    stand.novu.change(rate="free")
    answers = [await stand.bulk(event(f"t{number}")) for number in range(4)]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
    refused = answers[-1]
    assert refused.json() == "API rate limit exceeded"
    assert refused.headers["Retry-After"] == refused.headers["RateLimit-Reset"] == "2"
    assert refused.headers["RateLimit-Remaining"] == "0"
    assert stand.novu.ledger.totals.asked == 4
    assert stand.novu.ledger.totals.accepted == 3
    assert (await stand.trigger()).status_code == 201
    stand.clock.advance(2)
    assert (await stand.bulk(event("late"))).status_code == 201


async def test_keeps_an_account_for_each_key(stand: Stand) -> None:
    stand.novu.change(rate="free", api_key=None)
    for _ in range(3):
        await stand.bulk(event())
    assert (await stand.bulk(event())).status_code == 429
    assert (await stand.bulk(event(), Authorization="ApiKey other")).status_code == 201


@pytest.mark.parametrize("level", TOKENS_PER_SECOND)
def test_sustains_the_speed_of_each_level(level: str) -> None:
    limits, now, let_in = RateLimits(level), 1000.0, 0
    speed = TOKENS_PER_SECOND[level]["trigger"]
    step = 0.01
    for _ in range(int(60 / step)):
        let_in += limits.admit("key", "trigger", "bulk", now).allowed
        now += step
    assert let_in * 100 == pytest.approx(60 * speed, rel=0.06, abs=speed * WINDOW * BURST)


@pytest.mark.parametrize(("level", "per_second"), [("team", 6.0), ("free", 1 / 1.67)])
def test_sustains_bulks_as_novu_does(level: str, per_second: float) -> None:
    """Calls at exactly the times Novu names; the first window's burst left out."""
    limits, now, times = RateLimits(level), 1000.0, list[float]()
    while len(times) < 250:
        verdict = limits.admit("key", "trigger", "bulk", now)
        if verdict.allowed:
            times.append(now)
        else:
            now += 0.002
    steady = times[60:]
    assert (len(steady) - 1) / (steady[-1] - steady[0]) == pytest.approx(per_second, rel=0.02)


def test_refills_only_when_a_call_finds_too_little() -> None:
    bucket = TokenBucket(10, 1.0)
    assert bucket.take(4, 0.0) == (6, 4.0)
    assert bucket.take(4, 3.0) == (2, 2.0)  # three tokens have dropped in, none is counted yet
    assert bucket.take(4, 3.0) == (1, 6.0)
    assert bucket.take(4, 3.0) == (-3, 6.0)


def test_repeats_a_refusal_until_the_time_it_named() -> None:
    bucket = TokenBucket(4, 1.0)
    bucket.take(4, 0.0)
    assert bucket.take(4, 1.0) == (-3, 4.0)
    assert bucket.take(4, 3.9) == (-1, 4.0)
    assert bucket.take(1, 3.9) == (2, 4.0)  # a cheaper call is not held up by that


def test_forgets_a_bucket_after_two_windows() -> None:
    bucket = TokenBucket(100, 1.0)
    bucket.take(100, 0.0)
    assert bucket.take(1, 9.9)[0] == 8
    again = TokenBucket(100, 1.0)
    again.take(100, 0.0)
    assert again.take(1, 10.0)[0] == 99


async def test_takes_a_speed_of_its_own(stand: Stand) -> None:
    stand.novu.change(rate=20)
    answer = await stand.trigger()
    assert answer.headers["RateLimit-Limit"] == "100"
    assert 'serviceLevel="custom"' in answer.headers["RateLimit-Policy"]
    assert (await stand.bulk(event())).status_code == 201
    assert (await stand.bulk(event())).status_code == 429
