"""What every Transport must do. A row of this file is a promise in ``xnovu.ports``."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.builders import captured
from tests.conftest import eventually
from tests.contract.transport_fixtures import LEASE, Bench
from xnovu.envelope import Envelope, decode
from xnovu.errors import Permanent
from xnovu.events import Status, StatusChanged
from xnovu.policy import Dead, Done, Fate, Policy, Retry
from xnovu.ports import Backlog, Delivery, Handler, Transport
from xnovu.stage import utc_now

POLICY = Policy(batch=10, linger=0.02, slots=1, timeout=5.0, attempts=20)
MARKER = 999
"""A message published last: once it is there, what was to come before it has come."""

Answer = Callable[[int, int], Fate]


class Recorder:
    """A handler that answers what the test tells it to, and remembers (number, attempt)."""

    def __init__(self, answer: Answer = lambda number, attempt: Done()) -> None:
        self.seen: list[tuple[int, int]] = []
        self.batches: list[int] = []
        self._answer = answer

    async def __call__(self, deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        arrived = [(number(delivery), delivery.attempt) for delivery in deliveries]
        self.seen += arrived
        self.batches.append(len(deliveries))
        return [self._answer(*one) for one in arrived]

    @property
    def marked(self) -> bool:
        return any(number == MARKER for number, _ in self.seen)

    @property
    def counts(self) -> dict[int, int]:
        return dict(Counter(number for number, _ in self.seen if number != MARKER))


def number(delivery: Delivery) -> int:
    return decode(delivery.headers, delivery.body).event.notification_id


@asynccontextmanager
async def running(
    transport: Transport, mailbox: str, handler: Handler, policy: Policy = POLICY
) -> AsyncIterator[None]:
    transport.subscribe(mailbox, ["ingest"], policy, handler)
    await transport.start()
    try:
        yield
    finally:
        await transport.stop()


async def published(transport: Transport, *numbers: int) -> None:
    answers = await transport.publish([captured(n) for n in numbers])
    assert answers == [None] * len(numbers)


async def settled(transport: Transport, *mailboxes: str) -> None:
    async def none_waiting() -> bool:
        return (await transport.backlog(mailboxes)).unsettled == 0

    await eventually(none_waiting)


async def test_every_message_arrives_with_its_identity(transport: Transport, mailbox: str):
    handler = Recorder()
    async with running(transport, mailbox, handler):
        await published(transport, *range(25))
        await eventually(lambda: len(handler.seen) >= 25)
        await settled(transport, mailbox)
    assert sorted(handler.seen) == [(n, 1) for n in range(25)]
    assert max(handler.batches) <= POLICY.batch


async def test_a_batch_may_be_one_message(transport: Transport, mailbox: str):
    handler = Recorder()
    async with running(transport, mailbox, handler, Policy(batch=1, linger=0.0, slots=2)):
        await published(transport, *range(20))
        await eventually(lambda: len(handler.seen) >= 20)
        await settled(transport, mailbox)
    assert sorted(handler.seen) == [(n, 1) for n in range(20)]
    assert set(handler.batches) == {1}


async def test_headers_and_body_arrive_as_they_were(transport: Transport, mailbox: str):
    arrived: list[Delivery] = []

    async def keep(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        arrived.extend(deliveries)
        return [Done()] * len(deliveries)

    envelope = captured(1, trace="00-trace-span-01")._replace(express=True)
    async with running(transport, mailbox, keep):
        await transport.publish([envelope])
        await eventually(lambda: arrived)
    headers, body = envelope.encode()
    assert [delivery[:3] for delivery in arrived] == [(headers, body, 1)]


async def test_a_publisher_answers_for_each_envelope(bench: Bench, mailbox: str):
    handler = Recorder()
    big = captured(2, transaction_id="x" * bench.large)
    async with running(bench.transport, mailbox, handler):
        before, refused, after = await bench.transport.publish([captured(1), big, captured(3)])
        await eventually(lambda: len(handler.seen) == 2)
    assert (before, after) == (None, None)
    assert isinstance(refused, Permanent)
    assert refused.code == "too_large"
    assert "xxx" not in str(refused)
    assert any(character.isdigit() for character in str(refused))


async def test_publishing_nothing_is_nothing(transport: Transport, mailbox: str):
    async with running(transport, mailbox, Recorder()):
        assert list(await transport.publish([])) == []


async def test_each_message_of_a_batch_has_its_own_fate(transport: Transport, mailbox: str):
    fates = {1: Done(), 2: Retry(0.05, "again"), 3: Dead("never"), 4: Done()}
    handler = Recorder(lambda n, attempt: fates.get(n, Done()) if attempt == 1 else Done())
    async with running(transport, mailbox, handler):
        await published(transport, *fates)
        await eventually(lambda: (2, 2) in handler.seen)
        await settled(transport, mailbox)
    assert handler.counts == {1: 1, 2: 2, 3: 1, 4: 1}


async def test_a_retry_waits_at_least_as_long_as_it_was_told(transport: Transport, mailbox: str):
    times: list[float] = []

    def answer(n: int, attempt: int) -> Fate:
        times.append(time.monotonic())
        return Retry(0.4, "later") if attempt == 1 else Done()

    async with running(transport, mailbox, Recorder(answer)):
        await published(transport, 1)
        await eventually(lambda: len(times) == 2)
    assert times[1] - times[0] >= 0.4


async def test_a_retry_may_outlast_the_lease(transport: Transport, mailbox: str):
    wait = 3 * LEASE
    times: list[float] = []

    def answer(n: int, attempt: int) -> Fate:
        times.append(time.monotonic())
        return Retry(wait, "later") if attempt == 1 else Done()

    async with running(transport, mailbox, Recorder(answer)):
        await published(transport, 1)
        await eventually(lambda: len(times) == 2)
    assert times[1] - times[0] >= wait


async def test_what_is_given_back_unspent_is_the_same_attempt(transport: Transport, mailbox: str):
    arrived: list[int] = []

    async def undecided(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        arrived.extend(delivery.attempt for delivery in deliveries)
        unspent, spent = Retry(0.0, spent=False), Retry(0.0)
        return [{1: unspent, 2: unspent, 3: spent}.get(len(arrived), Done())] * len(deliveries)

    async with running(transport, mailbox, undecided):
        await published(transport, 1)
        await settled(transport, mailbox)
    assert arrived == [1, 1, 1, 2]


async def test_only_the_mailbox_that_asked_gets_it_again(transport: Transport, mailbox: str):
    ours = Recorder(lambda n, attempt: Retry(0.1) if attempt == 1 else Done())
    theirs = Recorder()
    transport.subscribe(f"{mailbox}-too", ["ingest"], POLICY, theirs)
    async with running(transport, mailbox, ours):
        await transport.publish([captured(1, enterprise_id="a.b")])
        await eventually(lambda: ours.seen == [(1, 1), (1, 2)])
        await settled(transport, mailbox, f"{mailbox}-too")
    assert theirs.seen == [(1, 1)]


async def test_a_message_that_waits_holds_nobody_up(transport: Transport, mailbox: str):
    handler = Recorder(lambda n, attempt: Retry(60, "later") if n == 1 else Done())
    async with running(transport, mailbox, handler):
        await published(transport, 1)
        await eventually(lambda: handler.seen)
        await published(transport, 2)
        await eventually(lambda: (2, 1) in handler.seen)
        assert (await transport.backlog([mailbox])).unsettled >= 1


async def test_all_comes_again_when_the_handler_raises(transport: Transport, mailbox: str):
    handler = Recorder()

    async def fragile(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        fates = await handler(deliveries)
        if any(delivery.attempt == 1 for delivery in deliveries):
            raise RuntimeError("crash")
        return fates

    async with running(transport, mailbox, fragile):
        await published(transport, 1, 2)
        await eventually(lambda: {(1, 2), (2, 2)} <= set(handler.seen))
        await settled(transport, mailbox)


async def test_attempts_are_counted(transport: Transport, mailbox: str):
    handler = Recorder(lambda n, attempt: Retry(0.0, "") if attempt < 4 else Done())
    async with running(transport, mailbox, handler):
        await published(transport, 1)
        await eventually(lambda: len(handler.seen) == 4)
    assert [attempt for _, attempt in handler.seen] == [1, 2, 3, 4]


async def test_a_foreign_message_arrives_untouched_beside_its_neighbours(
    bench: Bench, mailbox: str
):
    arrived: list[Delivery] = []

    async def keep(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        arrived.extend(deliveries)
        return [Done()] * len(deliveries)

    async with running(bench.transport, mailbox, keep):
        await published(bench.transport, 1)
        await bench.foreign("ingest", b"{not json")
        await published(bench.transport, 2)
        await eventually(lambda: len(arrived) == 3)
        await settled(bench.transport, mailbox)
    assert ({}, b"{not json", 1) in [delivery[:3] for delivery in arrived]


async def test_the_same_envelope_twice_is_one_message(transport: Transport, mailbox: str):
    if not transport.features.deduplicates:
        pytest.skip("this transport does not promise it")
    handler = Recorder()
    async with running(transport, mailbox, handler):
        await published(transport, 7)
        await published(transport, 7, 7)
        await published(transport, MARKER)
        await eventually(lambda: handler.marked)
    assert handler.counts == {7: 1}


async def test_a_lone_message_does_not_wait_for_company(transport: Transport, mailbox: str):
    handler = Recorder()
    async with running(transport, mailbox, handler):
        for n in range(3):
            await published(transport, n)
            await eventually(lambda n=n: (n, 1) in handler.seen, within=2)


async def test_a_message_waits_for_a_listener(bench: Bench, mailbox: str):
    if not bench.transport.features.persistent:
        pytest.skip("this transport does not promise it")
    handler, reader = Recorder(), bench.another()
    await bench.transport.start()
    await published(bench.transport, 1)
    await bench.transport.stop()
    async with running(reader, mailbox, handler):
        await eventually(lambda: handler.seen)
    assert handler.counts == {1: 1}


async def test_every_mailbox_has_its_own_copy(transport: Transport, mailbox: str):
    ours, theirs = Recorder(), Recorder(lambda n, attempt: Dead("not for us"))
    transport.subscribe(f"{mailbox}-too", ["ingest"], POLICY, theirs)
    async with running(transport, mailbox, ours):
        await published(transport, 1, 2)
        await eventually(lambda: len(ours.seen) == len(theirs.seen) == 2)
        await settled(transport, mailbox, f"{mailbox}-too")
    assert ours.counts == theirs.counts == {1: 1, 2: 1}


async def test_a_mailbox_may_take_two_kinds(transport: Transport, mailbox: str):
    handler = Recorder()
    changed = StatusChanged(
        notification_id=2,
        enterprise_id="acme",
        status=Status.SENT,
        previous=Status.PROCESSING,
        at=utc_now(),
    )
    transport.subscribe(mailbox, ["ingest", "status"], POLICY, handler)
    await transport.start()
    assert list(await transport.publish([captured(1), Envelope(changed)])) == [None, None]
    await eventually(lambda: len(handler.seen) == 2)
    await settled(transport, mailbox)
    await transport.stop()
    assert handler.counts == {1: 1, 2: 1}


@pytest.mark.parametrize("enterprise", ["a.b", "a b", "*", ">", "é", "a/../b", "%"])
async def test_any_enterprise_gets_its_messages(
    transport: Transport, mailbox: str, enterprise: str
):
    arrived: list[Delivery] = []

    async def keep(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        arrived.extend(deliveries)
        return [Done()] * len(deliveries)

    async with running(transport, mailbox, keep):
        await transport.publish([captured(1, enterprise_id=enterprise)])
        await eventually(lambda: arrived)
    headers, body, _, address = arrived[0]
    assert decode(headers, body, address).enterprise_id == enterprise


async def test_the_backlog_is_what_is_not_settled(transport: Transport, mailbox: str):
    began, hold = asyncio.Event(), asyncio.Event()

    async def held(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        began.set()
        await hold.wait()
        return [Done()] * len(deliveries)

    async with running(transport, mailbox, held, Policy(batch=2, slots=1)):
        await published(transport, *range(5))
        await eventually(began.is_set)
        assert await transport.backlog([mailbox]) == Backlog(unsettled=5, queued=3)
        assert await transport.backlog([]) == await transport.backlog(["nobody"]) == Backlog()
        hold.set()
        await settled(transport, mailbox)


async def test_what_waits_for_its_time_is_not_ready(transport: Transport, mailbox: str):
    handler = Recorder(lambda n, attempt: Retry(60, "later"))

    async def put_off() -> bool:
        return await transport.backlog([mailbox]) == Backlog(unsettled=3, queued=0)

    async with running(transport, mailbox, handler):
        await published(transport, 1, 2, 3)
        await eventually(put_off)


async def test_a_batch_in_hand_keeps_its_lease(bench: Bench, mailbox: str):
    """It takes three leases, and nobody else gets it meanwhile."""
    began = asyncio.Event()
    handler = Recorder()

    async def slow(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        if 1 in map(number, deliveries):
            began.set()
            deadline = time.monotonic() + 3 * LEASE
            await eventually(lambda: time.monotonic() > deadline)
        return await handler(deliveries)

    async with running(bench.transport, mailbox, slow, Policy(batch=2, slots=2)):
        await published(bench.transport, 1, 2)
        await eventually(began.is_set)
        await eventually(lambda: (1, 1) in handler.seen)
        await published(bench.transport, MARKER)
        await eventually(lambda: handler.marked)
        await settled(bench.transport, mailbox)
    assert handler.counts == {1: 1, 2: 1}


async def test_a_message_does_not_age_behind_a_slow_batch(bench: Bench, mailbox: str):
    """What waits its turn for several leases is still on its first attempt."""
    handler = Recorder()

    async def slow(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        if not handler.seen:
            deadline = time.monotonic() + 3 * LEASE
            await eventually(lambda: time.monotonic() > deadline)
        return await handler(deliveries)

    async with running(bench.transport, mailbox, slow, Policy(batch=10, slots=1)):
        await published(bench.transport, 1)
        await published(bench.transport, *range(2, 30))
        await eventually(lambda: len(handler.seen) >= 29)
        await settled(bench.transport, mailbox)
    assert sorted(handler.seen) == [(n, 1) for n in range(1, 30)]


async def test_stop_lets_the_batch_in_hand_finish(transport: Transport, mailbox: str):
    began, finish = asyncio.Event(), asyncio.Event()
    handler = Recorder()

    async def slow(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        began.set()
        await finish.wait()
        return await handler(deliveries)

    transport.subscribe(mailbox, ["ingest"], POLICY, slow)
    await transport.start()
    await published(transport, 1)
    await eventually(began.is_set)
    stopping = asyncio.create_task(transport.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    finish.set()
    await stopping
    assert handler.seen == [(1, 1)]


async def test_stop_gives_back_the_rest(bench: Bench, mailbox: str):
    """What was not in hand is there for the next process, and nothing is left pending."""
    began, finish, first, second = asyncio.Event(), asyncio.Event(), Recorder(), Recorder()

    async def slow(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        began.set()
        await finish.wait()
        return await first(deliveries)

    another = bench.another()
    bench.transport.subscribe(mailbox, ["ingest"], Policy(batch=3, slots=1), slow)
    await bench.transport.start()
    await published(bench.transport, *range(20))
    await eventually(began.is_set)
    stopping = asyncio.create_task(bench.transport.stop())
    await asyncio.sleep(0)
    finish.set()
    await stopping
    async with running(another, mailbox, second):
        await eventually(lambda: len(first.seen) + len(second.seen) >= 20)
        await settled(another, mailbox)
    assert Counter(first.counts) + Counter(second.counts) == Counter(range(20))


async def test_an_idle_transport_stops_promptly(transport: Transport, mailbox: str):
    before = asyncio.all_tasks()
    transport.subscribe(mailbox, ["ingest"], Policy(slots=4), Recorder())
    await transport.start()
    async with asyncio.timeout(10):
        await transport.stop()
    await eventually(lambda: asyncio.all_tasks() <= before)


async def test_slots_work_at_the_same_time(transport: Transport, mailbox: str):
    if not transport.features.competing:
        pytest.skip("this transport does not promise it")
    together, all_there = 0, asyncio.Event()

    async def meet(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        nonlocal together
        together += 1
        if together == 3:
            all_there.set()
        await all_there.wait()
        return [Done()] * len(deliveries)

    async with running(transport, mailbox, meet, Policy(batch=2, linger=0.02, slots=3)):
        await published(transport, *range(24))
        await eventually(all_there.is_set)
        await settled(transport, mailbox)


async def test_what_is_express_goes_before_others_that_wait(transport: Transport, mailbox: str):
    seen: list[int] = []
    begun, all_there, served = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        [arrived] = map(number, deliveries)
        begun.set()
        await (all_there if arrived == 0 else served).wait() if arrived != MARKER else None
        seen.append(arrived)
        if arrived == MARKER:
            served.set()
        return [Done()]

    async with running(transport, mailbox, handle, Policy(batch=1, linger=0.0, slots=1)):
        await published(transport, 0)
        await begun.wait()
        await published(transport, *range(1, 6))
        express = captured(MARKER)._replace(express=True)
        assert await transport.publish([express]) == [None]
        all_there.set()
        await settled(transport, mailbox)
    assert [one for one in seen if one != MARKER] == [*range(6)]
    assert seen.index(MARKER) < seen.index(1)


async def test_a_running_transport_is_ready(transport: Transport, mailbox: str):
    async with running(transport, mailbox, Recorder()):

        async def ready() -> bool:
            return await transport.ready() is None

        await eventually(ready)


async def test_a_paused_mailbox_gives_out_nothing_until_it_is_resumed(
    transport: Transport, mailbox: str
):
    """And at once then; another mailbox goes on meanwhile."""
    paused, other = Recorder(), Recorder()
    transport.subscribe(f"{mailbox}-too", ["ingest"], POLICY, other)
    async with running(transport, mailbox, paused):
        await transport.pause(mailbox, 60.0, "the provider is away")
        assert await transport.paused(mailbox)
        await published(transport, *range(5))
        await eventually(lambda: len(other.seen) == 5)
        assert not await transport.paused(f"{mailbox}-too")
        assert paused.seen == []
        await transport.resume(mailbox)
        assert not await transport.paused(mailbox)
        await eventually(lambda: len(paused.seen) == 5, within=3)


async def test_a_pause_that_nobody_renews_ends(transport: Transport, mailbox: str):
    handler = Recorder()
    async with running(transport, mailbox, handler):
        await transport.pause(mailbox, 60.0, "the provider is away")
        began = time.monotonic()
        await transport.pause(mailbox, 0.5, "the provider is away")
        await published(transport, 1)
        await eventually(lambda: handler.seen)
        assert time.monotonic() - began >= 0.5
        assert not await transport.paused(mailbox)


async def test_what_is_in_hand_is_settled_while_its_mailbox_is_paused(
    transport: Transport, mailbox: str
):
    began, finish = asyncio.Event(), asyncio.Event()

    async def slow(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        began.set()
        await finish.wait()
        return [Done()] * len(deliveries)

    async with running(transport, mailbox, slow):
        await published(transport, 1)
        await eventually(began.is_set)
        await transport.pause(mailbox, 60.0, "the provider is away")
        finish.set()
        await settled(transport, mailbox)


async def test_a_paused_transport_stops_promptly(transport: Transport, mailbox: str):
    async with running(transport, mailbox, Recorder()):
        await published(transport, 1)
        await transport.pause(mailbox, 60.0, "the provider is away")
        async with asyncio.timeout(10):
            await transport.stop()
