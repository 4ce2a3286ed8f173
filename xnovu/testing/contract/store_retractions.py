"""What every store promises of what is taken back, and of what comes too late."""

from typing import Any

import pytest

from xnovu.events import Key, Retraction, RetractRequested, Status
from xnovu.sending import SendTimes
from xnovu.store import Outcome
from xnovu.testing.contract.store_bench import (
    ACME,
    FAILURE,
    GLOBEX,
    LONG,
    Bench,
    claimed,
    enterprise,
    from_now,
    insert,
    others,
    recorded,
)

TIMES = SendTimes(lease=LONG, settle=LONG)


async def retracted(bench: Bench, *keys: Key) -> None:
    assert len(await bench.store.retract(keys, "a mistake")) == len(keys)


async def taken(bench: Bench, **columns: Any) -> RetractRequested:
    """A new row that was claimed, retracted, and claimed for that."""
    (key,) = await claimed(bench, **columns)
    await retracted(bench, key)
    (event,) = await bench.store.claim_retractions(9, LONG)
    return event


class TestRetract:
    async def test_knows_at_once_that_what_was_never_claimed_was_stopped(
        self, bench: Bench
    ) -> None:
        (row_id,) = await insert(bench)
        await retracted(bench, Key(ACME, row_id, 0, 0))
        row = await bench.row(row_id)
        assert row["retraction_outcome"] == "stopped"
        assert list(await bench.store.claim(9, LONG)) == []

    async def test_knows_nothing_yet_of_the_rest(self, bench: Bench) -> None:
        processing, sent, failed = keys = await claimed(bench, 3)
        await recorded(bench.store, [Outcome(sent), Outcome(failed, FAILURE)])
        await retracted(bench, processing, sent, failed)
        rows = [await bench.row(key.notification_id) for key in keys]
        assert {row["retraction_outcome"] for row in rows} == {None}


class TestClaimRetractions:
    async def test_takes_each_once_and_the_first_first(self, bench: Bench) -> None:
        first, second, third = await claimed(bench, 3)
        for key in (second, first, third):
            await retracted(bench, key)
        events = await bench.store.claim_retractions(2, LONG)
        assert [event.key for event in events] == [k._replace(claims=2) for k in (second, first)]
        (rest,) = await bench.store.claim_retractions(9, LONG)
        assert rest.key == third._replace(claims=2)
        assert list(await bench.store.claim_retractions(9, LONG)) == []

    async def test_says_all_that_is_needed_to_cancel(self, bench: Bench) -> None:
        (key,) = await claimed(bench, recipients=[enterprise() for _ in range(3)])
        name = (await bench.row(key.notification_id))["transaction_id"]
        await retracted(bench, key)
        (event,) = await bench.store.claim_retractions(9, LONG)
        assert (event.transaction_id, event.recipients) == (str(name), 3)

    async def test_takes_those_too_whose_outcome_is_known_but_not_told(self, bench: Bench) -> None:
        (row_id,) = await insert(bench)
        await retracted(bench, Key(ACME, row_id, 0, 0))
        (event,) = await bench.store.claim_retractions(9, LONG)
        assert event.key == Key(ACME, row_id, 0, 1)
        assert event.transaction_id

    async def test_takes_one_again_when_its_lease_has_lapsed(self, bench: Bench) -> None:
        (key,) = await claimed(bench)
        await retracted(bench, key)
        await bench.store.claim_retractions(9, 0.0)
        (event,) = await bench.store.claim_retractions(9, LONG)
        assert event.key == key._replace(claims=3)

    async def test_takes_one_again_that_was_given_back(self, bench: Bench) -> None:
        event = await taken(bench)
        await bench.store.release([others(event.key), event.key._replace(claims=1)])
        assert list(await bench.store.claim_retractions(9, LONG)) == []
        await bench.store.release([event.key])
        (again,) = await bench.store.claim_retractions(9, LONG)
        assert again.key == event.key._replace(claims=3)

    async def test_takes_none_that_is_told(self, bench: Bench) -> None:
        event = await taken(bench)
        await bench.store.record_retractions({event.key: Retraction.STOPPED})
        await bench.store.release([event.key])
        assert list(await bench.store.claim_retractions(9, LONG)) == []

    async def test_is_no_claim_of_rows_to_send_nor_the_other_way_round(self, bench: Bench) -> None:
        processing, gone = await claimed(bench, 2, lease=0.0)
        await retracted(bench, gone)
        (event,) = await bench.store.claim_retractions(9, LONG)
        (claim,) = await bench.store.claim(9, LONG)
        assert event.notification_id == gone.notification_id
        assert claim.captured.notification_id == processing.notification_id

    async def test_of_one_enterprise_takes_its_own_only(self, bench: Bench) -> None:
        (theirs,) = await claimed(bench, enterprise_id=GLOBEX)
        (mine,) = await claimed(bench)
        await retracted(bench, theirs, mine)
        (event,) = await bench.only(ACME).claim_retractions(9, LONG)
        assert event.key == mine._replace(claims=2)
        (other,) = await bench.store.claim_retractions(9, LONG)
        assert other.key == theirs._replace(claims=2)


class TestBeginRetraction:
    @pytest.mark.parametrize("status", [Status.PROCESSING, Status.SENT, Status.FAILED])
    async def test_tells_what_it_was(self, bench: Bench, status: Status) -> None:
        (key,) = await claimed(bench)
        await bench.store.begin_send([key], TIMES)
        if status is not Status.PROCESSING:
            failure = FAILURE if status is Status.FAILED else None
            await bench.store.record([Outcome(key, failure)])
        await retracted(bench, key)
        (event,) = await bench.store.claim_retractions(9, LONG)
        stands = (await bench.store.begin_retraction([event.key], TIMES))[event.key]
        assert (stands.previous, stands.outcome) == (status, None)
        assert LONG / 2 < stands.seconds <= 2 * LONG

    async def test_tells_the_outcome_that_is_known(self, bench: Bench) -> None:
        (row_id,) = await insert(bench)
        await retracted(bench, Key(ACME, row_id, 0, 0))
        (event,) = await bench.store.claim_retractions(9, LONG)
        stands = (await bench.store.begin_retraction([event.key], TIMES))[event.key]
        found = (stands.previous, stands.seconds, stands.outcome)
        assert found == (Status.PENDING, 0.0, Retraction.STOPPED)

    @pytest.mark.parametrize("status", [Status.PROCESSING, Status.FAILED])
    async def test_stops_at_once_what_nobody_has_begun(self, bench: Bench, status: Status) -> None:
        (key,) = await claimed(bench)
        if status is Status.FAILED:
            await bench.store.record([Outcome(key, FAILURE)])
        await retracted(bench, key)
        (event,) = await bench.store.claim_retractions(9, LONG)
        for _ in range(2):
            stands = (await bench.store.begin_retraction([event.key], TIMES))[event.key]
            found = (stands.previous, stands.seconds, stands.outcome)
            assert found == (status, 0.0, Retraction.STOPPED)

    async def test_tells_what_the_row_was_sent_as(self, bench: Bench) -> None:
        """Whatever a message says of it."""
        (key,) = await claimed(bench)
        await bench.store.begin_send([key], TIMES)
        await retracted(bench, key)
        (event,) = await bench.store.claim_retractions(9, LONG)
        stands = (await bench.store.begin_retraction([event.key], TIMES))[event.key]
        sent_as = (stands.transaction_id, stands.recipients)
        assert sent_as == (event.transaction_id, event.recipients)
        assert all(sent_as)

    async def test_waits_until_what_was_begun_surely_shows(self, bench: Bench) -> None:
        over, open_ = await claimed(bench, 2)
        await bench.store.begin_send([over], SendTimes(1e-6, 0.0))
        await bench.store.begin_send([open_], SendTimes(LONG, 0.0))
        await retracted(bench, over, open_)
        keys = [event.key for event in await bench.store.claim_retractions(9, LONG)]
        stands = await bench.store.begin_retraction(keys, SendTimes(1.0, 0.0))
        assert [stands[key].outcome for key in keys] == [None, None]
        assert stands[keys[0]].seconds == 0
        assert LONG / 2 < stands[keys[1]].seconds <= LONG

    async def test_nobody_begins_afterwards(self, bench: Bench) -> None:
        (key,) = await claimed(bench)
        await retracted(bench, key)
        assert (await bench.store.begin_send([key], TIMES)).verdicts == {}

    async def test_keeps_the_claim_from_lapsing_meanwhile(self, bench: Bench) -> None:
        (key,) = await claimed(bench)
        await retracted(bench, key)
        (event,) = await bench.store.claim_retractions(9, 0.0)
        assert event.key in await bench.store.begin_retraction([event.key], SendTimes())
        assert list(await bench.store.claim_retractions(9, LONG)) == []
        until = (await bench.row(key.notification_id))["claimed_until"]
        assert from_now(60) < until < from_now(180)

    async def test_keeps_it_no_longer_than_it_is_told_to(self, bench: Bench) -> None:
        """What is lost on its way meanwhile comes round after that."""
        (key,) = await claimed(bench)
        await retracted(bench, key)
        (event,) = await bench.store.claim_retractions(9, 0.0)
        assert event.key in await bench.store.begin_retraction([event.key], SendTimes(1e-6, 0.0))
        (again,) = await bench.store.claim_retractions(9, LONG)
        assert again.notification_id == event.notification_id

    async def test_leaves_out_what_is_gone_or_not_ours_or_in_other_hands(
        self, bench: Bench
    ) -> None:
        event = await taken(bench)
        (processing,) = await claimed(bench)
        wrong = [others(event.key), event.key._replace(claims=1), processing]
        assert (
            await bench.store.begin_retraction([*wrong, event.key._replace(generation=1)], TIMES)
            == {}
        )
        assert await bench.only(GLOBEX).begin_retraction([event.key], TIMES) == {}
        await bench.remove(event.notification_id)
        assert await bench.store.begin_retraction([event.key], SendTimes()) == {}
        assert await bench.store.begin_retraction([], TIMES) == {}


class TestRecordRetractions:
    @pytest.mark.parametrize("outcome", Retraction)
    async def test_writes_the_outcome(self, bench: Bench, outcome: Retraction) -> None:
        event = await taken(bench)
        (told,) = await bench.store.record_retractions({event.key: outcome})
        row = await bench.row(event.notification_id)
        assert (row["retraction_outcome"], row["claimed_until"]) == (outcome, None)
        assert str(row["notification_status"]) == "RETRACTED"
        assert (told.key, told.status, told.previous) == (
            event.key,
            Status.RETRACTED,
            Status.PROCESSING,
        )
        assert (told.retraction, told.failure) == (outcome, None)
        assert told.transaction_id == event.transaction_id
        assert told.at.tzinfo

    async def test_told_again_says_the_same_and_changes_nothing(self, bench: Bench) -> None:
        event = await taken(bench)
        (first,) = await bench.store.record_retractions({event.key: Retraction.CANCELLED})
        row = await bench.row(event.notification_id)
        assert list(await bench.store.record_retractions({event.key: Retraction.TOO_LATE})) == [
            first
        ]
        assert await bench.row(event.notification_id) == row

    async def test_leaves_what_was_known_from_the_start(self, bench: Bench) -> None:
        (row_id,) = await insert(bench)
        await retracted(bench, Key(ACME, row_id, 0, 0))
        (event,) = await bench.store.claim_retractions(9, LONG)
        (told,) = await bench.store.record_retractions({event.key: Retraction.TOO_LATE})
        assert (told.retraction, told.previous) == (Retraction.STOPPED, Status.PENDING)
        assert list(await bench.store.claim_retractions(9, 0.0)) == []

    async def test_leaves_a_line_in_the_trail(self, bench: Bench) -> None:
        event = await taken(bench)
        await bench.store.record_retractions({event.key: Retraction.PARTLY})
        await bench.store.record_retractions({event.key: Retraction.PARTLY})
        history = await bench.store.history(event.notification_id)
        assert history
        lines = [
            (line["from_status"], line["to_status"], line["actor"], line["details"])
            for line in history["transitions"]
        ]
        assert lines == [
            ("PENDING", "PROCESSING", "ingest", None),
            ("PROCESSING", "RETRACTED", "retract", {"reason": "a mistake"}),
            (
                "RETRACTED",
                "RETRACTED",
                "retract",
                {"reason": "a mistake", "outcome": "partly"},
            ),
        ]

    async def test_refuses_all_but_the_holder(self, bench: Bench) -> None:
        event = await taken(bench)
        (processing,) = await claimed(bench)
        stale = (event.key._replace(claims=1), event.key._replace(generation=1))
        wrong = [others(event.key), *stale, processing]
        told = dict.fromkeys(wrong, Retraction.STOPPED)
        assert list(await bench.store.record_retractions(told)) == []
        mine = {event.key: Retraction.STOPPED}
        assert list(await bench.only(GLOBEX).record_retractions(mine)) == []
        assert (await bench.row(event.notification_id))["retraction_outcome"] is None
        assert list(await bench.store.record_retractions({})) == []

    async def test_is_never_undone(self, bench: Bench) -> None:
        event = await taken(bench)
        await bench.store.record_retractions({event.key: Retraction.STOPPED})
        outcomes = [Outcome(event.key), Outcome(event.key, FAILURE)]
        assert list(await recorded(bench.store, outcomes)) == []
        assert list(await bench.store.redrive([event.key])) == []
        assert list(await bench.store.retract([event.key])) == []
        row = await bench.row(event.notification_id)
        assert (str(row["notification_status"]), row["claims"]) == ("RETRACTED", 2)
