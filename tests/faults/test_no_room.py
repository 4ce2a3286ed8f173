"""No room in the broker: nothing is dropped, it is said, and all goes on when there is some."""

import asyncio
from pathlib import Path

from nats.js.api import DiscardPolicy

from tests.builders import captured, namespace
from tests.conftest import eventually
from tests.faults.test_broker import POLICY, Hydrate, Record, Send, subscribe
from tests.integration.test_pull_loop import looking, publish_all
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.topology import stream_name
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.errors import Paused, Permanent
from xnovu.observer import Unobserved
from xnovu.policy import Hold
from xnovu.stage import Actor
from xnovu_local.nats import EmbeddedNats


class Watcher(Unobserved):
    def __init__(self) -> None:
        self.holds: list[Hold] = []

    def held(self, stage: str, size: int, hold: Hold) -> None:
        self.holds.append(hold)


async def test_a_full_stream_holds_what_is_done_until_there_is_room(nats_server: EmbeddedNats):
    options = NatsOptions(url=nats_server.url, **namespace())
    await provision(options.url, options, {})
    hydrated = stream_name(options.prefix, "hydrate")
    async with looking(options.url) as jetstream:
        config = (await jetstream.stream_info(hydrated)).config
        await jetstream.update_stream(config, max_bytes=2000, discard=DiscardPolicy.NEW)
        transport, record, watcher = NatsTransport(options), Record(), Watcher()
        stage = Hydrate()
        actor = Actor(stage, POLICY, transport, watcher)
        transport.subscribe(stage.name, ["ingest"], POLICY, actor)
        subscribe(transport, (Send(nats_server, set()), record))
        await transport.start()
        await publish_all(transport, [captured(n) for n in range(1, 101)])
        await eventually(lambda: watcher.holds)
        assert {hold.code for hold in watcher.holds} == {"broker_full"}
        assert f"no room in stream {hydrated}: maximum bytes" in watcher.holds[0].reason
        assert (await transport.backlog(["hydrate"])).unsettled > 0
        await jetstream.update_stream(config, max_bytes=-1)
        await eventually(lambda: record.recorded == set(range(1, 101)), within=60)
    await transport.stop()


async def test_a_full_disk_is_waited_for(tmp_path: Path):
    with EmbeddedNats(tmp_path, settings={"max_file_store": "1MB"}) as server:
        options = NatsOptions(url=server.url, **namespace())
        await provision(options.url, options, {})
        transport = NatsTransport(options)
        await transport.start()
        large = [captured(n, transaction_id="x" * 100_000) for n in range(20)]
        answers = [answer for answer in await transport.publish(large) if answer]
        assert answers
        assert {answer.code for answer in answers} == {"broker_full"}
        assert isinstance(answers[0], Paused)
        async with looking(options.url) as jetstream:
            await jetstream.purge_stream(stream_name(options.prefix, "ingest"))
        await publish_all(transport, [captured(1)])
        await transport.stop()


async def test_what_a_stream_refuses_is_heard_at_once(nats_server: EmbeddedNats):
    options = NatsOptions(url=nats_server.url, publish_timeout=60.0, **namespace())
    await provision(options.url, options, {})
    name = stream_name(options.prefix, "ingest")
    async with looking(options.url) as jetstream:
        config = (await jetstream.stream_info(name)).config
        await jetstream.update_stream(config, max_msg_size=1000)
    transport = NatsTransport(options)
    await transport.start()
    async with asyncio.timeout(30):
        small, large = await transport.publish(
            [captured(1), captured(2, transaction_id="x" * 2000)]
        )
    await transport.stop()
    assert small is None
    assert isinstance(large, Permanent)
    assert large.code == "too_large"
