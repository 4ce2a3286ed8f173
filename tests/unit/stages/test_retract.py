"""Retract: asks until nothing more can come of it, writes it down, tells it once."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from xnovu.envelope import Envelope
from xnovu.errors import Paused, Permanent, Retryable
from xnovu.events import Retraction, RetractRequested, Status, StatusChanged
from xnovu.policy import Done
from xnovu.retraction import Recalled, Retracted
from xnovu.stages.retract import Retract

OPEN_FOR = 40.0
"""Seconds until all that was sent surely shows."""
ROW_ID = "0b5c6a52-6d55-4f0e-8d0c-9d4c6f0e7a11"
OPEN = Recalled(there=True, sent=True)
SPARED = Recalled(there=True, settled=True, spared=True)
SENT = Recalled(there=True, settled=True, sent=True)


class Book:
    """A store that knows where rows stand, and remembers what it was told of them."""

    def __init__(self, **standing) -> None:
        self.rows = {int(name.removeprefix("row")): row for name, row in standing.items()}
        self.told: list[dict] = []

    async def begin_retraction(self, keys, times):
        return {k: self.rows[k.notification_id] for k in keys if k.notification_id in self.rows}

    async def record_retractions(self, outcomes):
        self.told.append(outcomes)
        return [
            StatusChanged(
                notification_id=key.notification_id,
                enterprise_id=key.enterprise_id,
                claims=key.claims,
                status=Status.RETRACTED,
                previous=Status.SENT,
                at=datetime(2030, 1, 1, tzinfo=UTC),
                retraction=outcome,
            )
            for key, outcome in outcomes.items()
        ]


class Post:
    """A provider that answers call by call, in order."""

    def __init__(self, *answers) -> None:
        self.calls, self.answers = [], list(answers)

    async def cancel(self, calls):
        self.calls += calls
        return [self.answers.pop(0) for _ in calls]


def requested(id=1, recipients=1, claims=1) -> Envelope:
    event = RetractRequested(
        notification_id=id,
        enterprise_id="acme",
        claims=claims,
        transaction_id=ROW_ID,
        recipients=recipients,
    )
    return Envelope(event)


def was(previous=Status.SENT, seconds=OPEN_FOR, outcome=None, recipients=1) -> Retracted:
    return Retracted(previous, seconds, outcome, ROW_ID, recipients)


async def answer(row, *answers, recipients=1):
    """What the stage says of one row, given what the provider says of its calls."""
    stage = Retract(Book(row1=replace(row, recipients=recipients)), Post(*answers))
    [result] = await stage.handle([requested(recipients=recipients)])
    return result


async def test_what_is_settled_is_written_down_and_told():
    book, post = Book(row1=was(), row2=was()), Post(SPARED, SENT)
    results = await Retract(book, post).handle([requested(1), requested(2)])
    assert [r.events[0].retraction for r in results] == [Retraction.CANCELLED, Retraction.TOO_LATE]
    assert [r.events[0].status for r in results] == [Status.RETRACTED] * 2
    assert len(book.told) == 1


async def test_each_part_is_taken_back_under_its_own_name():
    post = Post(SPARED, SPARED, SPARED)
    await Retract(Book(row1=was(recipients=250)), post).handle([requested(recipients=250)])
    assert [call.people for call in post.calls] == [100, 100, 50]
    assert post.calls[0].transaction_id == ROW_ID
    assert len({call.transaction_id for call in post.calls}) == 3


@pytest.mark.parametrize("seen", [Recalled(), OPEN], ids=["not there", "under way"])
async def test_what_may_still_come_is_asked_for_again(seen):
    for previous in (Status.PROCESSING, Status.SENT, Status.FAILED):
        result = await answer(was(previous, seconds=0.1), seen)
        assert isinstance(result, Retryable)
        assert (result.after, result.bounded) == (None, False)


async def test_what_would_have_shown_by_now_was_not_sent():
    result = await answer(was(Status.PROCESSING, seconds=0.0), Recalled())
    assert result.events[0].retraction is Retraction.STOPPED


async def test_what_is_under_way_for_so_long_comes_too_late():
    result = await answer(was(seconds=0.0), OPEN)
    assert result.events[0].retraction is Retraction.TOO_LATE


async def test_one_part_that_may_still_come_keeps_the_others():
    result = await answer(was(Status.PROCESSING), SPARED, Recalled(), recipients=150)
    assert isinstance(result, Retryable)
    result = await answer(was(Status.PROCESSING, 0.0), SENT, Recalled(), recipients=150)
    assert result.events[0].retraction is Retraction.PARTLY


async def test_for_nobody_there_is_nothing_to_wait_for():
    result = await answer(was(Status.FAILED), recipients=0)
    assert result.events[0].retraction is Retraction.STOPPED


async def test_what_is_known_already_is_only_told():
    result = await answer(was(Status.PENDING, outcome=Retraction.STOPPED))
    assert result.events[0].retraction is Retraction.STOPPED


async def test_a_row_that_is_gone_or_in_other_hands_is_nothing_to_tell_of():
    book, post = Book(row2=was()), Post(SPARED)
    results = await Retract(book, post).handle([requested(1), requested(2)])
    assert results[0] == Done()
    assert len(post.calls) == 1


async def test_a_copy_in_the_batch_is_done_with_the_same_word():
    post = Post(SPARED)
    results = await Retract(Book(row1=was()), post).handle([requested(1), requested(1)])
    assert results[0] == results[1]
    assert len(post.calls) == 1


async def test_nobody_gives_up_because_the_provider_is_in_trouble():
    away = await answer(was(), Paused("away", after=3.0))
    assert isinstance(away, Paused)
    for trouble in (Retryable("500", after=30.0), Permanent("odd", code="odd")):
        result = await answer(was(), trouble)
        assert isinstance(result, Retryable)
        assert (result.bounded, result.after) == (False, None)


async def test_trouble_with_one_is_no_concern_of_the_others():
    book, post = Book(row1=was(), row2=was()), Post(Retryable("500"), SPARED)
    results = await Retract(book, post).handle([requested(1), requested(2)])
    assert isinstance(results[0], Retryable)
    assert results[1].events[0].retraction is Retraction.CANCELLED
    assert [key.notification_id for told in book.told for key in told] == [2]


async def test_what_is_through_is_not_asked_for_again_while_the_rest_waits():
    """Else a rate limit would keep a row for many people from ever being told of."""
    busy = Paused("429", after=1.0)
    book, post = Book(row1=was(recipients=200)), Post(SPARED, busy, SENT)
    stage = Retract(book, post)
    [held] = await stage.handle([requested(recipients=200)])
    assert isinstance(held, Paused)
    [result] = await stage.handle([requested(recipients=200)])
    assert result.events[0].retraction is Retraction.PARTLY
    assert [call.transaction_id for call in post.calls[1:]] == [post.calls[1].transaction_id] * 2

    post.answers = [SENT, SENT]
    [again] = await stage.handle([requested(recipients=200)])
    assert len(post.calls) == 5, "what is told of is forgotten"
    assert again.events


async def test_what_is_not_there_is_asked_for_again_until_it_would_have_shown():
    book = Book(row1=was(Status.PROCESSING, recipients=200))
    post = Post(Recalled(), Recalled(), Paused("429"))
    stage = Retract(book, post)
    await stage.handle([requested(recipients=200)])
    book.rows[1] = was(Status.PROCESSING, seconds=0.0, recipients=200)
    post.answers = [Recalled(), Paused("429")]
    await stage.handle([requested(recipients=200)])
    post.answers = [Recalled()]
    [result] = await stage.handle([requested(recipients=200)])
    assert result.events[0].retraction is Retraction.STOPPED
    assert len(post.calls) == 5


async def test_what_is_taken_back_is_the_rows_whatever_the_message_says():
    """Else a forged one would have anybody's message deleted."""
    post = Post(SPARED)
    forged = requested()._replace(
        event=requested().event.model_copy(
            update={"transaction_id": "somebody-elses", "recipients": 900}
        )
    )
    await Retract(Book(row1=was()), post).handle([forged])
    assert [(call.transaction_id, call.people) for call in post.calls] == [(ROW_ID, 1)]
