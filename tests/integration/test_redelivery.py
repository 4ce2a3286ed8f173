"""Messages whose worker vanished: with whom they are handled next."""

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from nats.aio.client import Client

from tests.builders import captured, namespace
from tests.conftest import eventually
from tests.integration.test_pull_loop import publish_all, publishing
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.topology import stream_name
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.envelope import decode
from xnovu.policy import Done, Fate, Policy
from xnovu.ports import Delivery
from xnovu_local.nats import EmbeddedNats

POLICY = Policy(batch=50, linger=0.01, slots=1)
LEASE = 1.0


class Groups:
    """Remembers who came with whom: a list of (number, attempt) for each call."""

    def __init__(self) -> None:
        self.seen: list[list[tuple[int, int]]] = []

    async def __call__(self, deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        self.seen.append([(number(one), one.attempt) for one in deliveries])
        await asyncio.sleep(0)
        return [Done()] * len(deliveries)

    @property
    def flat(self) -> list[tuple[int, int]]:
        return [one for group in self.seen for one in group]


def number(delivery: Delivery) -> int:
    return decode(delivery.headers, delivery.body).event.notification_id


@pytest.fixture
def options(nats_server: EmbeddedNats) -> NatsOptions:
    return NatsOptions(url=nats_server.url, lease=LEASE, **namespace())


async def vanish(options: NatsOptions, count: int, times: int) -> None:
    """So many workers take these messages and are never seen again; their leases are over."""
    client = Client()
    await client.connect(options.url)
    jetstream, stream = client.jetstream(), stream_name(options.prefix, "ingest")
    taken = await jetstream.pull_subscribe_bind("box", stream)
    for nth in range(1, times + 1):
        messages = list[object]()
        while len(messages) < count:
            fetched = await taken.fetch(count - len(messages), timeout=10)
            messages += [one for one in fetched if one.metadata.num_delivered == nth]
    await client.close()


@asynccontextmanager
async def working(options: NatsOptions, handler: Groups):
    transport = NatsTransport(options)
    transport.subscribe("box", ["ingest"], POLICY, handler)
    await transport.start()
    try:
        yield transport
    finally:
        await transport.stop()


async def prepared(options: NatsOptions, count: int) -> None:
    await provision(options.url, options, {"box": (["ingest"], POLICY)})
    async with publishing(options) as publisher:
        await publish_all(publisher, [captured(n) for n in range(count)])


async def settled(transport: NatsTransport) -> None:
    async def none_waiting() -> bool:
        return (await transport.backlog(["box"])).unsettled == 0

    await eventually(none_waiting)


async def test_those_whose_worker_vanished_go_in_growing_company(options: NatsOptions):
    await prepared(options, 40)
    await vanish(options, 40, times=1)
    handler = Groups()
    async with working(options, handler) as transport:
        await eventually(lambda: len(handler.flat) >= 40)
        await settled(transport)
    assert sorted(handler.flat) == [(n, 2) for n in range(40)]
    assert handler.flat != sorted(handler.flat), "it is to be chance who is first"
    assert len(handler.seen[0]) == 1
    assert all(len(then) <= 2 * len(before) for before, then in pairwise(handler.seen))


async def test_who_comes_for_the_first_time_is_not_handled_with_them(options: NatsOptions):
    await prepared(options, 20)
    await vanish(options, 10, times=1)
    handler = Groups()
    async with working(options, handler) as transport:
        await eventually(lambda: len(handler.flat) >= 20)
        await settled(transport)
    assert sorted(handler.flat) == [(n, 1 + (n < 10)) for n in range(20)]
    assert all(len({attempt for _, attempt in group}) == 1 for group in handler.seen)


async def test_who_was_in_hand_twice_is_handled_alone_and_all_attempts_count(options: NatsOptions):
    await prepared(options, 10)
    await vanish(options, 10, times=2)
    handler = Groups()
    async with working(options, handler) as transport:
        await eventually(lambda: len(handler.flat) >= 10)
        await settled(transport)
    assert sorted(n for n, attempt in handler.flat if attempt >= 3) == list(range(10))
    assert {len(group) for group in handler.seen} == {1}


async def test_one_that_is_alone_is_the_only_one_in_its_process(options: NatsOptions):
    """Of whatever mailbox: it may be the one that kills the process."""
    await prepared(options, 4)
    await provision(options.url, options, {"another": (["ingest"], POLICY)})
    await vanish(options, 4, times=2)
    at_once, most, seen = 0, 0, 0

    async def watched(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        nonlocal at_once, most, seen
        if deliveries[0].attempt < 3:
            raise RuntimeError("not yet")
        at_once, seen = at_once + 1, seen + 1
        most = max(most, at_once)
        await asyncio.sleep(0.05)
        at_once -= 1
        return [Done()] * len(deliveries)

    transport = NatsTransport(options)
    transport.subscribe("box", ["ingest"], POLICY, watched)
    transport.subscribe("another", ["ingest"], POLICY, watched)
    await transport.start()
    await eventually(lambda: seen == 8, within=30)
    await transport.stop()
    assert most == 1


async def test_what_was_not_begun_at_stop_costs_no_attempt(options: NatsOptions):
    await prepared(options, 30)
    await vanish(options, 30, times=1)
    began, finish, first, second = asyncio.Event(), asyncio.Event(), Groups(), Groups()

    async def slow(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        began.set()
        await finish.wait()
        return await first(deliveries)

    transport = NatsTransport(options)
    transport.subscribe("box", ["ingest"], POLICY, slow)
    await transport.start()
    await eventually(began.is_set)
    stopping = asyncio.create_task(transport.stop())
    await asyncio.sleep(0)
    finish.set()
    await stopping
    async with working(options, second) as transport:
        await eventually(lambda: len(first.flat) + len(second.flat) >= 30)
        await settled(transport)
    assert sorted(first.flat + second.flat) == [(n, 2) for n in range(30)]
