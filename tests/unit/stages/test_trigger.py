"""Trigger: what the send record allows is sent or looked up, in calls of 100 people at most."""

import asyncio
from uuid import UUID

import pytest

from tests.builders import a_notification
from xnovu.envelope import Envelope
from xnovu.errors import Expired, Missing, Paused, Permanent, Retryable, Unclear
from xnovu.events import UNCONFIRMED, Hydrated
from xnovu.policy import Done
from xnovu.sending import Begun, Sending, SendTimes, Verdict
from xnovu.stages.trigger import Trigger

TIMES = SendTimes(lease=5.0, settle=9.0)
ROW_ID = "0b5c6a52-6d55-4f0e-8d0c-9d4c6f0e7a11"
SEND, CHECK = Begun(Verdict.SEND), Begun(Verdict.CHECK)
EARLY = Begun(Verdict.CHECK, 7.0)
"""What a look-up does not find now may show in seven seconds."""
REFUSED = Permanent("no", code="provider_refused")
UNCLEAR = Unclear("reset", code="provider_unclear")


class Records:
    """A store that gives every row, but those of which the script says otherwise."""

    def __init__(self, verdicts: dict[int, Begun | None] | None = None) -> None:
        self.verdicts = verdicts or {}
        self.ended: dict[int, str] = {}
        self.tokens: set[str] = set()

    async def begin_send(self, keys, times, said):
        assert times == TIMES
        said = {key: self.verdicts.get(key.notification_id, SEND) for key in keys}
        return Sending("mine", {key: begun for key, begun in said.items() if begun})

    async def end_send(self, sending, unsent, unclear):
        self.tokens.add(sending.token)
        self.ended |= {key.notification_id: "unsent" for key in unsent}
        self.ended |= {key.notification_id: "unclear" for key in unclear}


class Post:
    """A provider that answers call by call, in order; None where the script has ended."""

    def __init__(self, *answers) -> None:
        self.calls, self.answers, self.until = [], list(answers), 0.0

    async def trigger(self, calls, until):
        self.until = until
        self.calls += calls
        return [self.answers.pop(0) if self.answers else None for _ in calls]


def a_stage(store, provider) -> Trigger:
    return Trigger(store, provider, TIMES)


def hydrated(id=1, recipients=("someone",), claims=1) -> Envelope:
    event = Hydrated(
        notification_id=id,
        enterprise_id="acme",
        claims=claims,
        notification=a_notification(id, transaction_id=ROW_ID, recipients=recipients),
    )
    return Envelope(event)


def many(n: int) -> tuple[str, ...]:
    return tuple(f"person-{i}" for i in range(n))


async def answer(*answers, begun=SEND, recipients=("someone",)):
    """What becomes of one row, and of its record."""
    store = Records({1: begun})
    [result] = await a_stage(store, Post(*answers)).handle([hydrated(recipients=recipients)])
    return result, store.ended.get(1)


async def answer_to_parts(*answers, begun=SEND):
    return await answer(*answers, begun=begun, recipients=many(300))


async def test_the_whole_batch_is_one_request_to_the_provider():
    post, store = Post(), Records()
    results = await a_stage(store, post).handle([hydrated(1), hydrated(2)])
    assert [r.events[0].transaction_id for r in results] == [ROW_ID, ROW_ID]
    assert [(call.look_up, call.send) for call in post.calls] == [(False, True)] * 2
    assert store.ended == {}, "the record stays until the status is written"


async def test_no_request_begins_when_the_senders_time_is_over():
    before = asyncio.get_running_loop().time()
    post = Post()
    await a_stage(Records(), post).handle([hydrated()])
    assert before + TIMES.lease <= post.until <= asyncio.get_running_loop().time() + TIMES.lease


async def test_what_the_store_has_no_word_on_is_done_with():
    post = Post()
    results = await a_stage(Records({1: None}), post).handle([hydrated(1), hydrated(2)])
    assert results[0] == Done()
    assert [call.notification.id for call in post.calls] == [2]


async def test_what_another_may_be_sending_comes_back_when_his_time_is_over():
    post, store = Post(), Records({1: Begun(Verdict.BUSY, 4.2)})
    results = await a_stage(store, post).handle([hydrated(1), hydrated(2)])
    assert isinstance(results[0], Retryable)
    assert (results[0].code, results[0].after, results[0].bounded) == ("being_sent", 4.2, False)
    assert [call.notification.id for call in post.calls] == [2]
    assert store.ended == {}


async def test_one_that_has_just_ended_is_not_asked_for_without_a_rest():
    result, _ = await answer(begun=Begun(Verdict.BUSY, 0.0))
    assert result.after > 0


async def test_nobody_is_asked_where_nothing_is_to_be_sent():
    class Silent(Post):
        async def trigger(self, calls, until):
            raise AssertionError

    [result] = await a_stage(Records({1: None}), Silent()).handle([hydrated()])
    assert result == Done()


async def test_two_copies_in_one_batch_are_sent_once():
    post = Post()
    results = await a_stage(Records(), post).handle([hydrated(1), hydrated(1)])
    assert len(post.calls) == 1
    assert [len(r.events) for r in results] == [1, 0]


async def test_what_may_have_been_sent_before_is_looked_up_first():
    post = Post()
    await a_stage(Records({1: CHECK, 2: EARLY}), post).handle([hydrated(1), hydrated(2)])
    assert [(call.look_up, call.send) for call in post.calls] == [(True, True), (True, False)]


async def test_what_is_found_is_final_at_once():
    for begun in (CHECK, EARLY, Begun(Verdict.LATE_CHECK, 3.0), Begun(Verdict.LATE_CHECK)):
        result, ended = await answer(None, begun=begun)
        assert result.events[0].transaction_id == ROW_ID
        assert ended is None


async def test_what_is_not_found_comes_back_when_it_would_show():
    result, ended = await answer(Missing("not there"), begun=EARLY)
    assert isinstance(result, Retryable)
    assert (result.after, result.bounded) == (7.0, False)
    assert ended == "unsent"


@pytest.mark.parametrize(
    ("refusal", "record"),
    [
        (Paused("Novu is away", after=5.0), "unsent"),
        (Retryable("try again", after=30.0), "unsent"),
        (Retryable("try again"), "unsent"),
        (REFUSED, "unsent"),
        (UNCLEAR, "unclear"),
    ],
)
async def test_the_record_of_what_failed_says_if_it_was_sent(refusal, record):
    for begun in (SEND, CHECK):
        result, ended = await answer(refusal, begun=begun)
        assert result is refusal
        assert ended == record


async def test_a_store_that_is_away_then_undoes_nothing():
    class Away(Records):
        async def end_send(self, sending, unsent, unclear):
            raise Paused("the database is away")

    results = await a_stage(Away(), Post(Retryable("try again"))).handle([hydrated(1), hydrated(2)])
    assert isinstance(results[0], Retryable)
    assert isinstance(results[1], Done)


async def test_a_provider_that_raises_may_have_sent_all():
    class Broken(Post):
        async def trigger(self, calls, until):
            raise ZeroDivisionError

    store = Records({3: Begun(Verdict.BUSY, 1.0)})
    with pytest.raises(ZeroDivisionError):
        await a_stage(store, Broken()).handle([hydrated(1), hydrated(2), hydrated(3)])
    assert store.ended == {1: "unclear", 2: "unclear"}


async def test_many_people_are_several_calls_with_ids_of_their_own():
    post = Post()
    [result] = await a_stage(Records(), post).handle([hydrated(recipients=many(250))])
    assert [len(call.recipients) for call in post.calls] == [100, 100, 50]
    ids = [call.transaction_id for call in post.calls]
    assert ids[0] == ROW_ID
    assert len({UUID(each) for each in ids}) == 3
    assert result.events[0].calls == 3


async def test_the_calls_of_one_row_are_the_same_every_time():
    post = Post()
    for _ in range(2):
        await a_stage(Records(), post).handle([hydrated(recipients=many(201))])
    assert post.calls[:3] == post.calls[3:]


async def test_a_refusal_is_the_rows():
    results = await a_stage(Records(), Post(None, REFUSED)).handle([hydrated(1), hydrated(2)])
    assert isinstance(results[0], Done)
    assert results[1] is REFUSED


async def test_what_is_accepted_in_part_is_looked_up_whatever_became_of_the_rest():
    """Held work would be sent anew without a look-up, so a pause turns into a retry."""
    for open_answer in (Paused("429", after=2), Retryable("busy", after=1), UNCLEAR, REFUSED):
        result, ended = await answer_to_parts(None, open_answer, None)
        assert isinstance(result, Retryable | Permanent)
        assert "2 of 3 parts accepted" in str(result)
        assert ended == "unclear"


async def test_parts_that_were_only_looked_up_add_no_doubt():
    """Else the rest would never be sent."""
    _, ended = await answer_to_parts(None, Missing("not there"), None, begun=EARLY)
    assert ended == "unsent"


async def test_parts_that_wait_cost_no_attempt_because_others_were_accepted():
    unclear, _ = await answer_to_parts(None, UNCLEAR, None)
    paused, _ = await answer_to_parts(None, Paused("429", after=2), None)
    missing, _ = await answer_to_parts(None, Missing("not there"), None, begun=EARLY)
    assert (unclear.bounded, paused.bounded, paused.after) == (True, False, 2)
    assert (missing.bounded, missing.after) == (False, 7.0)


async def test_nothing_is_given_up_while_a_part_is_open():
    result, ended = await answer_to_parts(REFUSED, REFUSED, Retryable("busy", after=60))
    assert isinstance(result, Retryable)
    assert (result.after, ended) == (60, "unsent")


async def test_an_unclear_part_decides_over_a_held_one():
    result, ended = await answer_to_parts(Paused("429"), UNCLEAR, Paused("429"))
    assert result is UNCLEAR
    assert ended == "unclear"


async def test_parts_that_all_wait_are_held():
    result, ended = await answer_to_parts(*[Paused("429")] * 3)
    assert isinstance(result, Paused)
    assert ended == "unsent"


async def test_a_row_refused_in_part_says_so():
    result, _ = await answer_to_parts(None, REFUSED, None)
    assert isinstance(result, Permanent)
    assert (result.code, "2 of 3 parts accepted" in str(result)) == ("provider_refused", True)


async def test_a_stale_claim_beside_the_current_one_is_told_apart():
    class Current(Records):
        async def begin_send(self, keys, times, said):
            return Sending("mine", {key: SEND for key in keys if key.claims == 2})

    post = Post()
    stale, current = hydrated(1, claims=1), hydrated(1, claims=2)
    results = await a_stage(Current(), post).handle([stale, current])
    assert [len(r.events) for r in results] == [0, 1]
    assert len(post.calls) == 1


async def test_what_is_past_its_deadline_is_not_sent_but_said_to_be_expired():
    post, store = Post(), Records({1: Begun(Verdict.LATE)})
    results = await a_stage(store, post).handle([hydrated(1), hydrated(2)])
    assert isinstance(results[0], Expired)
    assert [call.notification.id for call in post.calls] == [2]
    assert store.ended == {1: "unsent"}


async def test_it_is_expired_only_once_it_would_have_shown():
    early, _ = await answer(Missing("not there"), begun=Begun(Verdict.LATE_CHECK, 5.5))
    assert isinstance(early, Retryable)
    assert (early.after, early.bounded) == (5.5, False)
    final, ended = await answer(Missing("not there"), begun=Begun(Verdict.LATE_CHECK))
    assert isinstance(final, Expired)
    assert ended == "unsent"


async def test_what_was_sent_in_part_before_its_deadline_ends_expired_and_says_so():
    answers = None, Missing("not there"), Missing("not there")
    result, _ = await answer_to_parts(*answers, begun=Begun(Verdict.LATE_CHECK))
    assert isinstance(result, Expired)
    assert "1 of 3 parts accepted" in str(result)
    waits, _ = await answer_to_parts(*answers, begun=Begun(Verdict.LATE_CHECK, 5.0))
    assert isinstance(waits, Retryable)


async def test_a_look_up_that_fails_decides_nothing():
    paused, ended = await answer(Paused("429", after=1.0), begun=Begun(Verdict.LATE_CHECK))
    assert isinstance(paused, Paused)
    assert ended == "unsent"
    failed, _ = await answer(Retryable("500", code="provider_unclear"), begun=CHECK)
    assert isinstance(failed, Retryable)


DIFFERS = Begun(Verdict.DIFFERS)


async def test_what_its_row_does_not_confirm_is_never_sent_and_writes_nothing():
    store, post = Records({1: DIFFERS}), Post()
    forged, own = await a_stage(store, post).handle([hydrated(1), hydrated(2)])
    assert isinstance(forged, Permanent)
    assert forged.code == UNCONFIRMED
    assert isinstance(own, Done)
    assert [call.notification.id for call in post.calls] == [2]
    assert store.ended == {}


async def test_a_forged_copy_in_the_batch_does_not_speak_for_the_true_one():
    """Whichever comes first is asked about; the other comes again by itself."""
    store, post = Records({1: DIFFERS}), Post()
    forged = hydrated(1, recipients=("somebody else",))
    results = await a_stage(store, post).handle([forged, hydrated(1), forged])
    assert [getattr(result, "code", "") for result in results] == [UNCONFIRMED, "being_sent", ""]
    assert post.calls == []


async def test_the_store_is_told_what_the_message_says():
    store, told = Records(), []

    async def begin_send(keys, times, said):
        told.append(said)
        return Sending("mine", {})

    store.begin_send = begin_send
    envelope = hydrated(1)
    await a_stage(store, Post()).handle([envelope])
    assert told == [{envelope.event.key: envelope.event.notification}]
