"""A worker's clock is wrong by minutes, and nothing comes earlier or later for it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from tests.builders import captured, namespace
from tests.clocks import wrong
from tests.conftest import eventually
from tests.integration.test_pull_loop import looking, publish_all
from xnovu.adapters.nats.clock import ServerClock
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.topology import retries_of, stream_name
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.cli.operate.moments import database_time, moment, transport_time
from xnovu.compose.secrets import DATABASE_URL, NATS_URL
from xnovu.errors import Paused
from xnovu.policy import Done, Fate, Policy, Retry
from xnovu.ports import Delivery
from xnovu_local.nats import EmbeddedNats

__all__ = ["wrong"]

POLICY = Policy(linger=0.01, slots=1)


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
        stream = stream_name(options.prefix, retries_of("box"))
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


def is_two_hours_ago(at: datetime | None) -> bool:
    """As the servers' clock has it, which this test's own is."""
    assert at
    return abs(at - (datetime.now(UTC) - timedelta(hours=2))) < timedelta(minutes=1)


@pytest.mark.usefixtures("wrong")
def test_how_long_ago_a_row_failed_is_by_the_clock_of_the_database(
    migrated: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(DATABASE_URL, migrated)
    assert is_two_hours_ago(moment("2h", "--since", database_time))


@pytest.mark.usefixtures("wrong")
async def test_how_long_ago_a_letter_came_is_by_the_clock_of_the_broker(
    options: NatsOptions, monkeypatch: pytest.MonkeyPatch
):
    await provision(options.url, options, {"box": (["ingest"], POLICY)})
    monkeypatch.setenv(NATS_URL, options.url)
    monkeypatch.setenv("XNOVU_TRANSPORT__PREFIX", options.prefix)
    assert is_two_hours_ago(await asyncio.to_thread(moment, "2h", "--since", transport_time))
