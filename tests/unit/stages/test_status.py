"""Status: one statement for a batch, and word of what is now so."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import captured
from xnovu.compose.pipeline import Pipeline
from xnovu.envelope import Envelope, dead_letter
from xnovu.errors import Permanent
from xnovu.events import (
    KINDS,
    UNCONFIRMED,
    Failure,
    Key,
    Rejected,
    Status,
    StatusChanged,
    Triggered,
    Unconfirmed,
)
from xnovu.policy import Done
from xnovu.ports import Delivery
from xnovu.stages.status import Record

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def failure(stage="hydrate") -> Failure:
    return Failure(code="x", stage=stage, message="no", attempts=1, at=NOW)


def triggered(id=1, claims=1) -> Envelope:
    return Envelope(
        Triggered(notification_id=id, enterprise_id="acme", claims=claims, transaction_id="t")
    )


def rejected(id=1, stage="hydrate") -> Envelope:
    event = Rejected(notification_id=id, enterprise_id="acme", failure=failure(stage))
    return Envelope(event)


def letters(stage: str, *given_up: Delivery) -> list[Envelope]:
    return [dead_letter(one.headers, one.body, failure(stage)) for one in given_up]


class Book:
    """A store that says of every outcome but the listed ones that it is now so."""

    def __init__(self, *unchanged: int) -> None:
        self.unchanged, self.told, self.calls = unchanged, [], 0

    async def record(self, outcomes):
        self.calls += 1
        self.told += outcomes
        return [
            StatusChanged(
                notification_id=o.key.notification_id,
                enterprise_id=o.key.enterprise_id,
                generation=o.key.generation,
                claims=9,
                status=Status.FAILED if o.failure else Status.SENT,
                previous=Status.PROCESSING,
                at=NOW,
            )
            for o in outcomes
            if o.key.notification_id not in self.unchanged
        ]


async def test_outcomes_are_written_at_once_and_told():
    book = Book()
    results = await Record(book).handle([triggered(1), rejected(2)])
    assert book.calls == 1
    assert [r.events[0].status for r in results] == [Status.SENT, Status.FAILED]


async def test_what_the_database_knows_better_is_not_told():
    results = await Record(Book(1)).handle([triggered(1), triggered(2)])
    assert results[0] == Done()
    assert results[1].events[0].notification_id == 2


@pytest.mark.parametrize("stage", ["status", "retract"])
async def test_what_comes_after_its_end_and_was_given_up_says_nothing_of_the_row(stage):
    book = Book()
    assert await Record(book).handle([rejected(1, stage=stage)]) == [Done()]
    assert book.calls == 0


async def test_a_letter_that_names_no_row_is_only_a_letter():
    book, [nameless] = Book(), letters("hydrate", Delivery({}, b"?", 1))
    assert await Record(book).handle([nameless]) == [Done()]
    assert book.told == []


async def test_a_letter_about_what_its_row_does_not_confirm_is_only_a_letter():
    book, own = Book(), rejected(1, stage="trigger")
    said = own.event.failure.model_copy(update={"code": UNCONFIRMED})
    letter = Envelope(own.event.model_copy(update={"failure": said}))
    assert await Record(book).handle([letter]) == [Done()]
    assert book.told == []
    assert letter.id != own.id, "or the true letter would be taken for a repeat"


async def test_a_letter_about_another_rows_message_ends_none():
    event = Rejected(
        notification_id=1,
        enterprise_id="acme",
        failure=failure("trigger"),
        original_id=f"hydrate:{Key('acme', 2)}",
    )
    book = Book()
    assert await Record(book).handle([Envelope(event)]) == [Done()]
    assert book.told == []


async def test_a_word_of_success_that_nobody_began_is_a_letter():
    class Doubting(Book):
        async def record(self, outcomes):
            return [Unconfirmed(outcome.key) for outcome in outcomes]

    [result] = await Record(Doubting()).handle([triggered(1)])
    assert isinstance(result, Permanent)
    assert result.code == UNCONFIRMED


@given(message=st.text(max_size=3000), code=st.text(max_size=99), lines=st.lists(st.text()))
async def test_what_a_letter_says_is_short_when_it_is_written_to_the_row(message, code, lines):
    said = Failure(
        code=code, stage="trigger", message=message, attempts=1, at=NOW, violations=tuple(lines)
    )
    book = Book()
    event = Rejected(notification_id=1, enterprise_id="acme", failure=said)
    await Record(book).handle([Envelope(event)])
    for outcome in book.told:
        written = outcome.failure
        assert len(written.message) <= 500
        assert re.fullmatch("[a-z][a-z0-9_]{0,63}", written.code)
        assert len(written.violations) <= 20
        assert all(len(each) <= 500 for each in written.violations)


@pytest.mark.parametrize("number", [0, 1, -1])
async def test_any_number_is_a_rows(number):
    book = Book()
    results = await Record(book).handle([triggered(number), rejected(number)])
    assert [outcome.key.notification_id for outcome in book.told] == [number, number]
    assert [result.events[0].notification_id for result in results] == [number, number]


@given(
    stage=st.one_of(st.sampled_from(Pipeline().stages), st.text(min_size=1, max_size=9)),
    read=st.sampled_from(sorted(KINDS)),
    number=st.integers(-2, 2),
)
async def test_only_what_the_rows_own_stages_give_up_of_what_they_read_ends_it(stage, read, number):
    about = KINDS[read].model_construct(notification_id=number, enterprise_id="acme")
    event = Rejected(
        notification_id=number,
        enterprise_id="acme",
        failure=failure(stage),
        original_id=f"{read}:{about.key}",
    )
    book = Book()
    await Record(book).handle([Envelope(event)])
    own = {("ingest", "ingest"), ("hydrate", "ingest"), ("trigger", "hydrate")}
    assert bool(book.told) == ((stage, read) in own)


async def test_the_outcome_of_an_older_claim_tells_the_rows_own_change():
    [result] = await Record(Book()).handle([triggered(1, claims=1)])
    assert result.events[0].claims == 9


async def test_the_key_of_an_outcome_is_that_of_its_event():
    book = Book()
    await Record(book).handle([triggered(4)])
    assert book.told[0].key == captured(4).event.key
