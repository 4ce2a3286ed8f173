"""Replays into a consumer's own mailbox, and consumers that are taken away."""

import gc
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from tests.builders import captured, namespace
from tests.conftest import eventually
from tests.integration.test_provision import publish
from xnovu.adapters.nats.archive import StreamArchive
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.removal import StreamMailboxes
from xnovu.adapters.nats.replay import StreamRecipient
from xnovu.adapters.nats.topology import retries_of, stream_name
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.adapters.nats.visit import Visitor, visiting
from xnovu.archive import Replay, Selection, Target
from xnovu.cli.operate.replay import Wanted, _target
from xnovu.compose.pipeline import Pipeline
from xnovu.envelope import Envelope
from xnovu.errors import ConfigurationError
from xnovu.policy import Done, Fate, Policy
from xnovu.ports import Delivery, Start
from xnovu_local.nats import EmbeddedNats

POLICY = Policy(linger=0.01, slots=1)
ALL = Selection(kind="ingest")


@pytest.fixture
def options(nats_server: EmbeddedNats) -> NatsOptions:
    return NatsOptions(url=nats_server.url, **namespace())


def replay_to(client: Visitor, options: NatsOptions, target: Target) -> Replay:
    recipient = StreamRecipient(client, options, target)
    return Replay(StreamArchive(client, options), recipient, target.room, 0.0)


async def run(replay: Replay) -> int:
    return await replay.run(ALL, lambda _: None)


async def lister(options: NatsOptions, start: Start = "all") -> tuple[NatsTransport, list[str]]:
    """A consumer of somebody's own at work, and the ids of what it got."""
    got: list[str] = []

    async def handler(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        got.extend(delivery.headers["id"] for delivery in deliveries)
        return [Done()] * len(deliveries)

    transport = NatsTransport(options)
    transport.subscribe("lister", ["ingest"], POLICY, handler, start)
    await transport.start()
    return transport, got


async def test_a_replay_reaches_one_consumer_and_nobody_else(options: NatsOptions):
    await provision(options.url, options, {"hydrate": (["ingest"], POLICY)})
    await publish(options, 3)
    transport, got = await lister(options)
    await eventually(lambda: len(got) == 3)
    async with visiting(options.url) as client:
        boxes = StreamMailboxes(client, options)
        target = await _target(
            boxes, options.prefix, Pipeline(), Wanted(kind="ingest", to="lister")
        )
        assert str(target) == "consumer lister"
        assert await run(replay_to(client, options, target)) == 3
        with pytest.raises(
            ConfigurationError, match=r"did you mean lister.*read by hydrate, lister"
        ):
            await _target(boxes, options.prefix, Pipeline(), Wanted(kind="ingest", to="listr"))
        with pytest.raises(ConfigurationError, match="--to CONSUMER"):
            await _target(boxes, options.prefix, Pipeline(), Wanted(kind="status"))
        with pytest.raises(ConfigurationError, match="it is read by status"):
            await _target(boxes, options.prefix, Pipeline(), Wanted(kind="trigger", to="lister"))
        await eventually(lambda: sorted(got) == sorted(2 * got[:3]))
        hydrate = await client.jetstream().consumer_info(
            stream_name(options.prefix, "ingest"), "hydrate"
        )
        assert hydrate.num_pending == 3, "once, as before"
    await transport.stop()


async def test_what_went_before_others_is_replayed_as_well(options: NatsOptions):
    await provision(options.url, options, {})
    transport, got = await lister(options)
    event = captured(1).event
    assert not any(await transport.publish([Envelope(event, express=True)]))
    await eventually(lambda: got)
    async with visiting(options.url) as client:
        assert await run(replay_to(client, options, Target(stage="lister"))) == 1
        await eventually(lambda: len(got) == 2)
    await transport.stop()
    assert got == 2 * got[:1]


async def test_a_replay_to_where_nobody_listens_is_refused(options: NatsOptions):
    await provision(options.url, options, {})
    await publish(options, 3)
    async with visiting(options.url) as client:
        with pytest.raises(ConfigurationError, match=r"nobody listens at mine\.own"):
            await run(replay_to(client, options, Target(subject="mine.own")))
        got: list[bytes] = []

        async def hear(message: object) -> None:
            got.append(b"")

        other = Client()
        await other.connect(options.url)
        await other.subscribe("mine.own", cb=hear)
        await other.flush()
        assert await run(replay_to(client, options, Target(subject="mine.own"))) == 3
        await eventually(lambda: len(got) == 3)
        await other.close()


@pytest.mark.parametrize(
    ("start", "first"),
    [("all", 3), ("now", 0), (datetime.now(UTC) - timedelta(hours=1), 3)],
    ids=["all", "now", "an hour ago"],
)
async def test_a_new_consumer_begins_where_it_is_told(
    options: NatsOptions, start: Start, first: int
):
    await provision(options.url, options, {})
    await publish(options, 3)
    transport, got = await lister(options, start)
    assert await transport.publish([captured(100)]) == [None]
    await eventually(lambda: len(got) == first + 1)
    await transport.stop()


async def test_a_consumer_that_is_gone_is_removed_with_its_copies(options: NatsOptions):
    await provision(options.url, options, {"hydrate": (["ingest"], POLICY)})
    await publish(options, 3)
    transport, got = await lister(options)
    await eventually(lambda: len(got) == 3)
    async with visiting(options.url) as client:
        boxes = StreamMailboxes(client, options)

        async def runs() -> bool:
            return {it.name: it.running for it in await boxes.all()}["lister"]

        await eventually(runs)
        with pytest.raises(ConfigurationError, match="stop it first"):
            await boxes.left_by("lister")
        await transport.stop()
        await eventually(lambda: _not(runs))
        assert await run(replay_to(client, options, Target(stage="lister"))) == 3
        assert await boxes.left_by("lister") == 3
        await boxes.remove("lister")
        assert [(it.name, it.kinds) for it in await boxes.all()] == [("hydrate", ("ingest",))]
        with pytest.raises(NotFoundError):
            gone = stream_name(options.prefix, retries_of("lister"))
            await client.jetstream().stream_info(gone)
        with pytest.raises(ConfigurationError, match="consumers list"):
            await boxes.left_by("lister")


async def _not(check) -> bool:
    return not await check()


async def test_reading_that_stops_early_leaves_nothing_behind(
    options: NatsOptions, caplog: pytest.LogCaptureFixture
):
    """Once it logged a traceback that nobody had asked for, after its command had ended."""
    from xnovu.cli.operate.letters import Wanted as Letters
    from xnovu.cli.operate.letters import letters

    await provision(options.url, options, {})
    await publish(options, 3)
    with caplog.at_level(logging.DEBUG):
        async with visiting(options.url) as client:
            archive = StreamArchive(client, options)
            assert not await letters(archive, Letters(kind="ingest"), 0)
            found = await client.jetstream().consumers_info(stream_name(options.prefix, "ingest"))
            assert not found
        gc.collect()
    assert "never retrieved" not in caplog.text
