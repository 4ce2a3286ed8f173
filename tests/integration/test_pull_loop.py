"""The pull loop under stress, on a real server: nothing lost, nothing delivered twice."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo, StreamConfig
from nats.js.errors import NotFoundError

from tests.builders import a_notification, captured, namespace
from tests.conftest import eventually
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.topology import kinds_of, retries_of, stream_name
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.envelope import Envelope
from xnovu.errors import Retryable
from xnovu.events import Event, Hydrated
from xnovu.policy import Done, Fate, Policy
from xnovu.ports import Delivery
from xnovu_local.nats import EmbeddedNats

KINDS = ("ingest", "hydrate")
POLICY = Policy(batch=50, linger=0.01, slots=2)


class Tally:
    """Counts every delivery, and notes those that were not the first."""

    def __init__(self) -> None:
        self.handled: Counter[str] = Counter()
        self.again: list[str] = []

    async def __call__(self, deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        self.handled.update(delivery.headers["id"] for delivery in deliveries)
        self.again += [one.headers["id"] for one in deliveries if one.attempt > 1]
        await asyncio.sleep(0)
        return [Done()] * len(deliveries)


def hydrated(id: int) -> Envelope[Event]:
    event = Hydrated(notification_id=id, enterprise_id="acme", notification=a_notification(id))
    return Envelope(event)


@pytest.fixture
def options(nats_server: EmbeddedNats) -> NatsOptions:
    return NatsOptions(url=nats_server.url, lease=60.0, **namespace())


@pytest.fixture
def own_server(tmp_path: Path):
    with EmbeddedNats(tmp_path) as server:
        yield server


@asynccontextmanager
async def looking(url: str) -> AsyncIterator[JetStreamContext]:
    """An operator's own connection."""
    client = Client()
    await client.connect(url)
    try:
        yield client.jetstream()
    finally:
        await client.close()


async def consumers(options: NatsOptions) -> list[ConsumerInfo]:
    async with looking(options.url) as jetstream:
        streams = [stream_name(options.prefix, kind) for kind in KINDS]
        return [info for stream in streams for info in await jetstream.consumers_info(stream)]


async def all_settled(options: NatsOptions) -> list[ConsumerInfo]:
    """Every consumer, once they have nothing left; acks take the server a moment."""
    infos = await consumers(options)
    return [] if any(info.num_pending or info.num_ack_pending for info in infos) else infos


async def publish_all(transport: NatsTransport, envelopes: Sequence[Envelope[Event]]) -> None:
    """As a stage would: whatever is not confirmed is published again."""
    left = list(envelopes)

    async def confirmed() -> bool:
        answers = await transport.publish(left)
        left[:] = [one for one, error in zip(left, answers, strict=True) if error]
        return not left

    await eventually(confirmed, within=60)


async def test_many_mailboxes_in_one_process_get_everything_once(options: NatsOptions):
    names = [f"box-{n}" for n in range(6)]
    await provision(options.url, options, dict.fromkeys(names, (KINDS, POLICY)))
    transport, tallies = NatsTransport(options), {name: Tally() for name in names}
    for name, tally in tallies.items():
        transport.subscribe(name, KINDS, POLICY, tally)
    envelopes = [make(n) for n in range(1500) for make in (captured, hydrated)]
    await transport.start()
    for start in range(0, len(envelopes), 300):
        await publish_all(transport, envelopes[start : start + 300])
    expected = {envelope.id for envelope in envelopes}
    await eventually(
        lambda: all(set(tally.handled) == expected for tally in tallies.values()), within=120
    )
    await transport.stop()
    infos = await eventually(lambda: all_settled(options))
    assert {name: tally.again for name, tally in tallies.items()} == {name: [] for name in names}
    assert all(set(tally.handled.values()) == {1} for tally in tallies.values())
    assert len(infos) == 24
    assert {info.num_redelivered for info in infos} == {0}


async def test_stopping_in_full_flight_keeps_nothing(options: NatsOptions):
    """Processes come and go, quicker than any lease; what one gives back, the next one has."""
    await provision(options.url, options, {"box": (KINDS, POLICY)})
    numbers = range(2000)
    tally = Tally()
    async with publishing(options) as publisher:
        await publish_all(publisher, [captured(n) for n in numbers])
    for share in (0.2, 0.4, 0.6, 1.0):
        process = NatsTransport(options)
        process.subscribe("box", KINDS, POLICY, tally)
        await process.start()
        await eventually(lambda share=share: len(tally.handled) >= share * len(numbers))
        await process.stop()
    infos = await eventually(lambda: all_settled(options))
    assert len(infos) == 4
    assert set(tally.handled.values()) == {1}


@asynccontextmanager
async def publishing(options: NatsOptions) -> AsyncIterator[NatsTransport]:
    transport = NatsTransport(options)
    await transport.start()
    try:
        yield transport
    finally:
        await transport.stop()


async def test_a_batch_that_outstays_the_stop_is_given_back(options: NatsOptions):
    await provision(options.url, options, {"box": (KINDS, POLICY)})
    impatient = options.model_copy(update={"stop_timeout": 0.2})
    process, began, tally = NatsTransport(impatient), asyncio.Event(), Tally()

    async def stuck(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        began.set()
        await asyncio.Event().wait()
        return []

    process.subscribe("box", ["ingest"], POLICY, stuck)
    await process.start()
    await publish_all(process, [captured(1)])
    await eventually(began.is_set)
    await process.stop()
    another = NatsTransport(options)
    another.subscribe("box", ["ingest"], POLICY, tally)
    await another.start()
    await eventually(lambda: tally.handled)
    await another.stop()


async def test_a_deleted_consumer_is_declared_again(
    options: NatsOptions, caplog: pytest.LogCaptureFixture
):
    await provision(options.url, options, {"box": (KINDS, POLICY)})
    transport, tally = NatsTransport(options), Tally()
    transport.subscribe("box", ["ingest"], POLICY, tally)
    await transport.start()
    await publish_all(transport, [captured(n) for n in range(500)])
    await eventually(lambda: len(tally.handled) >= 100)
    async with looking(options.url) as jetstream:
        await jetstream.delete_consumer(stream_name(options.prefix, "ingest"), "box")
    await publish_all(transport, [captured(n) for n in range(500, 1000)])
    await eventually(lambda: len(tally.handled) == 1000, within=30)

    async def ready() -> bool:
        return await transport.ready() is None

    await eventually(ready)
    await transport.stop()
    assert caplog.text.count("has been made anew") == 1


async def wipe(options: NatsOptions) -> None:
    """Delete every stream, with its consumers."""
    async with looking(options.url) as jetstream:
        for kind in (*kinds_of([]), retries_of("box")):
            with contextlib.suppress(NotFoundError):
                await jetstream.delete_stream(stream_name(options.prefix, kind))


async def is_ready(transport: NatsTransport) -> bool:
    return await transport.ready() is None


async def test_a_wiped_broker_is_set_up_again_by_whoever_uses_it(
    options: NatsOptions, caplog: pytest.LogCaptureFixture
):
    """As if provisioned anew, and said once."""
    expected = set(await provision(options.url, options, {"box": (KINDS, POLICY)}))
    transport, tally = NatsTransport(options), Tally()
    transport.subscribe("box", KINDS, POLICY, tally)
    await transport.start()
    await publish_all(transport, [captured(1), hydrated(1)])
    await eventually(lambda: len(tally.handled) == 2)
    for n in (2, 3):
        await wipe(options)
        await publish_all(transport, [captured(n), hydrated(n)])
        await eventually(lambda n=n: len(tally.handled) == 2 * n, within=30)
        await eventually(lambda: is_ready(transport), within=30)
        again = set(await provision(options.url, options, {"box": (KINDS, POLICY)}))
        assert again == {line.replace("created", "unchanged") for line in expected}
    await transport.stop()
    stream = stream_name(options.prefix, "ingest")
    assert caplog.messages.count(f"stream {stream} was missing and has been made anew") == 2


async def test_a_broker_that_was_never_set_up_is_by_the_first_process(options: NatsOptions):
    transport, tally = NatsTransport(options), Tally()
    transport.subscribe("box", KINDS, POLICY, tally)
    await transport.start()
    await eventually(lambda: is_ready(transport))
    await publish_all(transport, [captured(1)])
    await eventually(lambda: tally.handled)
    await transport.stop()


async def test_a_stream_that_only_publishers_know_is_made_anew(options: NatsOptions):
    await provision(options.url, options, {})
    async with publishing(options) as publisher:
        await wipe(options)
        [answer] = await publisher.publish([captured(1)])
        assert isinstance(answer, Retryable)
        assert str(answer) == f"stream {stream_name(options.prefix, 'ingest')} was missing"
        assert await publisher.publish([captured(1)]) == [None]
        missing = f"stream {stream_name(options.prefix, 'hydrate')} is missing"
        assert await publisher.ready() == missing


async def test_what_is_there_stays_as_it_is(options: NatsOptions):
    """However old it is: only provisioning changes it."""
    await provision(options.url, options, {"box": (KINDS, POLICY)})
    newer = options.model_copy(update={"retention_days": 14.0, "lease": 90.0})
    transport, tally = NatsTransport(newer), Tally()
    transport.subscribe("box", KINDS, POLICY, tally)
    await transport.start()
    async with looking(options.url) as jetstream:
        await jetstream.delete_consumer(stream_name(options.prefix, "hydrate"), "box")
    await publish_all(transport, [captured(1), hydrated(1)])
    await eventually(lambda: len(tally.handled) == 2, within=30)
    await transport.stop()
    ours = [info for info in await consumers(options) if info.name == "box"]
    kept, made = sorted(ours, key=lambda info: info.config.ack_wait or 0)
    assert (kept.config.ack_wait, made.config.ack_wait) == (60, 90)
    async with looking(options.url) as jetstream:
        stream = await jetstream.stream_info(stream_name(options.prefix, "ingest"))
    assert stream.config.max_age == 7 * 86400


async def test_a_stream_that_may_not_be_made_says_what_to_do(
    own_server: EmbeddedNats, caplog: pytest.LogCaptureFixture
):
    """The wildcard takes the subjects away that it would need."""
    options = NatsOptions(url=own_server.url, **namespace())
    async with looking(options.url) as jetstream:
        await jetstream.add_stream(StreamConfig(name="ALL", subjects=[f"{options.prefix}.>"]))
    transport = NatsTransport(options)
    transport.subscribe("box", ["ingest"], POLICY, Tally())
    await transport.start()
    await eventually(lambda: "cannot be made anew" in caplog.text)
    await transport.stop()
    assert "subjects overlap" in caplog.text
    assert "run `xnovu provision`" in caplog.text


async def test_a_server_killed_in_full_flight_loses_nothing(own_server: EmbeddedNats):
    options = NatsOptions(url=own_server.url, lease=1.0, publish_timeout=1.0, **namespace())
    await provision(options.url, options, {"box": (KINDS, POLICY)})
    transport, tally = NatsTransport(options), Tally()
    transport.subscribe("box", KINDS, POLICY, tally)
    await transport.start()
    envelopes = [make(n) for n in range(1000) for make in (captured, hydrated)]
    publisher = asyncio.create_task(publish_all(transport, envelopes))
    for share in (0.2, 0.6):
        await eventually(lambda share=share: len(tally.handled) >= share * len(envelopes))
        own_server.kill()
        own_server.start()
    await publisher
    await eventually(lambda: len(tally.handled) == len(envelopes), within=60)

    async def none_waiting() -> bool:
        return (await transport.backlog(["box"])).unsettled == 0

    await eventually(none_waiting, within=30)
    await transport.stop()


async def test_a_process_starts_before_its_server(own_server: EmbeddedNats):
    options = NatsOptions(url=own_server.url, **namespace())
    await provision(options.url, options, {})
    own_server.kill()
    transport, tally = NatsTransport(options), Tally()
    transport.subscribe("box", ["ingest"], POLICY, tally)
    starting = asyncio.create_task(transport.start())

    async def says_so() -> bool:
        return "not connected" in (await transport.ready() or "")

    await eventually(says_so)
    [answer] = await transport.publish([captured(1)])
    assert answer
    assert answer.code == "broker_unavailable"
    own_server.start()
    await starting
    await publish_all(transport, [captured(1)])
    await eventually(lambda: tally.handled)
    await transport.stop()


async def test_a_process_that_never_found_its_server_stops(own_server: EmbeddedNats):
    url = own_server.url
    own_server.kill()
    transport = NatsTransport(NatsOptions(url=url))
    starting = asyncio.create_task(transport.start())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await transport.stop()
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)


async def test_a_process_stops_while_its_server_is_away(own_server: EmbeddedNats):
    options = NatsOptions(url=own_server.url, **namespace())
    await provision(options.url, options, {})
    transport = NatsTransport(options)
    transport.subscribe("box", ["ingest"], POLICY, Tally())
    await transport.start()
    own_server.kill()

    async def noticed() -> bool:
        return await transport.ready() is not None

    await eventually(noticed)
    async with asyncio.timeout(20):
        await transport.stop()
    own_server.start()


async def test_a_connection_the_server_ends_for_good_is_made_anew(options: NatsOptions):
    """After some errors the client library closes and never reconnects."""
    await provision(options.url, options, {})
    transport, tally = NatsTransport(options), Tally()
    transport.subscribe("box", ["ingest"], POLICY, tally)
    await transport.start()
    await publish_all(transport, [captured(1)])
    await eventually(lambda: len(tally.handled) == 1)
    client = transport.broker.client
    assert client
    await client._process_err("'Maximum Connections Exceeded'")
    await eventually(lambda: client.is_closed)
    await publish_all(transport, [captured(2)])
    await eventually(lambda: len(tally.handled) == 2)
    await transport.stop()
