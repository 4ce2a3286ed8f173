"""Provisioning: repeatable, says what it does, and loses nothing."""

from pathlib import Path

import pytest
from faststream.nats import JStream, NatsBroker
from nats.aio.client import Client, ServerVersion
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy, RetentionPolicy, StreamConfig

from tests.builders import captured, namespace
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.topology import every_subject, retries_of, stream_name
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.errors import ConfigurationError, Paused
from xnovu.events import KINDS
from xnovu.policy import Policy, Rule
from xnovu_local.nats import EmbeddedNats

POLICY = Policy(batch=50, slots=2, attempts=8)
MAILBOXES = {"hydrate": (["ingest"], POLICY), "status": (["trigger", "dead"], POLICY)}


@pytest.fixture
def options(nats_server: EmbeddedNats) -> NatsOptions:
    return NatsOptions(url=nats_server.url, **namespace())


async def publish(options: NatsOptions, count: int) -> None:
    transport = NatsTransport(options)
    await transport.start()
    assert not any(await transport.publish([captured(n) for n in range(count)]))
    await transport.stop()


async def test_everything_is_created_once(options: NatsOptions, jetstream: JetStreamContext):
    first = await provision(options.url, options, MAILBOXES)
    second = await provision(options.url, options, MAILBOXES)
    assert first[:1] == [f"created stream {stream_name(options.prefix, 'ingest')}"]
    assert all(line.startswith("created ") for line in first)
    assert second == [line.replace("created", "unchanged") for line in first]
    assert len(first) == len(KINDS) + 1 + 2 + 3 + 2 + 2 * (3 + 2)
    ingest = (await jetstream.stream_info(stream_name(options.prefix, "ingest"))).config
    assert ingest.subjects == [every_subject(options.prefix, "ingest")]
    assert ingest.retention == RetentionPolicy.LIMITS
    assert (ingest.max_age, ingest.duplicate_window) == (7 * 86400, 120)


async def test_a_consumer_allows_for_crashes_and_for_every_rule(
    options: NatsOptions, jetstream: JetStreamContext
):
    policy = Policy(attempts=3, rules={"slow": Rule(attempts=10)})
    await provision(options.url, options, {"hydrate": (["ingest"], policy)})
    name = stream_name(options.prefix, "ingest")
    config = (await jetstream.consumer_info(name, "hydrate")).config
    assert config.max_deliver == 14
    copies = stream_name(options.prefix, retries_of("hydrate"))
    assert (await jetstream.consumer_info(copies, "hydrate+alone")).config.max_deliver == 3
    assert config.ack_wait == options.lease
    assert not config.backoff


async def test_drift_is_applied_and_told(options: NatsOptions, jetstream: JetStreamContext):
    await provision(options.url, options, MAILBOXES)
    await publish(options, 3)
    wider = options.model_copy(update={"retention_days": 14, "lease": 60, "max_bytes": 1_000_000})
    longer = options.model_copy(update={"retention_days": 14, "lease": 60})
    name = stream_name(options.prefix, "ingest")
    told = await provision(options.url, longer, MAILBOXES)
    assert f"updated stream {name}: max_age 604800 → 1209600" in told
    assert f"updated consumer hydrate of stream {name}: ack_wait 10 → 60" in told
    info = await jetstream.stream_info(name)
    assert (info.config.max_age, info.state.messages) == (14 * 86400, 3)
    assert (await jetstream.consumer_info(name, "hydrate")).config.ack_wait == 60
    for _ in range(2):
        await jetstream.publish(f"{options.prefix}.ingest.large", b"x" * 600_000)
    with pytest.raises(ConfigurationError, match="5 of its messages are not settled"):
        await provision(options.url, wider, MAILBOXES)


async def test_what_a_subscriber_has_made_of_a_stream_is_mended_while_consumers_lag(
    options: NatsOptions, jetstream: JetStreamContext
):
    """A plain FastStream subscriber rewrites the stream that it names, and its retention."""
    await provision(options.url, options, MAILBOXES)
    await publish(options, 3)
    name, narrow = stream_name(options.prefix, "ingest"), f"{options.prefix}.ingest.*"
    broker = NatsBroker(options.url)
    broker.subscriber(narrow, stream=name, durable="mine", pull_sub=True)(nothing)
    await broker.start()
    await broker.stop()
    assert not (await jetstream.stream_info(name)).config.max_age
    told = await provision(options.url, options, MAILBOXES)
    assert any(line.startswith(f"updated stream {name}") for line in told)
    config = (await jetstream.stream_info(name)).config
    assert config.max_age == 7 * 86400
    assert config.subjects == [every_subject(options.prefix, "ingest")]


async def test_the_subscriber_of_the_docs_leaves_the_stream_as_it_is(
    options: NatsOptions, jetstream: JetStreamContext
):
    text = (Path(__file__).parents[2] / "docs/pipeline.md").read_text()
    assert 'JStream("XNOVU_STATUS", declare=False)' in text
    await provision(options.url, options, MAILBOXES)
    name = stream_name(options.prefix, "status")
    before = (await jetstream.stream_info(name)).config
    broker = NatsBroker(options.url)
    subject = every_subject(options.prefix, "status")
    stream = JStream(name, declare=False)
    broker.subscriber(subject, stream=stream, durable="mine", pull_sub=True)(nothing)
    await broker.start()
    await broker.stop()
    assert (await jetstream.stream_info(name)).config == before
    assert (await jetstream.consumer_info(name, "mine")).name == "mine"


async def nothing(event: dict[str, str]) -> None:
    """A subscriber of somebody's own."""


async def test_a_stream_is_cut_once_all_is_settled(options: NatsOptions):
    await provision(options.url, options, MAILBOXES)
    shorter = options.model_copy(update={"retention_days": 1})
    told = await provision(options.url, shorter, MAILBOXES)
    name = stream_name(options.prefix, "ingest")
    assert f"updated stream {name}: max_age 604800 → 86400" in told


async def test_another_retention_is_refused(options: NatsOptions, jetstream: JetStreamContext):
    name, subject = stream_name(options.prefix, "ingest"), every_subject(options.prefix, "ingest")
    foreign = StreamConfig(name=name, subjects=[subject], retention=RetentionPolicy.WORK_QUEUE)
    await jetstream.add_stream(foreign)
    with pytest.raises(ConfigurationError, match="made otherwise"):
        await provision(options.url, options, MAILBOXES)
    kept = (await jetstream.stream_info(name)).config
    assert kept.retention == RetentionPolicy.WORK_QUEUE


async def test_giving_up_subjects_is_refused(options: NatsOptions, jetstream: JetStreamContext):
    name, more = stream_name(options.prefix, "ingest"), f"{options.prefix}.more.>"
    subjects = [every_subject(options.prefix, "ingest"), more]
    await jetstream.add_stream(StreamConfig(name=name, subjects=subjects))
    with pytest.raises(ConfigurationError, match="also takes"):
        await provision(options.url, options, MAILBOXES)


async def test_another_starting_point_is_refused(options: NatsOptions, jetstream: JetStreamContext):
    await provision(options.url, options, {})
    late = ConsumerConfig(durable_name="hydrate", deliver_policy=DeliverPolicy.NEW)
    await jetstream.add_consumer(stream_name(options.prefix, "ingest"), late)
    with pytest.raises(ConfigurationError, match="deliver_policy"):
        await provision(options.url, options, MAILBOXES)


async def test_what_the_server_refuses_is_said(options: NatsOptions):
    many = options.model_copy(update={"replicas": 3})
    with pytest.raises(ConfigurationError, match=r"NATS at nats://.* refuses: replicas"):
        await provision(options.url, many, {})


async def test_a_server_that_knows_no_later_is_refused(
    options: NatsOptions, monkeypatch: pytest.MonkeyPatch
):
    old = property(lambda self: ServerVersion("2.11.9"))
    monkeypatch.setattr(Client, "connected_server_version", old)
    with pytest.raises(ConfigurationError, match=r"needs nats-server 2\.12, and this is 2\.11"):
        await provision(options.url, options, {})
    transport = NatsTransport(options)
    with pytest.raises(ConfigurationError, match="needs nats-server"):
        await transport.start()
    await transport.stop()


async def test_an_absent_server_is_named_without_the_password(options: NatsOptions):
    with pytest.raises(Paused, match=r"nats://127\.0\.0\.1:1\b") as caught:
        await provision("nats://someone:hush@127.0.0.1:1", options, {})
    assert "hush" not in str(caught.value)


async def test_a_mailbox_has_a_name_that_can_be_a_consumer(options: NatsOptions):
    with pytest.raises(ConfigurationError, match="mailbox name"):
        await provision(options.url, options, {"a.b": (["ingest"], POLICY)})


async def test_streams_of_an_earlier_server_take_batches_once_provisioned_anew(
    options: NatsOptions, jetstream: JetStreamContext, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as earlier:
        earlier.setattr("xnovu.adapters.nats.connection.BATCHES_SINCE", (99, 0))
        await provision(options.url, options, MAILBOXES)
    told = await provision(options.url, options, MAILBOXES)
    name = stream_name(options.prefix, "ingest")
    assert f"updated stream {name}: allow_batched None → True" in told
    assert (await jetstream.stream_info(name)).config.allow_batched
    copies = await jetstream.stream_info(stream_name(options.prefix, retries_of("hydrate")))
    assert not copies.config.allow_batched, "copies go one by one"
