"""
The enterprise in a message's subject, in its id and in its body is one and the same.

A message that contradicts itself is a dead letter that names no row, and so ends none, whoever's
it pretends to be.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import a_notification
from xnovu.adapters.nats.topology import address_of, subject_of
from xnovu.envelope import MISADDRESSED, NOBODY, Envelope, dead_letter
from xnovu.events import (
    KINDS,
    Captured,
    Event,
    Failure,
    Hydrated,
    Key,
    Rejected,
    RetractRequested,
    Triggered,
)
from xnovu.policy import Dead, Done, Policy, Result
from xnovu.ports import Delivery
from xnovu.stage import Actor
from xnovu.stages.status import Record
from xnovu.store import Outcome

AT = datetime(2030, 1, 1, tzinfo=UTC)
ENTERPRISES = st.sampled_from(["a", "b", "a.b", "", "%", "é/1", "*"]) | st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=5
)
KEYS = st.builds(Key, ENTERPRISES, st.integers(0, 2), st.integers(0, 1), st.integers(1, 2))
STAGES = st.sampled_from(["ingest", "hydrate", "trigger"])


class Reader:
    """A stage that says what it was given."""

    name = "trigger"
    accepts = tuple(KINDS.values())

    def __init__(self) -> None:
        self.seen: list[Event] = []

    async def handle(self, batch: Sequence[Envelope[Any]]) -> Sequence[Result]:
        self.seen += [envelope.event for envelope in batch]
        return [Done()] * len(batch)


class Publications:
    """A publisher that keeps what it is given."""

    def __init__(self) -> None:
        self.kept: list[Envelope[Event]] = []

    async def publish(self, envelopes: Sequence[Envelope[Event]]) -> Sequence[None]:
        self.kept += envelopes
        return [None] * len(envelopes)


class Book:
    """A store that writes nothing, and says what it was told."""

    def __init__(self) -> None:
        self.told: list[Outcome] = []

    async def record(self, outcomes: Sequence[Outcome]) -> Sequence[Any]:
        self.told += outcomes
        return ()


def an_event(kind: str, key: Key, stage: str = "trigger") -> Event:
    """Such an event about that row."""
    row, notification = key._asdict(), a_notification(key.notification_id)
    match KINDS[kind]:
        case type() as made if made is Hydrated:
            own = notification.model_copy(update={"enterprise_id": key.enterprise_id})
            return Hydrated(**row, notification=own)
        case type() as made if made is Rejected:
            failure = Failure(code="x", stage=stage, message="m", attempts=1, at=AT)
            return Rejected(**row, failure=failure)
        case type() as made if made is RetractRequested:
            return RetractRequested(**row, transaction_id="t", recipients=1)
        case type() as made if made is Captured:
            return Captured(**row, transaction_id="t")
        case _:
            return Triggered(**row, transaction_id="t")


SENDABLE = st.sampled_from(["ingest", "hydrate", "trigger", "retract", "dead"])


class Forged(NamedTuple):
    """What a subject, an id and a body say, each for itself."""

    subject: Event
    id: Event
    body: Event

    @property
    def agrees(self) -> bool:
        read = self.read
        if read is None:
            return False
        same = {(event.kind, event.enterprise_id) for event in (self.subject, self.id, read)}
        stages = {e.failure.stage for e in (self.subject, read) if isinstance(e, Rejected)}
        return len(same) == 1 and self.id.key == read.key and len(stages) < 2

    @property
    def read(self) -> Event | None:
        """What the body is by the id's kind, for a body does not tell its own."""
        try:
            return type(self.id).of_json(self.body.to_json())
        except ValueError:
            return None

    @property
    def delivery(self) -> Delivery:
        address = address_of(subject_of("xnovu", self.subject))
        return Delivery({"id": Envelope(self.id).id}, self.body.to_json(), 1, address)


EVENTS = st.builds(an_event, SENDABLE, KEYS, STAGES)
OF_ONE = KEYS.flatmap(lambda key: st.builds(an_event, SENDABLE, st.just(key), STAGES))
FORGED = st.builds(Forged, EVENTS, EVENTS, EVENTS) | OF_ONE.flatmap(
    lambda event: st.builds(Forged, *[st.just(event) | EVENTS | OF_ONE] * 3)
)


async def handled(delivery: Delivery) -> tuple[Reader, list[Envelope[Event]], Any]:
    stage, published = Reader(), Publications()
    [fate] = await Actor(stage, Policy(), published)([delivery])
    return stage, published.kept, fate


@given(forged=FORGED)
async def test_only_what_agrees_reaches_a_stage(forged: Forged):
    stage, published, fate = await handled(forged.delivery)
    if forged.agrees:
        assert stage.seen == [forged.read]
        return
    assert stage.seen == []
    assert isinstance(fate, Dead)
    assert fate.code in {MISADDRESSED, "unreadable"}
    for envelope in published:
        assert envelope.enterprise_id == forged.subject.enterprise_id
        assert isinstance(envelope.event, Rejected)


@given(forged=FORGED)
async def test_what_does_not_agree_ends_no_row(forged: Forged):
    """Neither by itself nor by the letter that tells of it, which agrees with itself."""
    book = Book()
    _, letters, _ = await handled(forged.delivery)
    for letter in letters:
        headers, body = letter.encode()
        address = address_of(subject_of("xnovu", letter.event))
        await Actor(Record(book), Policy(), Publications())(  # pyright: ignore[reportArgumentType]
            [Delivery(headers, body, 1, address)]
        )
    if not forged.agrees:
        assert book.told == [] or {o.key for o in book.told} == {forged.id.key}
        assert all(forged.id.enterprise_id == forged.subject.enterprise_id for _ in book.told)


@given(key=KEYS, kind=SENDABLE, stage=STAGES, body=st.binary(max_size=9))
def test_a_letter_about_what_cannot_be_read_is_the_subjects(
    key: Key, kind: str, stage: str, body: bytes
):
    """An id of another enterprise's row names none."""
    other = an_event(kind, key._replace(enterprise_id=f"{key.enterprise_id}x"), stage)
    address = address_of(subject_of("xnovu", other))
    failure = Failure(code="x", stage=stage, message="m", attempts=1, at=AT)
    letter = dead_letter({"id": f"{kind}:{key}"}, body, failure, address=address)
    assert isinstance(letter.event, Rejected)
    assert letter.event.nameless
    assert letter.enterprise_id == f"{key.enterprise_id}x"


@given(kind=SENDABLE, key=KEYS, stage=STAGES, express=st.booleans())
def test_a_subject_says_whose_its_event_is(kind: str, key: Key, stage: str, express: bool):
    event = an_event(kind, key, stage)
    address = address_of(subject_of("any", event, express=express))
    assert address.agrees(event)
    assert not address.agrees(an_event(kind, key._replace(enterprise_id="somebody else"), stage))


@pytest.mark.parametrize(
    "subject",
    ["x", "x.trigger", "x.dead.acme", "x.trigger.acme.more", "x.dead.a.b.c", "x.retry.a.due.b"],
)
def test_what_comes_in_elsewhere_is_nobodys(subject: str):
    """A stream takes in more subjects than there are enterprises."""
    event = an_event("trigger", Key("acme", 1))
    address = address_of(subject)
    assert not address.agrees(event)
    failure = Failure(code="x", stage="status", message="m", attempts=1, at=AT)
    letter = dead_letter(*Envelope(event).encode(), failure, address=address)
    assert letter.enterprise_id == NOBODY


@given(key=KEYS, other=KEYS)
def test_a_copy_that_comes_again_is_still_its_enterprises(key: Key, other: Key):
    whose = subject_of("x", an_event("ingest", key)).rpartition(".")[2]
    address = address_of(f"x.retry.hydrate.due.{whose}.ingest-1-2")
    assert address.agrees(an_event("ingest", other)) == (key.enterprise_id == other.enterprise_id)
