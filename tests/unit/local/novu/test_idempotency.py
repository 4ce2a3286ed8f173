"""The Idempotency-Key header, off and on."""

import asyncio

import pytest

from tests.conftest import eventually
from xnovu_local.novu import Fault, Workflow

from .conftest import Stand, event

ONE = {"Idempotency-Key": "one"}


@pytest.fixture
def keyed(stand: Stand) -> Stand:
    stand.novu.change(idempotency=True)
    return stand


async def test_is_off_unless_asked_for(stand: Stand) -> None:
    for _ in range(2):
        answer = await stand.trigger(event(), **ONE)
        assert "Idempotency-Key" not in answer.headers
    assert (await stand.settled())["accepted"] == 2


async def test_carries_a_key_out_once(keyed: Stand) -> None:
    first = await keyed.trigger(event(None), **ONE)
    again = await keyed.trigger(event(None), **ONE)
    assert again.json() == first.json()
    assert (again.status_code, again.headers["Idempotency-Replay"]) == (201, "true")
    assert first.headers["Idempotency-Key"] == again.headers["Idempotency-Key"] == "one"
    assert "Idempotency-Replay" not in first.headers
    assert keyed.novu.ledger.totals.accepted == 1


async def test_counts_a_replay_as_asked(keyed: Stand) -> None:
    for _ in range(3):
        await keyed.trigger(event("t1"), **ONE)
    book = await keyed.settled()
    assert (book["asked"], book["accepted"], book["notified"]) == (3, 1, 1)


async def test_a_bulk_key_covers_the_whole_body(keyed: Stand) -> None:
    assert (await keyed.bulk(event("a"), event("b"), **ONE)).status_code == 201
    assert (await keyed.bulk(event("a"), event("b"), **ONE)).status_code == 201
    other = await keyed.bulk(event("a"), event("c"), **ONE)
    assert other.status_code == 422
    assert "different body" in other.json()["message"]
    assert "Idempotency-Replay" not in other.headers


async def test_the_order_of_keys_is_part_of_the_body(keyed: Stand) -> None:
    one = event()
    await keyed.trigger(one, **ONE)
    assert (await keyed.trigger(dict(reversed(one.items())), **ONE)).status_code == 422


async def test_a_key_still_running_is_a_conflict(keyed: Stand) -> None:
    keyed.novu.change(latency=10.0)
    first = asyncio.create_task(keyed.trigger(event(), **ONE))
    await eventually(lambda: keyed.novu.ledger.totals.asked == 1)
    second = await keyed.trigger(event(), **ONE)
    assert (second.status_code, second.headers["Retry-After"]) == (409, "1")
    assert second.headers["Idempotency-Key"] == "one"
    keyed.clock.advance(10)
    assert (await first).status_code == 201
    assert (await keyed.trigger(event(), **ONE)).headers["Idempotency-Replay"] == "true"


async def test_replays_an_error_as_503(keyed: Stand) -> None:
    keyed.register(Workflow("other"))
    assert (await keyed.trigger(event(), **ONE)).status_code == 422
    keyed.register()
    again = await keyed.trigger(event(), **ONE)
    assert (again.status_code, again.headers["Idempotency-Replay"]) == (503, "true")
    assert (await keyed.trigger(event(), **{"Idempotency-Key": "two"})).status_code == 201


async def test_replays_a_server_error_as_500(keyed: Stand) -> None:
    keyed.novu.script(Fault("500"))
    assert (await keyed.trigger(event(), **ONE)).status_code == 500
    again = await keyed.trigger(event(), **ONE)
    assert (again.status_code, again.headers["Idempotency-Replay"]) == (500, "true")
    assert keyed.novu.ledger.totals.accepted == 0


@pytest.mark.parametrize("kind", ["429", "401", "402", "502", "503", "503_proxy", "200_html"])
async def test_forgets_what_never_reached_it(keyed: Stand, kind: str) -> None:
    keyed.novu.script(Fault(kind))
    await keyed.trigger(event(), **ONE)
    again = await keyed.trigger(event(), **ONE)
    assert again.status_code == 201
    assert "Idempotency-Replay" not in again.headers


async def test_replays_the_answer_that_was_lost(keyed: Stand) -> None:
    keyed.novu.script(Fault("502", accepted=True))
    assert (await keyed.trigger(event(), **ONE)).status_code == 502
    again = await keyed.trigger(event(), **ONE)
    assert (again.status_code, again.headers["Idempotency-Replay"]) == (201, "true")
    assert (await keyed.settled())["accepted"] == 1


async def test_limits_come_before_keys(keyed: Stand) -> None:
    keyed.novu.change(rate=1)
    for _ in range(5):
        await keyed.trigger(event())
    assert (await keyed.trigger(event(), **ONE)).status_code == 429
    keyed.clock.advance(5)
    answer = await keyed.trigger(event(), **ONE)
    assert (answer.status_code, "Idempotency-Replay" in answer.headers) == (201, False)


async def test_forgets_a_key_after_a_day(keyed: Stand) -> None:
    await keyed.trigger(event(), **ONE)
    keyed.clock.advance(24 * 3600 - 1)
    assert "Idempotency-Replay" in (await keyed.trigger(event(), **ONE)).headers
    keyed.clock.advance(1)
    assert "Idempotency-Replay" not in (await keyed.trigger(event(), **ONE)).headers


async def test_bounds_the_length_of_a_key(keyed: Stand) -> None:
    assert (await keyed.trigger(event(), **{"Idempotency-Key": "k" * 255})).status_code == 201
    assert (await keyed.trigger(event(), **{"Idempotency-Key": "k" * 256})).status_code == 400


async def test_means_nothing_to_other_calls(keyed: Stand) -> None:
    for _ in range(2):
        answer = await keyed.client.delete("/v1/events/trigger/t1", headers=ONE)
        assert "Idempotency-Key" not in answer.headers
