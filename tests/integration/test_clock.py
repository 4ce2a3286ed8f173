"""A worker's clock is wrong by minutes, and nothing comes earlier or later for it."""

import sys
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from types import ModuleType

import pytest

from tests.builders import captured, namespace
from tests.conftest import eventually
from tests.integration.test_pull_loop import looking, publish_all
from xnovu.adapters.nats import NatsOptions, NatsTransport, provision
from xnovu.adapters.nats.clock import ServerClock
from xnovu.adapters.nats.topology import LATER, stream_name
from xnovu.errors import Paused
from xnovu.local.nats import EmbeddedNats
from xnovu.policy import Done, Fate, Policy, Retry
from xnovu.ports import Delivery

POLICY = Policy(linger=0.01, slots=1)
WRONG = [timedelta(minutes=10), timedelta(minutes=-10), timedelta(0)]


def ours() -> list[ModuleType]:
    named = [(name, each) for name, each in sys.modules.items() if each]
    return [each for name, each in named if name.partition(".")[0] in ("xnovu", "pipelines")]


@pytest.fixture(params=WRONG, ids=str)
def wrong(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> timedelta:
    """By so much is this process's clock ahead, wherever XNovu asks for the time."""

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Wrong":
            return cls.fromtimestamp((datetime.now(tz) + request.param).timestamp(), tz)

    for module in ours():
        if getattr(module, "datetime", None) is datetime:
            monkeypatch.setattr(module, "datetime", Wrong)
    return request.param


@pytest.fixture
def options(nats_server: EmbeddedNats) -> NatsOptions:
    return NatsOptions(url=nats_server.url, **namespace())


async def test_a_retry_comes_when_it_was_asked_for(options: NatsOptions, wrong: timedelta):
    arrived: list[int] = []

    async def once_more(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        arrived.extend(delivery.attempt for delivery in deliveries)
        return [Retry(1.0) if delivery.attempt == 1 else Done() for delivery in deliveries]

    await provision(options.url, options, {"box": (["ingest"], POLICY)})
    transport = NatsTransport(options)
    transport.subscribe("box", ["ingest"], POLICY, once_more)
    await transport.start()
    await publish_all(transport, [captured(1)])
    await eventually(lambda: arrived == [1, 2])
    async with looking(options.url) as jetstream:
        stream = stream_name(options.prefix, LATER)
        info = await jetstream.stream_info(stream)
        first, last = info.state.first_seq, info.state.last_seq
        kept = [await jetstream.get_msg(stream, number) for number in range(first, last + 1)]
        original = await jetstream.get_msg(stream_name(options.prefix, "ingest"), 1)
    await transport.stop()
    [due] = [each for each in kept if ".due." in (each.subject or "")]
    assert due.time and original.time
    assert timedelta(seconds=1) <= due.time - original.time < timedelta(minutes=2)


async def test_a_pause_lasts_as_long_as_was_said(options: NatsOptions, wrong: timedelta):
    async def done(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        return [Done()] * len(deliveries)

    await provision(options.url, options, {"box": (["ingest"], POLICY)})
    transport = NatsTransport(options)
    transport.subscribe("box", ["ingest"], POLICY, done)
    await transport.start()
    await transport.pause("box", 300.0, "a test")
    async with looking(options.url) as jetstream:
        info = await jetstream.consumer_info(stream_name(options.prefix, "ingest"), "box")
    await transport.stop()
    assert info.paused
    assert 200 < int(info.pause_remaining or 0) / 1e9 <= 300


async def test_it_is_the_servers_time(options: NatsOptions, wrong: timedelta):
    await provision(options.url, options, {})
    transport = NatsTransport(options)
    clock = ServerClock(transport.broker, options)
    with pytest.raises(Paused):
        await clock.now()
    await transport.start()
    before = datetime.now().astimezone()
    told = await clock.now()
    assert abs(told - before) < timedelta(minutes=2)
    await transport.stop()
    assert await clock.now() > told  # it goes on while nobody can be asked, for a while
