"""What every transport promises of a message: each test is a promise in ``xnovu.ports``."""

import time
from collections.abc import Sequence

import pytest

from xnovu.errors import Permanent
from xnovu.policy import Dead, Done, Fate, Policy, Retry
from xnovu.ports import Delivery, Transport
from xnovu.testing.builders import captured
from xnovu.testing.contract.transport_bench import (
    LEASE,
    MARKER,
    POLICY,
    Bench,
    Benched,
    Recorder,
    published,
    running,
    settled,
)
from xnovu.testing.waiting import eventually


class Messages(Benched):
    """It arrives, once or again, with its identity."""

    async def test_every_message_arrives_with_its_identity(
        self, transport: Transport, mailbox: str
    ):
        handler = Recorder()
        async with running(transport, mailbox, handler):
            await published(transport, *range(25))
            await eventually(lambda: len(handler.seen) >= 25)
            await settled(transport, mailbox)
        assert sorted(handler.seen) == [(n, 1) for n in range(25)]
        assert max(handler.batches) <= POLICY.batch

    async def test_a_batch_may_be_one_message(self, transport: Transport, mailbox: str):
        handler = Recorder()
        async with running(transport, mailbox, handler, Policy(batch=1, linger=0.0, slots=2)):
            await published(transport, *range(20))
            await eventually(lambda: len(handler.seen) >= 20)
            await settled(transport, mailbox)
        assert sorted(handler.seen) == [(n, 1) for n in range(20)]
        assert set(handler.batches) == {1}

    async def test_headers_and_body_arrive_as_they_were(self, transport: Transport, mailbox: str):
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

    async def test_a_publisher_answers_for_each_envelope(self, bench: Bench, mailbox: str):
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

    async def test_publishing_nothing_is_nothing(self, transport: Transport, mailbox: str):
        async with running(transport, mailbox, Recorder()):
            assert list(await transport.publish([])) == []

    async def test_each_message_of_a_batch_has_its_own_fate(
        self, transport: Transport, mailbox: str
    ):
        fates = {1: Done(), 2: Retry(0.05, "again"), 3: Dead("never"), 4: Done()}
        handler = Recorder(lambda n, attempt: fates.get(n, Done()) if attempt == 1 else Done())
        async with running(transport, mailbox, handler):
            await published(transport, *fates)
            await eventually(lambda: (2, 2) in handler.seen)
            await settled(transport, mailbox)
        assert handler.counts == {1: 1, 2: 2, 3: 1, 4: 1}

    async def test_a_retry_waits_at_least_as_long_as_it_was_told(
        self, transport: Transport, mailbox: str
    ):
        times: list[float] = []

        def answer(n: int, attempt: int) -> Fate:
            times.append(time.monotonic())
            return Retry(0.4, "later") if attempt == 1 else Done()

        async with running(transport, mailbox, Recorder(answer)):
            await published(transport, 1)
            await eventually(lambda: len(times) == 2)
        assert times[1] - times[0] >= 0.4

    async def test_a_retry_may_outlast_the_lease(self, transport: Transport, mailbox: str):
        wait = 3 * LEASE
        times: list[float] = []

        def answer(n: int, attempt: int) -> Fate:
            times.append(time.monotonic())
            return Retry(wait, "later") if attempt == 1 else Done()

        async with running(transport, mailbox, Recorder(answer)):
            await published(transport, 1)
            await eventually(lambda: len(times) == 2)
        assert times[1] - times[0] >= wait

    async def test_what_is_given_back_unspent_is_the_same_attempt(
        self, transport: Transport, mailbox: str
    ):
        arrived: list[int] = []

        async def undecided(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
            arrived.extend(delivery.attempt for delivery in deliveries)
            unspent, spent = Retry(0.0, spent=False), Retry(0.0)
            return [{1: unspent, 2: unspent, 3: spent}.get(len(arrived), Done())] * len(deliveries)

        async with running(transport, mailbox, undecided):
            await published(transport, 1)
            await settled(transport, mailbox)
        assert arrived == [1, 1, 1, 2]

    async def test_only_the_mailbox_that_asked_gets_it_again(
        self, transport: Transport, mailbox: str
    ):
        ours = Recorder(lambda n, attempt: Retry(0.1) if attempt == 1 else Done())
        theirs = Recorder()
        transport.subscribe(f"{mailbox}-too", ["ingest"], POLICY, theirs)
        async with running(transport, mailbox, ours):
            await transport.publish([captured(1, enterprise_id="a.b")])
            await eventually(lambda: ours.seen == [(1, 1), (1, 2)])
            await settled(transport, mailbox, f"{mailbox}-too")
        assert theirs.seen == [(1, 1)]

    async def test_a_message_that_waits_holds_nobody_up(self, transport: Transport, mailbox: str):
        handler = Recorder(lambda n, attempt: Retry(60, "later") if n == 1 else Done())
        async with running(transport, mailbox, handler):
            await published(transport, 1)
            await eventually(lambda: handler.seen)
            await published(transport, 2)
            await eventually(lambda: (2, 1) in handler.seen)
            assert (await transport.backlog([mailbox])).unsettled >= 1

    async def test_all_comes_again_when_the_handler_raises(
        self, transport: Transport, mailbox: str
    ):
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

    async def test_attempts_are_counted(self, transport: Transport, mailbox: str):
        handler = Recorder(lambda n, attempt: Retry(0.0, "") if attempt < 4 else Done())
        async with running(transport, mailbox, handler):
            await published(transport, 1)
            await eventually(lambda: len(handler.seen) == 4)
        assert [attempt for _, attempt in handler.seen] == [1, 2, 3, 4]

    async def test_a_foreign_message_arrives_untouched_beside_its_neighbours(
        self, bench: Bench, mailbox: str
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

    async def test_the_same_envelope_twice_is_one_message(self, transport: Transport, mailbox: str):
        if not transport.features.deduplicates:
            pytest.skip("this transport does not promise it")
        handler = Recorder()
        async with running(transport, mailbox, handler):
            await published(transport, 7)
            await published(transport, 7, 7)
            await published(transport, MARKER)
            await eventually(lambda: handler.marked)
        assert handler.counts == {7: 1}

    async def test_a_lone_message_does_not_wait_for_company(
        self, transport: Transport, mailbox: str
    ):
        handler = Recorder()
        async with running(transport, mailbox, handler):
            for n in range(3):
                await published(transport, n)
                await eventually(lambda n=n: (n, 1) in handler.seen, within=2)

    async def test_a_message_waits_for_a_listener(self, bench: Bench, mailbox: str):
        if not bench.transport.features.persistent:
            pytest.skip("this transport does not promise it")
        handler, reader = Recorder(), bench.another()
        await bench.transport.start()
        await published(bench.transport, 1)
        await bench.transport.stop()
        async with running(reader, mailbox, handler):
            await eventually(lambda: handler.seen)
        assert handler.counts == {1: 1}
