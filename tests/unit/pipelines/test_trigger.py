"""Trigger: what is still wanted is sent, once, in calls of 100 people at most."""

from uuid import UUID

import pytest

from pipelines.trigger import Trigger
from tests.builders import a_notification, captured
from xnovu.envelope import Envelope
from xnovu.errors import Expired, Paused, Permanent, Retryable
from xnovu.events import Hydrated
from xnovu.policy import Done

SETTLE = 9.0
ROW_ID = "0b5c6a52-6d55-4f0e-8d0c-9d4c6f0e7a11"


class Wanted:
    """
    A store that wants all but some.

    ``late``: those past their deadline, and by how much. ``busy``: those that somebody else may be
    sending, and for how long.
    """

    def __init__(
        self,
        *unwanted: int,
        late: dict[int, float] | None = None,
        busy: dict[int, float] | None = None,
    ) -> None:
        self.unwanted, self.late, self.busy = unwanted, late or {}, busy or {}
        self.let_gone: dict[int, float] = {}

    async def still_wanted(self, keys, hold, alone):
        assert (hold, alone) == (120.0, 60.0)
        gone = {*self.unwanted, *self.late, *self.busy}
        return frozenset(k for k in keys if k.notification_id not in gone)

    async def being_sent(self, keys):
        return {k: self.busy[k.notification_id] for k in keys if k.notification_id in self.busy}

    async def let_go(self, keys, seconds):
        self.let_gone |= {key.notification_id: seconds for key in keys}

    async def overdue(self, keys):
        return {k: self.late[k.notification_id] for k in keys if k.notification_id in self.late}


def a_stage(store, provider, quiet=60.0) -> Trigger:
    return Trigger(store, provider, quiet, settle=SETTLE)


class Post:
    """A provider that answers call by call, in order; None where the script has ended."""

    def __init__(self, *answers) -> None:
        self.calls, self.answers = [], list(answers)

    async def trigger(self, calls):
        self.calls += calls
        return [self.answers.pop(0) if self.answers else None for _ in calls]


def hydrated(id=1, recipients=("someone",), claims=1, redelivered=False) -> Envelope:
    event = Hydrated(
        notification_id=id,
        enterprise_id="acme",
        claims=claims,
        notification=a_notification(id, transaction_id=ROW_ID, recipients=recipients),
    )
    return Envelope(event, redelivered=redelivered)


def many(n: int) -> tuple[str, ...]:
    return tuple(f"person-{i}" for i in range(n))


async def test_the_whole_batch_is_one_request_to_the_provider():
    post = Post()
    results = await a_stage(Wanted(), post).handle([hydrated(1), hydrated(2)])
    assert [r.events[0].transaction_id for r in results] == [ROW_ID, ROW_ID]
    assert len(post.calls) == 2


async def test_what_is_no_longer_wanted_is_dropped():
    post = Post()
    results = await a_stage(Wanted(1), post).handle([hydrated(1), hydrated(2)])
    assert results[0] == Done()
    assert [call.notification.id for call in post.calls] == [2]


async def test_what_somebody_else_may_be_sending_comes_back_after_that():
    post, store = Post(), Wanted(busy={1: 42.0})
    results = await a_stage(store, post).handle([hydrated(1, redelivered=True), hydrated(2)])
    assert isinstance(results[0], Retryable)
    assert (results[0].code, results[0].after, results[0].bounded) == ("being_sent", 42.0, False)
    assert [call.notification.id for call in post.calls] == [2]
    assert store.let_gone == {}


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (Paused("Novu is away", after=5.0), 0.0),
        (Retryable("try again"), 0.0),
        (Retryable("unclear", after=30.0), 30.0),
    ],
)
async def test_what_was_not_sent_is_not_kept_from_others(answer, seconds):
    store = Wanted()
    await a_stage(store, Post(answer, None, Permanent("refused", code="no"))).handle(
        [hydrated(1), hydrated(2), hydrated(3)]
    )
    assert store.let_gone == {1: seconds}


async def test_what_others_may_send_again_is_not_undone_by_a_store_that_is_away():
    class Away(Wanted):
        async def let_go(self, keys, seconds):
            raise Paused("the database is away")

    results = await a_stage(Away(), Post(Retryable("try again"))).handle([hydrated(1), hydrated(2)])
    assert isinstance(results[0], Retryable)
    assert isinstance(results[1], Done)


async def test_a_store_that_fails_before_anything_was_sent_keeps_nothing_from_others():
    class Failing(Wanted):
        async def overdue(self, keys):
            raise Paused("the database is away")

    store, post = Failing(2), Post()
    with pytest.raises(Paused):
        await a_stage(store, post).handle([hydrated(1), hydrated(2)])
    assert store.let_gone == {1: 0.0}
    assert post.calls == []


async def test_two_copies_in_one_batch_are_sent_once():
    post = Post()
    results = await a_stage(Wanted(), post).handle([hydrated(1), hydrated(1)])
    assert len(post.calls) == 1
    assert sorted(len(r.events) for r in results) == [0, 1]


@pytest.mark.parametrize(
    ("envelope", "suspect"),
    [(hydrated(), False), (hydrated(redelivered=True), True), (hydrated(claims=2), True)],
    ids=["new", "redelivered", "claimed again"],
)
async def test_what_may_have_been_sent_before_is_suspect(envelope, suspect):
    post = Post()
    await a_stage(Wanted(), post).handle([envelope])
    assert post.calls[0].suspect is suspect


async def test_one_copy_that_may_have_been_sent_before_makes_all_suspect():
    post = Post()
    await a_stage(Wanted(), post).handle([hydrated(1, redelivered=True), hydrated(1)])
    assert [call.suspect for call in post.calls] == [True]


async def test_many_people_are_several_calls_with_ids_of_their_own():
    post = Post()
    [result] = await a_stage(Wanted(), post).handle([hydrated(recipients=many(250))])
    assert [len(call.recipients) for call in post.calls] == [100, 100, 50]
    ids = [call.transaction_id for call in post.calls]
    assert ids[0] == ROW_ID
    assert len({UUID(each) for each in ids}) == 3
    assert result.events[0].calls == 3


async def test_the_calls_of_one_row_are_the_same_every_time():
    post = Post()
    for _ in range(2):
        await a_stage(Wanted(), post).handle([hydrated(recipients=many(201))])
    assert post.calls[:3] == post.calls[3:]


async def test_a_refusal_is_the_rows():
    refused = Permanent("no", code="provider_refused")
    results = await a_stage(Wanted(), Post(None, refused)).handle([hydrated(1), hydrated(2)])
    assert isinstance(results[0], Done)
    assert results[1] is refused


async def answer_to_parts(*answers):
    [result] = await a_stage(Wanted(), Post(*answers)).handle([hydrated(recipients=many(300))])
    return result


async def test_parts_that_were_accepted_are_not_sent_again_with_those_that_were_not():
    """Held work would be sent anew without a look-up, so a pause turns into a late retry."""
    for open_answer in (Paused("429", after=2), Retryable("reset", after=1)):
        result = await answer_to_parts(None, open_answer, None)
        assert isinstance(result, Retryable)
        assert result.after == SETTLE
        assert "2 of 3" in str(result)


async def test_parts_that_wait_cost_no_attempt_because_others_were_accepted():
    unclear, paused = Retryable("reset", after=1), Paused("429", after=2)
    assert (await answer_to_parts(None, unclear, None)).bounded
    assert not (await answer_to_parts(None, paused, None)).bounded


async def test_nothing_is_given_up_while_a_part_is_open():
    result = await answer_to_parts(None, Permanent("no", code="x"), Retryable("reset", after=60))
    assert isinstance(result, Retryable)
    assert result.after == 60


async def test_an_unclear_part_decides_over_a_held_one():
    result = await answer_to_parts(Paused("429"), Retryable("reset", after=60), Paused("429"))
    assert isinstance(result, Retryable)


async def test_parts_that_all_wait_are_held():
    assert isinstance(await answer_to_parts(*[Paused("429")] * 3), Paused)


async def test_a_row_refused_in_part_says_so():
    result = await answer_to_parts(None, Permanent("no", code="provider_refused"), None)
    assert isinstance(result, Permanent)
    assert (result.code, "2 of 3 parts accepted" in str(result)) == ("provider_refused", True)


async def test_a_stale_claim_beside_the_current_one_is_told_apart():
    class Current(Wanted):
        async def still_wanted(self, keys, hold, alone):
            return frozenset(k for k in keys if k.claims == 2)

    post = Post()
    stale, current = hydrated(1, claims=1), hydrated(1, claims=2)
    results = await a_stage(Current(), post).handle([stale, current])
    assert [len(r.events) for r in results] == [0, 1]
    assert captured(1).event.notification_id == post.calls[0].notification.id


async def test_what_is_past_its_deadline_is_not_sent_but_said_to_be_expired():
    post = Post()
    results = await a_stage(Wanted(late={1: 5.0}), post).handle([hydrated(1), hydrated(2)])
    assert isinstance(results[0], Expired)
    assert [call.notification.id for call in post.calls] == [2]


@pytest.mark.parametrize("envelope", [hydrated(1, redelivered=True), hydrated(1, claims=2)])
async def test_what_may_have_been_sent_before_its_deadline_is_looked_up_and_not_sent(envelope):
    post = Post(None)
    [result] = await a_stage(Wanted(late={1: 5.0}), post).handle([envelope])
    assert [(call.suspect, call.overdue) for call in post.calls] == [(True, True)]
    assert result.events[0].transaction_id == ROW_ID


async def late_answer(late: float, *answers, recipients=("someone",)):
    envelope = hydrated(1, redelivered=True, recipients=recipients)
    stage = a_stage(Wanted(late={1: late}), Post(*answers), quiet=60.0)
    [result] = await stage.handle([envelope])
    return result


async def test_it_is_expired_only_once_it_would_have_shown():
    early = await late_answer(5.0, Expired("not there"))
    assert isinstance(early, Retryable)
    assert (early.after, early.bounded) == (55.0, False)
    assert isinstance(await late_answer(60.0, Expired("not there")), Expired)


async def test_what_was_sent_in_part_before_its_deadline_ends_expired_and_says_so():
    answers = None, Expired("not there"), Expired("not there")
    result = await late_answer(60.0, *answers, recipients=many(300))
    assert isinstance(result, Expired)
    assert "1 of 3 parts accepted" in str(result)
    assert isinstance(await late_answer(1.0, *answers, recipients=many(300)), Retryable)
    paused = await late_answer(60.0, Paused("429", after=1.0))
    assert isinstance(paused, Paused)
