"""A worker that holds work loses sight of the broker; when it is back, another may have it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.builders import captured, namespace
from tests.conftest import eventually
from tests.faults.proxy import between
from tests.integration.test_pull_loop import publish_all
from xnovu.adapters.nats import NatsOptions, NatsTransport, provision
from xnovu.envelope import Envelope
from xnovu.errors import Paused
from xnovu.events import Captured
from xnovu.local.nats import EmbeddedNats
from xnovu.observer import Report, Unobserved
from xnovu.policy import Done, Policy, Result
from xnovu.stage import Actor

POLICY = Policy(batch=5, slots=1, linger=0.01, backoff=0.05, pause_max=0.1)


@dataclass
class Sending:
    """Sends once its provider is there: what it was asked to, and if it was told to look first."""

    there: bool = False
    name: str = "trigger"
    accepts: Sequence[type[Captured]] = (Captured,)
    asked: int = 0
    sent: list[tuple[int, bool]] = field(default_factory=list[tuple[int, bool]])

    async def handle(self, batch: Sequence[Envelope[Any]]) -> Sequence[Result]:
        self.asked += 1
        if not self.there:
            return [Paused("the provider is away")] * len(batch)
        self.sent += [(one.event.notification_id, one.redelivered) for one in batch]
        return [Done()] * len(batch)


class Codes(Unobserved):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def finished(self, report: Report) -> None:
        self.seen += [getattr(fate, "code", "done") for _, fate in report.fates]


@asynccontextmanager
async def worker(
    options: NatsOptions, stage: Sending, url: str = "", codes: Codes | None = None
) -> AsyncIterator[NatsTransport]:
    transport = NatsTransport(options, url or options.url)
    actor = Actor(stage, POLICY, transport, codes or Unobserved())
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


async def test_after_a_reconnect_it_is_looked_up_before_it_is_sent(options: NatsOptions):
    stage = Sending()
    patient = options.model_copy(update={"lease": 60.0})
    await provision(options.url, patient, {"trigger": (["ingest"], POLICY)})
    async with between(options.url) as proxy, worker(patient, stage, proxy.url) as transport:
        await holding(transport, stage)
        era = transport.broker.era
        proxy.cut()
        await eventually(lambda: transport.broker.client is None)
        proxy.mend()
        await eventually(lambda: transport.broker.era > era)
        stage.there = True
        await eventually(lambda: stage.sent)
        await settled(transport)
    assert stage.sent == [(1, True)]


async def test_a_server_that_was_killed_may_have_given_it_to_somebody_else(tmp_path: Path):
    with EmbeddedNats(tmp_path) as server:
        options = NatsOptions(url=server.url, lease=60.0, **namespace())
        await provision(options.url, options, {"trigger": (["ingest"], POLICY)})
        stage = Sending()
        async with worker(options, stage) as transport:
            await holding(transport, stage)
            server.kill()
            await eventually(lambda: transport.broker.client is None)
            stage.there = True
            await eventually(lambda: stage.sent)
            server.start()
            await settled(transport)
    assert {looked_up for _, looked_up in stage.sent} == {True}


async def test_who_is_cut_off_past_its_lease_lets_go_and_the_other_one_sends(options: NatsOptions):
    """It cannot even know that it is cut off: nothing comes, and what it says is lost."""
    zombie, other, codes = Sending(), Sending(), Codes()
    async with between(options.url) as proxy, worker(options, zombie, proxy.url, codes) as first:
        await holding(first, zombie)
        proxy.freeze()
        async with worker(options, other) as second:
            await eventually(lambda: other.asked)
            await eventually(lambda: codes.seen == ["lapsed"])
            zombie.there = other.there = True
            await eventually(lambda: other.sent)
            proxy.thaw()
            await settled(second)
            await publish_all(second, [captured(2)])
            await eventually(lambda: len(other.sent + zombie.sent) == 2)
            await settled(second)
    sent = sorted(other.sent + zombie.sent)
    assert sent[0] == (1, True)
    assert [number for number, _ in sent] == [1, 2]


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
    assert (stage.sent, other.sent) == ([(1, False)], [])
