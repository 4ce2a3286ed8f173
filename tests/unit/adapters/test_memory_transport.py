"""What the memory transport promises beyond its port: bounded memory, and an orderly end."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.builders import a_notification, captured
from tests.conftest import eventually
from xnovu.adapters.memory.ids import Ids
from xnovu.adapters.memory.transport import MemoryTransport
from xnovu.envelope import Envelope, decode
from xnovu.events import Event, Hydrated, Status, StatusChanged, Triggered
from xnovu.policy import Done, Fate, Policy, Retry
from xnovu.ports import Delivery
from xnovu.stage import utc_now

ONE = Policy(batch=1, linger=0.0, slots=1)


def hydrated(number: int) -> Envelope[Event]:
    event = Hydrated(
        notification_id=number, enterprise_id="acme", notification=a_notification(number)
    )
    return Envelope(event)


def triggered(number: int) -> Envelope[Event]:
    event = Triggered(notification_id=number, enterprise_id="acme", transaction_id="t")
    return Envelope(event)


def changed(number: int) -> Envelope[Event]:
    event = StatusChanged(
        notification_id=number,
        enterprise_id="acme",
        status=Status.SENT,
        previous=Status.PROCESSING,
        at=utc_now(),
    )
    return Envelope(event)


def numbers(deliveries: Sequence[Delivery]) -> list[int]:
    return [decode(each.headers, each.body).event.notification_id for each in deliveries]


class Worker:
    """Handles one at a time once it is let; publishes what that causes."""

    def __init__(self, transport=None, then=None, fate: Fate | None = None) -> None:
        self.began, self.go_on, self.seen = asyncio.Event(), asyncio.Event(), []
        self.transport, self.then, self.fate = transport, then, fate or Done()

    async def __call__(self, deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        self.began.set()
        await self.go_on.wait()
        self.seen += numbers(deliveries)
        if self.then:
            await self.transport.publish([self.then(n) for n in numbers(deliveries)])
        return [self.fate] * len(deliveries)


def left(transport: MemoryTransport) -> list[tuple[str, int]]:
    kinds = [delivery.headers["id"].split(":")[0] for delivery in transport.left]
    return list(zip(kinds, numbers(transport.left), strict=True))


async def stopping(transport: MemoryTransport) -> asyncio.Task[None]:
    task = asyncio.create_task(transport.stop())
    await asyncio.sleep(0)
    return task


def test_an_id_is_known_until_so_many_others_have_come():
    ids = Ids(remembered=2)
    assert [ids.is_new(name) for name in ("a", "a", "b", "c", "c", "a")] == [
        *(True, False),
        *(True, True),
        *(False, True),
    ]
    assert len(ids) == 2


async def test_what_is_remembered_does_not_grow():
    transport = MemoryTransport(remembered=100)
    worker = Worker(transport, hydrated)
    worker.go_on.set()
    transport.subscribe("hydrate", ["ingest"], Policy(), worker)
    await transport.start()
    for first in range(0, 3000, 100):
        await transport.publish([captured(n) for n in range(first, first + 100)])
    await eventually(lambda: len(worker.seen) == 3000)
    await eventually(lambda: transport.unsettled(["hydrate"]) == 0)
    await transport.stop()
    assert len(transport._ids) == 100


async def test_at_stop_the_rest_is_left_and_what_has_happened_is_told():
    transport = MemoryTransport()
    hydrate, trigger = Worker(transport, hydrated), Worker(transport, triggered)
    status, listener = Worker(transport, changed), Worker()
    for worker in (status, listener):
        worker.go_on.set()
    transport.subscribe("hydrate", ["ingest"], ONE, hydrate)
    transport.subscribe("trigger", ["hydrate"], ONE, trigger)
    transport.subscribe("status", ["trigger", "dead"], ONE, status)
    transport.subscribe("listener", ["status"], ONE, listener)
    await transport.start()
    await transport.publish([captured(1), captured(2), hydrated(3), hydrated(4), triggered(5)])
    await eventually(lambda: hydrate.began.is_set() and trigger.began.is_set())
    task = await stopping(transport)
    for worker in (hydrate, trigger):
        worker.go_on.set()
    await task
    assert (hydrate.seen, trigger.seen) == ([1], [3])
    assert sorted(status.seen) == sorted(listener.seen) == [3, 5]
    assert sorted(left(transport)) == [
        ("hydrate", 1),
        ("hydrate", 4),
        ("ingest", 2),
    ]


@pytest.mark.parametrize("after", [0.0, 5.0])
async def test_what_is_given_back_is_left_too(after: float):
    transport = MemoryTransport()
    trigger = Worker(fate=Retry(after))
    transport.subscribe("trigger", ["hydrate"], ONE, trigger)
    await transport.start()
    await transport.publish([hydrated(1)])
    await eventually(trigger.began.is_set)
    task = await stopping(transport)
    trigger.go_on.set()
    await task
    assert left(transport) == [("hydrate", 1)]


async def test_what_gives_back_while_it_is_emptied_is_left_alone():
    """Such as the status stage while the database is away."""
    transport = MemoryTransport()
    status = Worker(fate=Retry(0.0))
    transport.subscribe("status", ["trigger"], ONE, status)
    await transport.start()
    await transport.publish([triggered(n) for n in range(1, 50)])
    await eventually(status.began.is_set)
    task = await stopping(transport)
    status.go_on.set()
    await task
    assert status.seen == [1]
    assert sorted(number for _, number in left(transport)) == list(range(1, 50))


async def test_several_slots_empty_a_mailbox_together():
    transport = MemoryTransport()
    status = Worker()
    transport.subscribe("status", ["trigger"], Policy(batch=3, slots=4), status)
    await transport.start()
    await transport.publish([triggered(n) for n in range(100)])
    status.go_on.set()
    await transport.stop()
    assert sorted(status.seen) == list(range(100))
    assert transport.left == []


async def test_it_can_be_cut_off():
    transport = MemoryTransport()
    trigger = Worker()
    transport.subscribe("trigger", ["hydrate"], ONE, trigger)
    await transport.start()
    await transport.publish([hydrated(1)])
    await eventually(trigger.began.is_set)
    await transport.abort()
    assert trigger.seen == []


async def test_what_nobody_reads_is_settled():
    transport = MemoryTransport()
    assert list(await transport.publish([changed(1)])) == [None]
    await transport.start()
    await transport.stop()
    assert transport.left == []
