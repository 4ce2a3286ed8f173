"""What every store promises of the send record: the proof of whether a row may have been sent."""

from typing import Any
from uuid import uuid4

import pytest

from xnovu.events import Key, Notification, Retraction
from xnovu.sending import Begun, Sending, SendTimes, Verdict
from xnovu.store import Outcome, Row
from xnovu.testing.contract.store_bench import (
    FAILURE,
    GLOBEX,
    LONG,
    Bench,
    claimed,
    from_now,
    others,
    recorded,
)

ALONE = SendTimes(lease=LONG, settle=LONG)
"""Nobody else's, and in doubt, for longer than any test lasts."""
OVER = SendTimes(lease=1e-6, settle=LONG)
"""The sender's time is over at once; what he sent does not show for long."""
SHOWN = SendTimes(lease=1e-6, settle=0.0)
"""The sender's time is over at once, and a look-up tells all."""

SEND = Begun(Verdict.SEND)
CHECK = Begun(Verdict.CHECK)


async def verdict(bench: Bench, key: Key, times: SendTimes = ALONE) -> Begun | None:
    return (await bench.store.begin_send([key], times)).verdicts.get(key)


async def said_of(bench: Bench, key: Key) -> Notification:
    """What a message says of a row that was read."""
    row = (await bench.store.load([key]))[key]
    assert isinstance(row, Row)
    return row.notification


async def begun(bench: Bench, key: Key, times: SendTimes) -> Sending:
    """The record of somebody who was given the row."""
    sending = await bench.store.begin_send([key], times)
    assert sending.verdicts[key].verdict is not Verdict.BUSY
    return sending


class TestBeginSend:
    async def test_gives_what_nobody_can_have_begun(self, bench: Bench) -> None:
        keys = await claimed(bench, 3)
        sending = await bench.store.begin_send([*keys, keys[0]], ALONE)
        assert sending.verdicts == dict.fromkeys(keys, SEND)

    async def test_has_no_word_on_what_is_not_processing(self, bench: Bench) -> None:
        keys = await claimed(bench, 4)
        await bench.store.retract(keys[:1])
        await recorded(bench.store, [Outcome(keys[1]), Outcome(keys[2], FAILURE)])
        sending = await bench.store.begin_send(keys, ALONE)
        assert set(sending.verdicts) == {keys[3]}

    async def test_has_no_word_on_a_stale_claim_or_anothers_row(self, bench: Bench) -> None:
        (stale,) = await claimed(bench, lease=0.0)
        (current,) = await bench.store.claim(1, LONG)
        key = current.captured.key
        asked = [stale, key._replace(generation=1), others(key)]
        assert (await bench.store.begin_send(asked, ALONE)).verdicts == {}
        assert (await bench.only(GLOBEX).begin_send([key], ALONE)).verdicts == {}
        assert (await bench.store.begin_send([*asked, key], ALONE)).verdicts == {key: SEND}

    @pytest.mark.parametrize(
        "claimed_by_the_message",
        [
            {"recipients": ("somebody else",)},
            {"recipients": ()},
            {"transaction_id": "another"},
            {"workflow_key": "another"},
        ],
    )
    async def test_a_row_that_says_otherwise_is_not_given(
        self, bench: Bench, claimed_by_the_message: dict[str, Any]
    ) -> None:
        """Neither is anything written of it: who forges a message holds nobody up."""
        keys = await claimed(bench, 2)
        said = {key: await said_of(bench, key) for key in keys}
        forged = {keys[0]: said[keys[0]].model_copy(update=claimed_by_the_message)}
        for _ in range(2):
            sending = await bench.store.begin_send(keys[:1], ALONE, forged)
            assert sending.verdicts == {keys[0]: Begun(Verdict.DIFFERS)}
        sending = await bench.store.begin_send(keys, ALONE, said | forged)
        assert sending.verdicts == {keys[0]: Begun(Verdict.DIFFERS), keys[1]: SEND}
        assert (await bench.store.begin_send(keys[:1], ALONE, said)).verdicts == {keys[0]: SEND}

    async def test_a_row_that_was_edited_meanwhile_is_sent_as_it_is_now(self, bench: Bench) -> None:
        """What was read of it before differs; its claim lapses, and it comes again."""
        (key,) = await claimed(bench, lease=0.0)
        before = await said_of(bench, key)
        await bench.change(key.notification_id, transaction_id=str(uuid4()))
        sending = await bench.store.begin_send([key], ALONE, {key: before})
        assert sending.verdicts == {key: Begun(Verdict.DIFFERS)}
        (again,) = await bench.store.claim(1, LONG)
        key = again.captured.key
        sending = await bench.store.begin_send([key], ALONE, {key: await said_of(bench, key)})
        assert sending.verdicts == {key: SEND}

    async def test_gives_it_to_one_alone(self, bench: Bench) -> None:
        keys = await claimed(bench, 2)
        await begun(bench, keys[0], ALONE)
        verdicts = (await bench.store.begin_send(keys, ALONE)).verdicts
        assert verdicts[keys[1]] == SEND
        assert verdicts[keys[0]].verdict is Verdict.BUSY
        assert LONG / 2 < verdicts[keys[0]].seconds <= LONG

    async def test_what_somebody_may_have_sent_is_looked_up_once_his_time_is_over(
        self, bench: Bench
    ) -> None:
        (key,) = await claimed(bench)
        await begun(bench, key, OVER)
        found = await verdict(bench, key, OVER)
        assert found
        assert found.verdict is Verdict.CHECK
        assert LONG / 2 < found.seconds <= LONG, "what is not found may not show yet"
        assert (found.looks_up, found.sends) == (True, False)

    async def test_what_is_not_found_when_it_would_show_may_be_sent(self, bench: Bench) -> None:
        (key,) = await claimed(bench)
        await begun(bench, key, SHOWN)
        assert await verdict(bench, key, SHOWN) == CHECK
        assert CHECK.sends

    async def test_who_only_looked_it_up_adds_no_doubt(self, bench: Bench) -> None:
        """Else what is looked up in vain again and again would never be sent."""
        (key,) = await claimed(bench)
        await begun(bench, key, SendTimes(1e-6, 60.0))
        for _ in range(3):
            found = await verdict(bench, key, SendTimes(1e-6, LONG * 100))
            assert found
            assert 0 < found.seconds <= LONG * 100
        first = await verdict(bench, key, SendTimes(1e-6, 0.0))
        assert first
        assert first.seconds > LONG * 99, "the first sender's settle time, as it was then known"

    async def test_doubt_outlasts_a_claim(self, bench: Bench) -> None:
        (stale,) = await claimed(bench, lease=0.0)
        await bench.store.begin_send([stale], SendTimes(1e-6, 0.0))
        await bench.change(stale.notification_id, claimed_until=from_now(-1))
        (current,) = await bench.store.claim(1, LONG)
        assert await verdict(bench, current.captured.key, SHOWN) == CHECK

    async def test_a_second_claim_of_what_was_not_begun_is_no_doubt(self, bench: Bench) -> None:
        await claimed(bench, lease=0.0)
        (current,) = await bench.store.claim(1, LONG)
        assert await verdict(bench, current.captured.key) == SEND

    async def test_another_generation_is_no_doubt(self, bench: Bench) -> None:
        (key,) = await claimed(bench)
        await begun(bench, key, OVER)
        await bench.store.record([Outcome(key, FAILURE)])
        await bench.store.redrive([key])
        (claim,) = await bench.store.claim(1, LONG)
        assert await verdict(bench, claim.captured.key) == SEND

    async def test_keeps_a_claim_from_lapsing_meanwhile(self, bench: Bench) -> None:
        (key,) = await claimed(bench, lease=0.0)
        await bench.store.begin_send([key], SendTimes(10.0, 30.0))
        assert list(await bench.store.claim(1, LONG)) == []
        row = await bench.row(key.notification_id)
        assert from_now(60) < row["claimed_until"] < from_now(180)

    async def test_takes_nothing_from_a_claim_that_lasts(self, bench: Bench) -> None:
        (key,) = await claimed(bench, lease=LONG)
        await bench.store.begin_send([key, key._replace(claims=2)], SendTimes(1e-6, 1.0))
        row = await bench.row(key.notification_id)
        assert row["claimed_until"] > from_now(LONG / 2)

    async def test_of_nothing_is_nothing(self, bench: Bench) -> None:
        assert (await bench.store.begin_send([], ALONE)).verdicts == {}


class TestDeadline:
    """The database decides."""

    async def test_what_was_not_begun_is_late(self, bench: Bench) -> None:
        past, coming = await claimed(bench, 2)
        await bench.change(past.notification_id, expires_at=from_now(-30))
        await bench.change(coming.notification_id, expires_at=from_now(60))
        verdicts = (await bench.store.begin_send([past, coming], ALONE)).verdicts
        assert verdicts == {past: Begun(Verdict.LATE), coming: SEND}

    @pytest.mark.parametrize(("times", "is_final"), [(OVER, False), (SHOWN, True)])
    async def test_what_may_have_been_sent_is_looked_up_and_not_sent(
        self, bench: Bench, times: SendTimes, is_final: bool
    ) -> None:
        (key,) = await claimed(bench)
        await begun(bench, key, times)
        await bench.change(key.notification_id, expires_at=from_now(-30))
        for _ in range(2):
            found = await verdict(bench, key, times)
            assert found
            assert (found.verdict, found.sends) == (Verdict.LATE_CHECK, False)
            assert (found.seconds == 0) is is_final

    async def test_what_is_being_sent_is_busy(self, bench: Bench) -> None:
        (key,) = await claimed(bench)
        await begun(bench, key, ALONE)
        await bench.change(key.notification_id, expires_at=from_now(-30))
        found = await verdict(bench, key)
        assert found
        assert found.verdict is Verdict.BUSY

    async def test_that_was_moved_is_none(self, bench: Bench) -> None:
        (key,) = await claimed(bench, expires_at=from_now(-30))
        sending = await bench.store.begin_send([key], ALONE)
        assert sending.verdicts == {key: Begun(Verdict.LATE)}
        await bench.store.end_send(sending, [key], [])
        await bench.change(key.notification_id, expires_at=from_now(60))
        assert await verdict(bench, key) == SEND


class TestEndSend:
    async def test_what_was_surely_not_sent_is_anybodys(self, bench: Bench) -> None:
        kept, given = keys = await claimed(bench, 2)
        sending = await bench.store.begin_send(keys, ALONE)
        await bench.store.end_send(sending, [given, others(kept)], [])
        verdicts = (await bench.store.begin_send(keys, ALONE)).verdicts
        assert verdicts[given] == SEND
        assert verdicts[kept].verdict is Verdict.BUSY

    async def test_what_is_unclear_is_looked_up_by_whoever_comes_next(self, bench: Bench) -> None:
        (key,) = await claimed(bench)
        sending = await begun(bench, key, ALONE)
        await bench.store.end_send(sending, [], [key])
        found = await verdict(bench, key)
        assert found
        assert found.verdict is Verdict.CHECK
        assert LONG / 2 < found.seconds <= LONG

    async def test_doubt_is_inherited_until_a_look_up_has_answered(self, bench: Bench) -> None:
        """One whose look-up was refused has sent nothing, but cleared nothing either."""
        (key,) = await claimed(bench)
        await begun(bench, key, SHOWN)
        sending = await begun(bench, key, SendTimes(LONG, 0.0))
        await bench.store.end_send(sending, [key], [])
        assert await verdict(bench, key, SHOWN) == CHECK

    async def test_the_holder_alone_may_end_it(self, bench: Bench) -> None:
        """A call that comes late must not end what another has begun meanwhile."""
        (key,) = await claimed(bench)
        frozen = await begun(bench, key, SHOWN)
        await begun(bench, key, ALONE)
        await bench.store.end_send(frozen, [key], [])
        await bench.store.end_send(frozen, [], [key])
        found = await verdict(bench, key)
        assert found
        assert found.verdict is Verdict.BUSY

    async def test_told_twice_is_told_once(self, bench: Bench) -> None:
        (key,) = await claimed(bench)
        sending = await begun(bench, key, ALONE)
        for _ in range(2):
            await bench.store.end_send(sending, [key], [])
        assert await verdict(bench, key) == SEND

    async def test_of_nothing_is_nothing(self, bench: Bench) -> None:
        await bench.store.end_send(Sending(str(GLOBEX), {}), [], [])


class TestEnded:
    async def test_a_failure_of_an_earlier_claim_ends_no_record(self, bench: Bench) -> None:
        (stale,) = await claimed(bench, lease=0.0)
        (current,) = await bench.store.claim(1, LONG)
        key = current.captured.key
        await begun(bench, key, ALONE)
        assert list(await bench.store.record([Outcome(stale, FAILURE)])) == []
        found = await verdict(bench, key)
        assert found
        assert found.verdict is Verdict.BUSY

    async def test_a_retraction_of_what_was_not_begun_is_stopped(self, bench: Bench) -> None:
        (key,) = await claimed(bench)
        sending = await begun(bench, key, ALONE)
        await bench.store.end_send(sending, [key], [])
        await bench.store.retract([key])
        (event,) = await bench.store.claim_retractions(1, LONG)
        stands = (await bench.store.begin_retraction([event.key], ALONE))[event.key]
        assert (stands.outcome, stands.seconds) == (Retraction.STOPPED, 0.0)


class TestMoved:
    async def test_a_deadline_that_moves_leaves_no_send_without_a_record(
        self, bench: Bench
    ) -> None:
        """Late when the record was written, and no longer so: who is told to send may have sent."""
        (key,) = await claimed(bench, expires_at=from_now(-30))
        await begun(bench, key, SHOWN)
        await bench.change(key.notification_id, expires_at=from_now(60))
        assert await verdict(bench, key, SHOWN) == CHECK
