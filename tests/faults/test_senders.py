"""Several workers have one row in hand, and any of them may be frozen or cut off at any moment."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.builders import recorded
from tests.conftest import eventually
from tests.integration.pipeline import World, brokerless
from xnovu.compose.kit import Database, Kit
from xnovu.envelope import Envelope
from xnovu.errors import Expired, Paused, Retryable, Unclear, XNovuError
from xnovu.events import Hydrated, Retraction, StatusChanged
from xnovu.policy import Done, Result
from xnovu.ports import Provider
from xnovu.ports import Trigger as Call
from xnovu.sending import Sending, SendTimes
from xnovu.stages.hydrate import Hydrate
from xnovu.stages.retract import Retract
from xnovu.stages.trigger import Trigger
from xnovu.store import Outcome
from xnovu_local.novu import Fault

LONG = 60.0
"""Seconds that no test waits for."""
BRIEF = SendTimes(lease=0.4, settle=0.4)
"""A sender's time is over soon, and what he sent shows soon after that."""


class Frozen:
    """A place at which a worker stops until it is thawed."""

    def __init__(self) -> None:
        self.reached, self.goes_on = asyncio.Event(), asyncio.Event()

    async def stop(self) -> None:
        self.reached.set()
        await self.goes_on.wait()


@dataclass
class Gate:
    """A provider and a store with a place to freeze before and after each request."""

    provider: Provider
    before: Frozen | None = None
    after: Frozen | None = None

    async def trigger(self, calls: Sequence[Call], until: float) -> Sequence[XNovuError | None]:
        if self.before:
            await self.before.stop()
        answers = await self.provider.trigger(calls, until)
        if self.after:
            await self.after.stop()
        return answers

    async def cancel(self, calls: Any) -> Any:
        return await self.provider.cancel(calls)


@dataclass
class Worker:
    """A trigger stage with a store and a client of its own."""

    store: Database
    gate: Gate
    times: SendTimes = BRIEF
    kits: list[Kit] = field(default_factory=list[Kit])

    async def work(self, message: Envelope[Hydrated], times: SendTimes | None = None) -> Result:
        stage = Trigger(self.store, self.gate, times or self.times)
        [result] = await stage.handle([message])
        return result


@asynccontextmanager
async def worker(here: World) -> AsyncIterator[Worker]:
    kit = Kit(here.settings, "trigger")
    async with kit.stack:
        yield Worker(await kit.store(), Gate(await kit.provider()))


@pytest.fixture
async def here(migrated: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with brokerless(migrated, monkeypatch) as around:
        single = around.settings.provider.model_copy(update={"bulk": "never"})
        around.settings = around.settings.model_copy(update={"provider": single})
        yield around


@pytest.fixture
async def one(here: World) -> AsyncIterator[Worker]:
    async with worker(here) as opened:
        yield opened


@pytest.fixture
async def other(here: World) -> AsyncIterator[Worker]:
    async with worker(here) as opened:
        yield opened


async def message(here: World, store: Database, **columns: Any) -> Envelope[Hydrated]:
    """A row on its way to be sent."""
    here.insert(**columns)
    return await taken(store)


async def taken(store: Database) -> Envelope[Hydrated]:
    [claim] = await store.claim(1, LONG)
    [result] = await Hydrate(store).handle([Envelope(claim.captured)])
    assert isinstance(result, Done)
    [event] = result.events
    assert isinstance(event, Hydrated)
    return Envelope(event)


def is_busy(result: Result) -> bool:
    return isinstance(result, Retryable) and result.code == "being_sent"


def is_sent(result: Result) -> bool:
    return isinstance(result, Done) and len(result.events) == 1


async def comes_to(work: Callable[[], Awaitable[Result]]) -> Result:
    """What becomes of it in the end: what is to be tried again is."""
    last: list[Result] = []

    async def ended() -> bool:
        last.append(await work())
        return not isinstance(last[-1], Retryable | Paused)

    await eventually(ended)
    return last[-1]


def frozen(gate: Gate, *, after: bool = False) -> Frozen:
    place = Frozen()
    if after:
        gate.after = place
    else:
        gate.before = place
    return place


def look_ups(here: World) -> int:
    return here.novu.ledger.look_ups.total()


class TestOneSender:
    async def test_only_one_of_several_at_once_sends(
        self, here: World, one: Worker, other: Worker
    ) -> None:
        sent = await message(here, one.store)
        times = SendTimes(LONG, LONG)
        workers = (one, other, one, other)
        results = await asyncio.gather(*(each.work(sent, times) for each in workers))
        assert sorted(map(is_sent, results)) == [False, False, False, True]
        assert sorted(map(is_busy, results)) == [False, True, True, True]
        assert (here.novu.ledger.totals.asked, look_ups(here)) == (1, 0)

    async def test_a_dead_senders_row_is_found_as_soon_as_his_time_is_over(
        self, here: World, one: Worker, other: Worker
    ) -> None:
        """However long it could take until Novu shows it."""
        sent = await message(here, one.store)
        times = SendTimes(BRIEF.lease, LONG)
        assert is_sent(await one.work(sent, times))
        await eventually(lambda: here.novu.ledger.totals.fan_outs)
        assert is_sent(await comes_to(lambda: other.work(sent, times)))
        assert (here.novu.ledger.totals.asked, look_ups(here)) == (1, 1)

    async def test_what_a_dead_one_had_only_begun_is_sent_when_it_would_have_shown(
        self, here: World, one: Worker, other: Worker
    ) -> None:
        sent = await message(here, one.store)
        await one.store.begin_send([sent.event.key], BRIEF)
        assert is_busy(await other.work(sent))
        assert is_sent(await comes_to(lambda: other.work(sent)))
        assert here.novu.ledger.totals.asked == 1
        assert look_ups(here) > 0

    async def test_what_was_surely_not_sent_is_sent_without_a_look_up(
        self, here: World, one: Worker, other: Worker
    ) -> None:
        here.novu.script(Fault("503", endpoint="trigger", count=2))
        sent = await message(here, one.store)
        assert isinstance(await one.work(sent), Paused)
        assert isinstance(await one.work(sent), Paused)
        assert is_sent(await other.work(sent))
        assert (here.novu.ledger.totals.accepted, look_ups(here)) == (1, 0)

    async def test_of_one_sent_in_part_the_other_part_is_sent_alone(
        self, here: World, one: Worker, other: Worker
    ) -> None:
        sent = await message(here, one.store, recipients=[uuid4() for _ in range(130)])
        here.novu.script(Fault("503", endpoint="trigger"))
        part = await one.work(sent)
        assert isinstance(part, Retryable)
        assert not part.bounded
        assert is_sent(await comes_to(lambda: other.work(sent)))
        assert here.novu.ledger.totals.accepted == 2
        assert here.novu.ledger.doubled() == []


class TestUnclear:
    @pytest.mark.parametrize("kind", ["500", "502", "reset_after_accept"])
    async def test_what_was_accepted_is_found_by_the_first_look_up(
        self, here: World, one: Worker, other: Worker, kind: Any
    ) -> None:
        here.novu.script(Fault(kind, endpoint="trigger", accepted=True))
        sent = await message(here, one.store)
        assert isinstance(await one.work(sent), Unclear)
        await eventually(lambda: here.novu.ledger.totals.fan_outs)
        assert is_sent(await other.work(sent)), "his time is over: he has said so"
        assert (here.novu.ledger.totals.asked, look_ups(here)) == (1, 1)

    async def test_what_was_not_accepted_is_sent_once_it_would_show(
        self, here: World, one: Worker, other: Worker
    ) -> None:
        here.novu.script(Fault("500", endpoint="trigger"))
        sent = await message(here, one.store)
        assert isinstance(await one.work(sent), Unclear)
        early = await other.work(sent)
        assert isinstance(early, Retryable)
        assert 0 < (early.after or 0.0) <= BRIEF.settle
        assert is_sent(await comes_to(lambda: other.work(sent)))
        assert here.novu.ledger.totals.accepted == 1

    @pytest.mark.parametrize("kind", ["429", "500", "503", "reset_before", "timeout"])
    async def test_a_look_up_that_fails_clears_nothing(
        self, here: World, one: Worker, other: Worker, kind: Any
    ) -> None:
        """Whatever it answers: who comes next looks it up again before anything is sent."""
        sent = await message(here, one.store)
        assert is_sent(await one.work(sent))
        await eventually(lambda: here.novu.ledger.totals.fan_outs)
        here.novu.script(Fault(kind, endpoint="notifications", count=2))
        for each in (other, one):
            result = await comes_to_look_up(here, each, sent)
            assert isinstance(result, Retryable | Paused)
        assert is_sent(await comes_to(lambda: other.work(sent)))
        assert here.novu.ledger.totals.asked == 1

    async def test_a_look_up_that_is_answered_late_sends_nothing(
        self, here: World, one: Worker, other: Worker
    ) -> None:
        sent = await message(here, one.store)
        await one.store.begin_send([sent.event.key], BRIEF)
        here.novu.script(Fault("latency", endpoint="notifications", seconds=1.0))
        late = await comes_to_look_up(here, other, sent)
        assert isinstance(late, Retryable | Paused)
        assert here.novu.ledger.totals.asked == 0
        assert is_sent(await comes_to(lambda: one.work(sent)))
        assert here.novu.ledger.totals.asked == 1


async def comes_to_look_up(here: World, who: Worker, sent: Envelope[Hydrated]) -> Result:
    """The first answer that is not that somebody else may be sending it."""
    last: list[Result] = []

    async def not_busy() -> bool:
        last.append(await who.work(sent))
        return not is_busy(last[-1])

    await eventually(not_busy)
    return last[-1]


class TestFrozen:
    async def test_between_record_and_request_it_sends_nothing_when_it_thaws(
        self, here: World, one: Worker, other: Worker
    ) -> None:
        sent = await message(here, one.store)
        place = frozen(one.gate)
        thaws = asyncio.create_task(one.work(sent))
        await place.reached.wait()
        assert is_sent(await comes_to(lambda: other.work(sent)))
        place.goes_on.set()
        assert isinstance(await thaws, Paused)
        assert here.novu.ledger.totals.asked == 1

    async def test_between_request_and_end_its_row_is_found_by_another(
        self, here: World, one: Worker, other: Worker
    ) -> None:
        sent = await message(here, one.store)
        place = frozen(one.gate, after=True)
        thaws = asyncio.create_task(one.work(sent))
        await place.reached.wait()
        assert is_sent(await comes_to(lambda: other.work(sent)))
        place.goes_on.set()
        assert is_sent(await thaws), "one fact has one name, whoever states it"
        assert here.novu.ledger.totals.asked == 1

    @pytest.mark.parametrize("fault", ["503", "500"])
    async def test_its_late_end_takes_nothing_from_who_sends_now(
        self, here: World, one: Worker, other: Worker, fault: Any
    ) -> None:
        sent = await message(here, one.store)
        here.novu.script(Fault(fault, endpoint="trigger"))
        place = frozen(one.gate, after=True)
        thaws = asyncio.create_task(one.work(sent))
        await place.reached.wait()
        held = await holds(other.store, sent)
        place.goes_on.set()
        assert isinstance(await thaws, Retryable | Paused)
        assert is_busy(await one.work(sent)), "the record is the other one's still"
        await other.store.end_send(held, [sent.event.key], [])
        assert is_sent(await comes_to(lambda: other.work(sent)))
        assert here.novu.ledger.totals.accepted == 1


async def holds(store: Database, sent: Envelope[Hydrated]) -> Sending:
    """Another has the row to itself, for long."""
    found: list[Sending] = []

    async def given() -> bool:
        found.append(await store.begin_send([sent.event.key], SendTimes(LONG, BRIEF.settle)))
        return found[-1].verdicts[sent.event.key].looks_up

    await eventually(given)
    return found[-1]


class TestByHand:
    @pytest.mark.parametrize("ended", ["SENT", "FAILED"])
    async def test_an_ended_row_set_to_pending_is_looked_up(
        self, here: World, one: Worker, ended: str
    ) -> None:
        sent = await message(here, one.store)
        assert is_sent(await one.work(sent))
        await one.store.record([Outcome(sent.event.key)])
        here.execute("UPDATE notify.ent_notification SET notification_status = %s", ended)
        here.execute("UPDATE notify.ent_notification SET notification_status = 'PENDING'")
        await eventually(lambda: here.novu.ledger.totals.fan_outs)
        again = await taken(one.store)
        assert is_sent(await comes_to(lambda: one.work(again)))
        assert here.novu.ledger.totals.asked == 1

    async def test_one_that_was_never_sent_is_sent(self, here: World, one: Worker) -> None:
        here.insert()
        here.execute("UPDATE notify.ent_notification SET notification_status = 'FAILED'")
        here.execute("UPDATE notify.ent_notification SET notification_status = 'PENDING'")
        again = await taken(one.store)
        assert is_sent(await comes_to(lambda: one.work(again)))
        assert here.novu.ledger.totals.asked == 1

    async def test_it_is_in_doubt_since_that_moment_however_old_the_transaction(
        self, here: World, one: Worker
    ) -> None:
        with psycopg.connect(here.database) as old:
            old.execute("SELECT FROM notify.ent_notification")
            sent = await message(here, one.store)
            assert is_sent(await one.work(sent))
            await one.store.record([Outcome(sent.event.key)])
            old.execute("UPDATE notify.ent_notification SET notification_status = 'PENDING'")
        again = await taken(one.store)
        begun = await one.store.begin_send([again.event.key], SendTimes(LONG, LONG))
        assert begun.verdicts[again.event.key].seconds > LONG - 5

    async def test_one_set_to_processing_is_due(self, here: World, one: Worker) -> None:
        sent = await message(here, one.store)
        await recorded(one.store, [Outcome(sent.event.key)])
        here.execute("UPDATE notify.ent_notification SET notification_status = 'PROCESSING'")
        assert (await taken(one.store)).event.claims == 2

    async def test_a_record_written_for_a_row_that_was_just_ended_is_given_up(
        self, here: World, one: Worker
    ) -> None:
        sent = await message(here, one.store)
        with psycopg.connect(here.database) as other:
            blocks = "INSERT INTO notify.xnovu_sending VALUES (%s, %s, 0, now(), gen_random_uuid())"
            other.execute(blocks, [sent.event.notification_id, sent.event.enterprise_id])
            work = asyncio.create_task(one.work(sent))
            await eventually(lambda: blocked(here))
            here.execute("UPDATE notify.ent_notification SET notification_status = 'SENT'")
            other.rollback()
        assert await work == Done()
        assert here.execute("SELECT id FROM notify.xnovu_sending") == []

    async def test_a_truncated_table_leaves_no_records(self, here: World, one: Worker) -> None:
        sent = await message(here, one.store)
        await one.store.begin_send([sent.event.key], BRIEF)
        here.execute("TRUNCATE notify.ent_notification")
        assert here.execute("SELECT id FROM notify.xnovu_sending") == []

    async def test_the_records_of_deleted_rows_go_with_them(self, here: World, one: Worker) -> None:
        for _ in range(2):
            sent = await message(here, one.store)
            await one.store.begin_send([sent.event.key], BRIEF)
        here.execute("DELETE FROM notify.ent_notification WHERE id = 1")
        assert here.execute("SELECT id FROM notify.xnovu_sending") == [{"id": 2}]


def blocked(here: World) -> bool:
    """Whether somebody waits for a lock."""
    query = "SELECT pid FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
    return bool(here.execute(query))


async def take_back(here: World, who: Worker) -> Callable[[], Awaitable[Result]]:
    """A person retracts every row; returns the work of the stage that sees to it."""
    here.execute("UPDATE notify.ent_notification SET notification_status = 'RETRACTED'")
    [event] = await who.store.claim_retractions(1, LONG)
    stage = Retract(who.store, who.gate.provider, BRIEF)

    async def work() -> Result:
        [result] = await stage.handle([Envelope(event)])
        return result

    return work


def retraction(result: Result) -> Retraction | None:
    assert isinstance(result, Done)
    [event] = result.events
    assert isinstance(event, StatusChanged)
    return event.retraction


class TestRetraction:
    async def test_before_the_record_it_is_stopped_at_once(
        self, here: World, one: Worker, other: Worker
    ) -> None:
        sent = await message(here, one.store)
        work = await take_back(here, other)
        assert retraction(await work()) is Retraction.STOPPED
        assert await one.work(sent) == Done()
        assert here.novu.ledger.totals.asked == 0

    async def test_between_record_and_request_it_is_not_said_to_be_stopped_too_soon(
        self, here: World, one: Worker, other: Worker
    ) -> None:
        sent = await message(here, one.store)
        place = frozen(one.gate)
        sends = asyncio.create_task(one.work(sent, SendTimes(LONG, LONG)))
        await place.reached.wait()
        work = await take_back(here, other)
        assert isinstance(await work(), Retryable)
        place.goes_on.set()
        assert is_sent(await sends)
        await eventually(lambda: here.novu.ledger.totals.fan_outs)
        assert retraction(await work()) is Retraction.CANCELLED

    async def test_of_a_sender_who_is_frozen_for_good_it_is_stopped_in_the_end(
        self, here: World, one: Worker, other: Worker
    ) -> None:
        sent = await message(here, one.store)
        place = frozen(one.gate)
        thaws = asyncio.create_task(one.work(sent))
        await place.reached.wait()
        work = await take_back(here, other)
        assert retraction(await comes_to(work)) is Retraction.STOPPED
        place.goes_on.set()
        assert isinstance(await thaws, Paused)
        assert here.novu.ledger.totals.asked == 0

    async def test_between_request_and_end_what_was_sent_is_found(
        self, here: World, one: Worker, other: Worker
    ) -> None:
        sent = await message(here, one.store)
        place = frozen(one.gate, after=True)
        sends = asyncio.create_task(one.work(sent))
        await place.reached.wait()
        work = await take_back(here, other)
        assert retraction(await comes_to(work)) is Retraction.CANCELLED
        place.goes_on.set()
        assert is_sent(await sends)
        assert here.novu.ledger.doubled() == []

    async def test_after_a_definite_refusal_it_is_stopped_at_once(
        self, here: World, one: Worker, other: Worker
    ) -> None:
        here.novu.script(Fault("503", endpoint="trigger"))
        sent = await message(here, one.store)
        assert isinstance(await one.work(sent), Paused)
        work = await take_back(here, other)
        assert retraction(await work()) is Retraction.STOPPED

    async def test_a_record_that_is_just_being_written_is_waited_for(
        self, here: World, one: Worker, other: Worker
    ) -> None:
        """Reading it without waiting would tell that a row was stopped which is then sent."""
        sent = await message(here, one.store)
        stage = Trigger(one.store, one.gate, SendTimes(LONG, LONG))
        for _ in range(20):
            race = asyncio.gather(stage.handle([sent]), race_to_take_back(here, other))
            [result], told = await race
            stopped = isinstance(told, Done) and retraction(told) is Retraction.STOPPED
            assert not (stopped and is_sent(result))
            here.execute("DELETE FROM notify.ent_notification")
            sent = await message(here, one.store)


async def race_to_take_back(here: World, who: Worker) -> Result:
    work = await take_back(here, who)
    return await work()


async def test_a_deadline_that_passes_while_it_is_in_doubt_ends_it_by_what_is_found(
    here: World, one: Worker, other: Worker
) -> None:
    sent = await message(here, one.store)
    await one.store.begin_send([sent.event.key], BRIEF)
    here.execute("UPDATE notify.ent_notification SET expires_at = now()")
    assert isinstance(await comes_to(lambda: other.work(sent)), Expired)
    assert here.novu.ledger.totals.asked == 0
