"""A worker that holds work loses sight of the broker: another one is given its messages, too."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.builders import captured, namespace
from tests.conftest import eventually
from tests.faults.proxy import between
from tests.integration.test_pull_loop import publish_all
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.envelope import Envelope
from xnovu.errors import Paused
from xnovu.events import Captured
from xnovu.policy import Done, Policy, Result
from xnovu.stage import Actor
from xnovu_local.nats import EmbeddedNats

POLICY = Policy(batch=5, slots=1, linger=0.01, backoff=0.05, pause_max=0.1)


@dataclass
class Sending:
    """Works once its provider is there."""

    there: bool = False
    name: str = "trigger"
    accepts: Sequence[type[Captured]] = (Captured,)
    asked: int = 0
    sent: list[int] = field(default_factory=list[int])

    async def handle(self, batch: Sequence[Envelope[Any]]) -> Sequence[Result]:
        self.asked += 1
        if not self.there:
            return [Paused("the provider is away")] * len(batch)
        self.sent += [one.event.notification_id for one in batch]
        return [Done()] * len(batch)


@asynccontextmanager
async def worker(
    options: NatsOptions, stage: Sending, url: str = ""
) -> AsyncIterator[NatsTransport]:
    transport = NatsTransport(options, url or options.url)
    actor = Actor(stage, POLICY, transport)
    transport.subscribe(stage.name, ["ingest"], POLICY, actor)
    await transport.start()
    try:
        yield transport
    finally:
        actor.stopping.set()
        await transport.stop()


async def holding(transport: NatsTransport, stage: Sending) -> None:
    """It has one message in hand, and its provider is away."""
    await publish_all(transport, [captured(1)])
    await eventually(lambda: stage.asked)


async def settled(transport: NatsTransport) -> None:
    async def none_waiting() -> bool:
        with contextlib.suppress(Paused):
            return (await transport.backlog(["trigger"])).unsettled == 0
        return False

    await eventually(none_waiting, within=30)


@pytest.fixture
async def options(nats_server: EmbeddedNats) -> NatsOptions:
    options = NatsOptions(url=nats_server.url, lease=1.5, **namespace())
    await provision(options.url, options, {"trigger": (["ingest"], POLICY)})
    return options


async def test_who_is_cut_off_and_who_has_it_next_settle_it_once(options: NatsOptions):
    """It cannot even know that it is cut off. Which of them may send, the send record says."""
    zombie, other = Sending(), Sending()
    async with between(options.url) as proxy, worker(options, zombie, proxy.url) as first:
        await holding(first, zombie)
        proxy.freeze()
        async with worker(options, other) as second:
            await eventually(lambda: other.asked)
            zombie.there = other.there = True
            await eventually(lambda: other.sent and zombie.sent)
            proxy.thaw()
            await settled(second)
            await publish_all(second, [captured(2)])
            await eventually(lambda: 2 in other.sent + zombie.sent)
            await settled(second)
    assert set(zombie.sent) | set(other.sent) == {1, 2}


async def test_a_lease_is_renewed_for_as_long_as_work_is_held(options: NatsOptions):
    """Two leases, and it is neither let go nor given to the other one."""
    stage, other = Sending(), Sending(there=True)
    options = options.model_copy(update={"lease": 3.0})
    await provision(options.url, options, {"trigger": (["ingest"], POLICY)})
    async with worker(options, stage) as first:
        await holding(first, stage)
        async with worker(options, other):
            until = asyncio.get_running_loop().time() + 2 * options.lease
            await eventually(lambda: asyncio.get_running_loop().time() > until)
            stage.there = True
            await eventually(lambda: stage.sent)
            await settled(first)
    assert (stage.sent, other.sent) == ([1], [])
