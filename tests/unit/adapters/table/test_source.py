"""The table as a mailbox: claimed when due, bounded, given back, never hot."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from tests.builders import ENTERPRISE, captured
from tests.conftest import eventually
from xnovu.adapters.table import TableOptions, TableSource
from xnovu.connection import Connection, Link
from xnovu.envelope import decode
from xnovu.errors import Paused
from xnovu.events import RetractRequested, Status, StatusChanged
from xnovu.policy import Dead, Done, Policy, Retry
from xnovu.ports import Backlog
from xnovu.store import Claim

SLOW = TableOptions(sweep_busy=3600, sweep_idle=3600)
QUICK = TableOptions(sweep_busy=0.01, sweep_idle=0.01)


class Table:
    """Rows in a list; a released one is due again."""

    def __init__(self, rows=0) -> None:
        self.due = list(range(1, rows + 1))
        self.retracted: list[int] = []
        self.claimed, self.released, self.limits = 0, [], []
        self.fail: Exception | None = None
        self.idle, self.ended = [], []
        self.next: float | None = None
        self.looked = self.failed = self.handed = 0

    def _fail(self) -> None:
        if self.fail:
            self.failed += 1
            raise self.fail

    async def claim(self, limit, lease, *, idle_only=False):
        self._fail()
        if idle_only:
            taken, self.idle = self.idle[:limit], self.idle[limit:]
            return [Claim(captured(n).event, express=True) for n in taken]
        self.claimed += 1
        self.limits.append(limit)
        taken, self.due = self.due[:limit], self.due[limit:]
        return [Claim(captured(n).event) for n in taken]

    async def claim_retractions(self, limit, lease):
        self._fail()
        taken, self.retracted = self.retracted[:limit], self.retracted[limit:]
        return [a_retraction(n) for n in taken]

    async def untold(self, limit):
        return self.ended[:limit]

    async def told(self, keys):
        self.ended = [event for event in self.ended if event.key not in keys]

    async def release(self, keys):
        self.released += [key.notification_id for key in keys]

    def handed_over(self, keys):
        self.handed += len(keys)

    async def next_due(self):
        self._fail()
        self.looked += 1
        return 0 if self.due or self.retracted or self.ended else self.next


def a_retraction(id: int) -> RetractRequested:
    return RetractRequested(
        notification_id=id, enterprise_id=ENTERPRISE, transaction_id="t", recipients=1
    )


class Bell:
    def __init__(self) -> None:
        self.ring, self.missed_rows = None, 0
        self.connection = Connection(Link.CONNECTED, datetime(2026, 1, 1, tzinfo=UTC))

    async def start(self, wake):
        self.ring = wake

    def missed(self, rows):
        self.missed_rows += rows

    async def stop(self):
        self.ring = None


class Counts:
    def __init__(self) -> None:
        self.rows, self.missed, self.waiting = 0, 0, None

    def claimed(self, rows):
        self.rows += rows

    def missed_wakeups(self, rows):
        self.missed += rows

    def backlog(self, messages):
        self.waiting = messages


class Stalls:
    def __init__(self) -> None:
        self.told = []

    def __call__(self, error):
        self.told.append(error)


class Handler:
    def __init__(self, fate=None) -> None:
        self.seen, self.fate = [], fate or Done()

    async def __call__(self, deliveries):
        self.seen += [decode(d.headers, d.body) for d in deliveries]
        return [self.fate] * len(deliveries)


@asynccontextmanager
async def running(
    table,
    handler,
    options=SLOW,
    *,
    waiting=lambda: 0,
    queued=lambda: 0,
    retracting=lambda: 0,
    bell=None,
    slots=1,
):
    async def backlog() -> Backlog:
        return Backlog(waiting(), queued())

    counts = Counts()

    async def retractions() -> Backlog:
        return Backlog(retracting())

    source = TableSource(table, bell, backlog, retractions, options, counts, Stalls())
    source.subscribe("ingest", ["ingest"], Policy(batch=10, slots=slots, backoff=0.01), handler)
    await source.start()
    try:
        yield source, counts
    finally:
        await asyncio.wait_for(source.stop(), 10)


async def test_everything_that_is_due_is_carried_over_without_a_pause():
    handler = Handler()
    async with running(Table(35), handler) as (_, counts):
        await eventually(lambda: len(handler.seen) == 35)
    assert counts.rows == 35
    assert handler.seen[0] == captured(1)


async def test_a_hint_is_answered_at_once():
    table, handler, bell = Table(), Handler(), Bell()
    async with running(table, handler, bell=bell) as (_, counts):
        await eventually(lambda: table.claimed)
        table.due = [7]
        bell.ring()
        await eventually(lambda: handler.seen)
    assert counts.missed == bell.missed_rows == 0


async def test_the_sweep_finds_what_nobody_told_of_and_says_so():
    table, handler, bell = Table(), Handler(), Bell()
    async with running(table, handler, QUICK, bell=bell) as (source, counts):
        await eventually(lambda: table.looked > 2)
        table.due = [7]
        await eventually(lambda: handler.seen)
    assert counts.missed == bell.missed_rows == source.status()["missed_wakeups"] == 1
    assert source.status()["state"] is Link.CONNECTED


async def test_a_table_that_cannot_be_claimed_from_is_told_once_and_so_is_its_end(caplog):
    table, handler = Table(), Handler()
    table.fail = Paused("the key is refused")
    async with running(table, handler, QUICK) as (source, _):
        await eventually(lambda: source.status() and caplog.records)
        assert await source.ready() == "the key is refused"
        table.fail, table.due = None, [7]
        await eventually(lambda: handler.seen)
    told = [record.getMessage() for record in caplog.records]
    assert told == ["claiming: the key is refused", "claiming: connected again"]


async def test_while_nothing_happens_the_sweep_asks_one_question():
    table, handler, bell = Table(), Handler(), Bell()
    async with running(table, handler, QUICK, bell=bell):
        await eventually(lambda: table.looked > 5)
        assert table.claimed == 1
        bell.ring()
        await eventually(lambda: table.claimed == 2)
        table.retracted = [7]
        await eventually(lambda: handler.seen)


async def test_now_and_then_it_claims_though_nothing_is_said_to_be_due(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("xnovu.adapters.table.source.UNASKED", 0.05)
    table, bell = Table(), Bell()
    async with running(table, Handler(), QUICK, bell=bell):
        await eventually(lambda: table.claimed > 3)
        assert table.looked > table.claimed


async def test_after_trouble_it_claims_though_nothing_is_said_to_be_due():
    """That call tells which answers were lost."""
    table, handler = Table(), Handler()
    async with running(table, handler, QUICK):
        await eventually(lambda: table.looked > 1)
        table.fail = Paused("the answer was lost")
        await eventually(lambda: table.failed)
        table.fail, claimed = None, table.claimed
        await eventually(lambda: table.claimed > claimed)


async def test_without_wake_ups_nothing_is_missed():
    table, handler = Table(), Handler()
    async with running(table, handler, QUICK) as (_, counts):
        await eventually(lambda: table.looked > 2)
        table.due = [7]
        await eventually(lambda: handler.seen)
    assert counts.missed == 0


async def test_a_row_that_falls_due_is_awaited_and_not_missed():
    table, handler, bell = Table(), Handler(), Bell()
    table.next = 0.05
    async with running(table, handler, bell=bell) as (_, counts):
        await eventually(lambda: table.claimed > 1)
        table.due = [7]
        await eventually(lambda: handler.seen)
    assert counts.missed == bell.missed_rows == 0


async def test_the_broker_is_asked_for_the_backlog_only_while_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("xnovu.adapters.table.source.RECOUNT_NOTHING", 1e9)
    table, handler, bell, asked, left = Table(), Handler(), Bell(), [], iter([0, 3, 3, 3])

    def waiting() -> int:
        asked.append(next(left, 0))
        return asked[-1]

    async with running(table, handler, bell=bell, waiting=waiting) as (_, counts):
        await eventually(lambda: table.claimed > 3 or bell.ring())
        assert asked == [0]
        table.due = [7]
        await eventually(lambda: asked == [0, 3, 3, 3, 0] or bell.ring())
        before = table.claimed
        await eventually(lambda: table.claimed > before + 3 or bell.ring())
    assert asked == [0, 3, 3, 3, 0]
    assert counts.waiting == 0


async def test_no_more_is_claimed_than_may_be_on_its_way():
    table, handler, backlog = Table(100), Handler(), 0
    options = TableOptions(backlog=25, sweep_busy=0.01, sweep_idle=0.01)
    async with running(table, handler, options, waiting=lambda: backlog):
        backlog = 20
        await eventually(lambda: table.limits)
        backlog = 25
        seen = len(handler.seen)
        await eventually(lambda: len(handler.seen) >= seen)
        backlog = 0
        await eventually(lambda: len(handler.seen) == 100)
    assert max(table.limits) <= 10


async def test_nothing_is_claimed_while_the_stages_are_full():
    table, handler, looked = Table(5), Handler(), 0

    def full() -> int:
        nonlocal looked
        looked += 1
        return 5000

    async with running(table, handler, QUICK, waiting=full):
        await eventually(lambda: looked > 3)
    assert table.claimed == 0


async def test_who_has_nothing_on_its_way_does_not_wait_for_room():
    table, handler, bell = Table(100), Handler(), Bell()
    async with running(table, handler, waiting=lambda: 9, queued=lambda: 20, bell=bell):
        await eventually(lambda: bell.ring)
        table.idle = [501, 502]
        bell.ring()
        await eventually(lambda: len(handler.seen) == 2)
        assert {(e.event.notification_id, e.express) for e in handler.seen} == {
            (501, True),
            (502, True),
        }
    assert table.claimed == 0


async def test_no_more_lies_ready_than_is_taken_up():
    table, handler, counts = Table(1000), Handler(), []

    def queued() -> int:
        counts.append(0 if len(counts) > 3 else 20)
        return counts[-1]

    async with running(table, handler, QUICK, waiting=lambda: 20, queued=queued):
        await eventually(lambda: len(handler.seen) == 1000)
    assert counts[:4] == [20] * 4
    assert counts.count(0) > 3


@pytest.mark.parametrize(
    ("fate", "released"), [(Retry(0.0), [1, 2]), (Dead("expired", "expired"), []), (Done(), [])]
)
async def test_only_what_could_not_be_carried_over_is_given_back(fate, released):
    table, handler = Table(2), Handler(fate)
    async with running(table, handler):
        await eventually(lambda: len(handler.seen) == 2)
    assert table.released == released


async def test_what_a_handler_raises_gives_back_its_rows_and_the_sweep_goes_on():
    async def broken(deliveries):
        raise RuntimeError("bug")

    table = Table(3)
    async with running(table, broken, QUICK) as (source, _):
        await eventually(lambda: table.released == [1, 2, 3])
        await eventually(lambda: table.claimed > 2)
        assert source is not None


async def test_a_database_that_is_away_is_told_and_waited_for():
    table, handler = Table(1), Handler()
    table.fail = Paused("the database is away")
    async with running(table, handler, QUICK) as (source, _):
        await eventually(source.ready)
        assert await source.ready() == source.trouble == "the database is away"
        assert source.stalled.told[0] is table.fail
        table.fail = None
        await eventually(lambda: handler.seen)

        async def well() -> bool:
            return await source.ready() is None

        await eventually(well)


async def test_without_wake_ups_its_connection_is_what_claiming_says():
    table, handler = Table(1), Handler()
    async with running(table, handler, QUICK) as (source, _):
        await eventually(lambda: source.connection.state is Link.CONNECTED)
        assert source.connection.last_event is not None
        table.fail = Paused("the database is away")
        await eventually(lambda: source.connection.state is Link.RECONNECTING)
        assert source.connection.reason == "the database is away"
        table.fail = None
        await eventually(lambda: source.connection.reconnects == 1)
    assert source.connection.state is Link.STOPPED


async def test_with_wake_ups_it_is_theirs():
    bell = Bell()
    async with running(Table(), Handler(), bell=bell) as (source, _):
        assert source.connection is bell.connection


async def test_a_stop_that_is_cancelled_stops_the_wake_ups_all_the_same():
    bell, began = Bell(), asyncio.Event()

    async def for_ever(deliveries):
        began.set()
        await asyncio.Event().wait()

    async with running(Table(1), for_ever, bell=bell) as (source, _):
        await eventually(began.is_set)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await source.stop()
        assert bell.ring is None


async def test_a_broker_that_is_away_claims_nothing():
    def away() -> int:
        raise Paused("NATS is away")

    table = Table(1)
    async with running(table, Handler(), QUICK, waiting=away) as (source, _):
        await eventually(source.ready)
    assert table.claimed == 0


async def test_retractions_arrive_as_well_and_before_the_rows():
    table, handler = Table(5), Handler()
    table.retracted = [7, 8]
    async with running(table, handler) as (_, counts):
        await eventually(lambda: len(handler.seen) == 7)
    assert [e.event for e in handler.seen[:2]] == [a_retraction(7), a_retraction(8)]
    assert counts.rows == 7


async def test_a_retraction_waits_for_no_room_among_the_rows():
    table, handler = Table(5), Handler()
    table.retracted = [7]
    async with running(table, handler, QUICK, waiting=lambda: 5000):
        await eventually(lambda: handler.seen)
    assert (table.claimed, handler.seen[0].event) == (0, a_retraction(7))


async def test_few_retractions_lie_ready_and_not_many_are_open():
    """Two batches lie ready: whoever takes one back next does not wait behind another's."""
    table, handler, waiting = Table(), Handler(), 25
    table.retracted = list(range(1, 101))
    options = TableOptions(backlog=25, sweep_busy=0.01, sweep_idle=0.01)
    async with running(table, handler, options, retracting=lambda: waiting):
        await eventually(lambda: len(handler.seen) == 20)
        table.due = [1000]
        await eventually(lambda: handler.seen[-1].event.notification_id == 1000)
        assert len(table.retracted) == 80
        waiting = 0
        await eventually(lambda: not table.retracted)


async def test_a_retraction_that_could_not_be_carried_over_is_given_back():
    table = Table()
    table.retracted = [7]
    async with running(table, Handler(Retry(0.0))):
        await eventually(lambda: table.released == [7])


async def test_several_slots_share_the_rows():
    handler = Handler()
    async with running(Table(100), handler, slots=4):
        await eventually(lambda: len(handler.seen) == 100)
    assert len({e.id for e in handler.seen}) == 100


def an_end(id: int) -> StatusChanged:
    return StatusChanged(
        notification_id=id,
        enterprise_id=ENTERPRISE,
        claims=0,
        status=Status.FAILED,
        previous=Status.PENDING,
        at=datetime(2026, 1, 1, tzinfo=UTC),
    )


async def test_what_ended_within_a_claim_is_told_until_its_event_is_out():
    table, handler = Table(), Handler(Retry(0.0))
    table.ended = [an_end(number) for number in range(1, 13)]
    async with running(table, handler, QUICK):
        await eventually(lambda: len(handler.seen) >= 20)
        assert len(table.ended) == 12
        handler.fate = Done()
        await eventually(lambda: not table.ended)
    assert {envelope.event for envelope in handler.seen} == {an_end(n) for n in range(1, 13)}
    assert table.released == []
