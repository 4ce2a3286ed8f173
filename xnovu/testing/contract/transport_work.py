"""What every transport promises of its work: each test is a promise in ``xnovu.ports``."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

import pytest

from xnovu.envelope import Envelope, decode
from xnovu.events import Status, StatusChanged
from xnovu.policy import Dead, Done, Fate, Policy, Retry
from xnovu.ports import Backlog, Delivery, Transport
from xnovu.stage import utc_now
from xnovu.testing.builders import captured
from xnovu.testing.contract.transport_bench import (
    LEASE,
    MARKER,
    POLICY,
    Bench,
    Benched,
    Recorder,
    number,
    published,
    running,
    settled,
)
from xnovu.testing.waiting import eventually


class Work(Benched):
    """Mailboxes, leases, slots, pauses, and how it stops."""

    async def test_every_mailbox_has_its_own_copy(self, transport: Transport, mailbox: str):
        ours, theirs = Recorder(), Recorder(lambda n, attempt: Dead("not for us"))
        transport.subscribe(f"{mailbox}-too", ["ingest"], POLICY, theirs)
        async with running(transport, mailbox, ours):
            await published(transport, 1, 2)
            await eventually(lambda: len(ours.seen) == len(theirs.seen) == 2)
            await settled(transport, mailbox, f"{mailbox}-too")
        assert ours.counts == theirs.counts == {1: 1, 2: 1}

    async def test_a_mailbox_may_take_two_kinds(self, transport: Transport, mailbox: str):
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
        self, transport: Transport, mailbox: str, enterprise: str
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

    async def test_the_backlog_is_what_is_not_settled(self, transport: Transport, mailbox: str):
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

    async def test_what_waits_for_its_time_is_not_ready(self, transport: Transport, mailbox: str):
        handler = Recorder(lambda n, attempt: Retry(60, "later"))

        async def put_off() -> bool:
            return await transport.backlog([mailbox]) == Backlog(unsettled=3, queued=0)

        async with running(transport, mailbox, handler):
            await published(transport, 1, 2, 3)
            await eventually(put_off)

    async def test_a_batch_in_hand_keeps_its_lease(self, bench: Bench, mailbox: str):
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

    async def test_a_message_does_not_age_behind_a_slow_batch(self, bench: Bench, mailbox: str):
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

    async def test_stop_lets_the_batch_in_hand_finish(self, transport: Transport, mailbox: str):
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

    async def test_stop_gives_back_the_rest(self, bench: Bench, mailbox: str):
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

    async def test_an_idle_transport_stops_promptly(self, transport: Transport, mailbox: str):
        before = asyncio.all_tasks()
        transport.subscribe(mailbox, ["ingest"], Policy(slots=4), Recorder())
        await transport.start()
        async with asyncio.timeout(10):
            await transport.stop()
        await eventually(lambda: asyncio.all_tasks() <= before)

    async def test_slots_work_at_the_same_time(self, transport: Transport, mailbox: str):
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

    async def test_what_is_express_goes_before_others_that_wait(
        self, transport: Transport, mailbox: str
    ):
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

    async def test_a_running_transport_is_ready(self, transport: Transport, mailbox: str):
        async with running(transport, mailbox, Recorder()):

            async def ready() -> bool:
                return await transport.ready() is None

            await eventually(ready)

    async def test_a_paused_mailbox_gives_out_nothing_until_it_is_resumed(
        self, transport: Transport, mailbox: str
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

    async def test_a_pause_that_nobody_renews_ends(self, transport: Transport, mailbox: str):
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
        self, transport: Transport, mailbox: str
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

    async def test_a_paused_transport_stops_promptly(self, transport: Transport, mailbox: str):
        async with running(transport, mailbox, Recorder()):
            await published(transport, 1)
            await transport.pause(mailbox, 60.0, "the provider is away")
            async with asyncio.timeout(10):
                await transport.stop()
