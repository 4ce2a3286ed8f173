"""Messages that were delivered as often as they may be, and what is told of them."""

import json
from collections.abc import Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from nats.js.api import ConsumerConfig

from tests.builders import captured, namespace
from tests.conftest import eventually
from tests.integration.pipeline import stages, world
from tests.integration.test_pull_loop import looking, publish_all, publishing
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.topology import ADVISORIES, ADVISORY, every_subject, stream_name
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.envelope import dead_letter, decode
from xnovu.events import Failure, Rejected
from xnovu.policy import Done, Fate, Policy
from xnovu.ports import Delivery
from xnovu_local.nats import EmbeddedNats

POLICY = Policy(slots=1, attempts=1)
DELIVERIES = 5
LEASE = 0.3


@pytest.fixture
async def options(nats_server: EmbeddedNats) -> NatsOptions:
    options = NatsOptions(url=nats_server.url, lease=LEASE, **namespace())
    await provision(options.url, options, {"hydrate": (["ingest"], POLICY)})
    async with publishing(options) as publisher:
        await publish_all(publisher, [captured(1, trace="00-trace-span-01")])
    return options


async def wear_out(options: NatsOptions, consumer: str = "hydrate") -> None:
    """Take the only message as often as it may be taken, and never settle it."""
    async with looking(options.url) as jetstream:
        stream = stream_name(options.prefix, "ingest")
        taken = await jetstream.pull_subscribe_bind(consumer, stream)
        for _ in range(DELIVERIES):
            await taken.fetch(1, timeout=10)
        advisories = stream_name(options.prefix, ADVISORY)
        puller = await jetstream.pull_subscribe_bind(consumer, stream)

        async def told() -> bool:
            with pytest.raises(TimeoutError):  # somebody who asks makes it look at the time
                await puller.fetch(1, timeout=0.1)
            return bool((await jetstream.stream_info(advisories)).state.messages)

        await eventually(told)


async def settle_all(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
    return [Done()] * len(deliveries)


@asynccontextmanager
async def the_stage_again(options: NatsOptions):
    """A process of the stage whose workers vanished; here come the letters it writes."""
    letters: list[Rejected] = []

    async def read(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        letters.extend(decode(one.headers, one.body).event for one in deliveries)
        return [Done()] * len(deliveries)

    transport = NatsTransport(options)
    transport.subscribe("status", ["dead"], POLICY, read)
    transport.subscribe("hydrate", ["ingest"], POLICY, settle_all)
    await transport.start()
    try:
        yield letters
    finally:
        await transport.stop()


async def all_dealt_with(options: NatsOptions) -> bool:
    async with looking(options.url) as jetstream:
        info = await jetstream.consumer_info(stream_name(options.prefix, ADVISORY), "hydrate")
        return bool(info.delivered.consumer_seq and not (info.num_pending or info.num_ack_pending))


async def test_a_process_of_the_stage_tells_of_it(options: NatsOptions):
    await wear_out(options)
    async with the_stage_again(options) as letters:
        await eventually(lambda: letters)
    [letter] = letters
    assert letter.key == captured(1).event.key
    assert (letter.failure.code, letter.failure.stage) == ("crashed", "hydrate")
    assert letter.failure.attempts == DELIVERIES
    assert letter.original == captured(1).encode()[1].decode()


async def test_several_and_the_stage_itself_write_one_letter(options: NatsOptions):
    headers, body = captured(1).encode()
    said = Failure(code="x", stage="hydrate", message="m", attempts=1, at=datetime.now(UTC))
    async with publishing(options) as publisher:
        await publish_all(publisher, [dead_letter(headers, body, said)])
    await wear_out(options)
    async with the_stage_again(options) as letters, the_stage_again(options):
        await eventually(lambda: all_dealt_with(options))
        await eventually(lambda: letters)
    async with looking(options.url) as jetstream:
        dead = await jetstream.stream_info(stream_name(options.prefix, "dead"))
    assert dead.state.messages == 1


async def test_a_message_that_is_gone_is_told_of_in_the_log(
    options: NatsOptions, caplog: pytest.LogCaptureFixture
):
    await wear_out(options)
    async with looking(options.url) as jetstream:
        await jetstream.purge_stream(stream_name(options.prefix, "ingest"))
    async with the_stage_again(options) as letters:
        await eventually(lambda: all_dealt_with(options))
    assert letters == []
    assert "and is gone" in caplog.text


async def test_what_others_consumers_give_up_is_theirs(options: NatsOptions):
    stream = stream_name(options.prefix, "ingest")
    theirs = ConsumerConfig(
        durable_name="theirs",
        filter_subject=every_subject(options.prefix, "ingest"),
        ack_wait=LEASE,
        max_deliver=DELIVERIES,
    )
    async with looking(options.url) as jetstream:
        await jetstream.add_consumer(stream, theirs)
    await wear_out(options, "theirs")
    await wear_out(options)
    async with the_stage_again(options) as letters:
        await eventually(lambda: all_dealt_with(options))
        await eventually(lambda: letters)
    assert [letter.failure.stage for letter in letters] == ["hydrate"]


async def test_an_advisory_that_cannot_be_read_is_passed_over(options: NatsOptions):
    stream = stream_name(options.prefix, "ingest")
    async with looking(options.url) as jetstream:
        await jetstream.publish(f"{ADVISORIES}.{stream}.hydrate", b"{")
    async with the_stage_again(options) as letters:
        await eventually(lambda: all_dealt_with(options))
    assert letters == []


async def test_its_row_ends_failed(migrated, nats_server, monkeypatch):
    """Once a process of the stage is back."""
    async with world(migrated, nats_server, monkeypatch) as here:
        here.register()
        notification = here.insert()
        async with stages(here, "ingest"):
            await eventually(lambda: here.row(notification)["notification_status"] == "PROCESSING")
        stream = stream_name(here.settings.transport.prefix, "ingest")
        said = {"stream": stream, "consumer": "hydrate", "stream_seq": 1, "deliveries": 12}
        async with looking(here.nats_url) as jetstream:
            subject = f"{ADVISORIES}.{stream}.hydrate"
            await jetstream.publish(subject, json.dumps(said).encode())
        async with stages(here, "hydrate", "status"):
            row = await here.ended(notification)
        details = row["error_details"]
        assert (row["notification_status"], details["code"]) == ("FAILED", "crashed")
        assert (details["stage"], details["attempts"]) == ("hydrate", 12)
