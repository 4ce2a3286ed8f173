"""A stage whose provider refuses stops in every process, and goes on in all of them at once."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.builders import captured, namespace
from tests.conftest import eventually
from tests.integration.pipeline import stages, world
from tests.integration.test_pull_loop import looking, publish_all
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.pause import paused
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.topology import stream_name
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.compose.pause import FleetPause
from xnovu.envelope import Envelope
from xnovu.errors import Paused
from xnovu.events import Captured
from xnovu.policy import Done, Policy, Result
from xnovu.stage import Actor
from xnovu_local.nats import EmbeddedNats

POLICY = Policy(batch=5, slots=2, linger=0.01, backoff=0.05, pause_max=0.1)


@dataclass
class Provider:
    accepts_the_key: bool = False


@dataclass
class Sending:
    provider: Provider
    name: str = "trigger"
    accepts: Sequence[type[Captured]] = (Captured,)
    asked: int = 0
    sent: list[int] = field(default_factory=list[int])

    async def handle(self, batch: Sequence[Envelope[Any]]) -> Sequence[Result]:
        self.asked += 1
        if not self.provider.accepts_the_key:
            error = Paused("Novu does not accept the API key (401)", code="provider_auth")
            return [error] * len(batch)
        self.sent += [envelope.event.notification_id for envelope in batch]
        return [Done()] * len(batch)


@asynccontextmanager
async def process(options: NatsOptions, stage: Sending) -> AsyncIterator[NatsTransport]:
    transport = NatsTransport(options)
    fleet = FleetPause(transport)
    actor = Actor(stage, POLICY, transport, fleet)
    transport.subscribe(stage.name, ["ingest"], POLICY, actor)
    await transport.start()
    try:
        yield transport
    finally:
        actor.stopping.set()
        await fleet.stop()
        await transport.stop()


@pytest.fixture
async def options(nats_server: EmbeddedNats) -> NatsOptions:
    options = NatsOptions(url=nats_server.url, **namespace())
    await provision(options.url, options, {"trigger": (["ingest"], POLICY)})
    return options


async def test_the_others_take_nothing_say_why_and_go_on_at_once(options: NatsOptions):
    provider = Provider()
    first, second = Sending(provider), Sending(provider)
    async with process(options, first) as one:
        await publish_all(one, [captured(1)])
        await eventually(lambda: first.asked)
        await eventually(lambda: one.paused("trigger"))
        async with process(options, second) as two:
            await publish_all(two, [captured(n) for n in range(2, 42)])

            async def said() -> str:
                return await two.ready() or ""

            await eventually(lambda: first.asked > 5)
            assert re.search(
                r"consumer trigger of stream \w+ is paused in the whole fleet, \d+ s more at the"
                r" most: provider_auth: Novu does not accept the API key \(401\)",
                await said(),
            )
            why = "provider_auth: Novu does not accept the API key (401)"
            stages = {"trigger": ["ingest"], "strange": ["hydrate"]}
            assert await paused(options.url, options, stages) == {"trigger": why}
            assert second.asked == 0
            provider.accepts_the_key = True
            await eventually(lambda: len(first.sent + second.sent) == 41, within=10)
            assert await two.ready() is None
    assert sorted(first.sent + second.sent) == list(range(1, 42))


async def test_in_the_pipeline_a_refused_key_pauses_trigger_alone(
    migrated, nats_server, monkeypatch, tmp_path
):
    file = tmp_path / "key"
    file.write_text("old")
    monkeypatch.setenv("XNOVU_NOVU_KEY_FILE", str(file))
    patient = {"trigger": {"backoff": 0.05, "pause_max": 0.2}}
    async with world(migrated, nats_server, monkeypatch, stages=patient) as here:
        here.register()
        here.novu.change(api_key="new")
        prefix = here.settings.transport.prefix
        async with stages(here), looking(here.nats_url) as jetstream:

            async def paused(kind: str, consumer: str) -> bool:
                info = await jetstream.consumer_info(stream_name(prefix, kind), consumer)
                return bool(info.paused)

            rows = [here.insert()]
            await eventually(lambda: paused("hydrate", "trigger"))
            assert not await paused("ingest", "hydrate")
            rows += [here.insert() for _ in range(5)]
            file.write_text("new")
            ended = [await here.ended(row) for row in rows]
            assert not await paused("hydrate", "trigger")
        assert {row["notification_status"] for row in ended} == {"SENT"}
