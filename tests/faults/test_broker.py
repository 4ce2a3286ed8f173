"""The broker dies. Nothing is lost, and what may have been done before says so."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.builders import a_notification, captured, namespace
from tests.conftest import eventually
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.envelope import Envelope
from xnovu.events import Captured, Event, Hydrated, Triggered
from xnovu.policy import Done, Policy, Result
from xnovu.stage import Actor, Stage
from xnovu_local.nats import EmbeddedNats

POLICY = Policy(batch=20, slots=2, backoff=0.1, backoff_max=0.5, timeout=5, attempts=50)


class Hydrate:
    name = "hydrate"
    accepts: Sequence[type[Event]] = (Captured,)

    async def handle(self, batch: Sequence[Envelope[Any]]) -> Sequence[Result]:
        return [Done.then(self._hydrated(envelope.event)) for envelope in batch]

    def _hydrated(self, event: Event) -> Event:
        known = event.model_dump(include={"notification_id", "enterprise_id"})
        return Hydrated(**known, notification=a_notification(event.notification_id))


@dataclass
class Send:
    """Sends each notification once; kills the broker while holding the batches it was told to."""

    server: EmbeddedNats
    fatal: set[int]
    name: str = "trigger"
    accepts: Sequence[type[Event]] = (Hydrated,)
    calls: int = 0
    asked: Counter[int] = field(default_factory=Counter)
    sent_unawares: list[int] = field(default_factory=list)

    async def handle(self, batch: Sequence[Envelope[Any]]) -> Sequence[Result]:
        self.calls += 1
        if self.calls in self.fatal:
            self.server.kill()
            self.server.start()
        return [self._send(envelope) for envelope in batch]

    def _send(self, envelope: Envelope[Any]) -> Result:
        number = envelope.event.notification_id
        if self.asked[number] and not envelope.redelivered:
            self.sent_unawares.append(number)
        self.asked[number] += 1
        known = envelope.event.model_dump(include={"notification_id", "enterprise_id"})
        return Done.then(Triggered(**known, transaction_id=f"transaction-{number}"))


@dataclass
class Record:
    name: str = "status"
    accepts: Sequence[type[Event]] = (Triggered,)
    recorded: set[int] = field(default_factory=set)

    async def handle(self, batch: Sequence[Envelope[Any]]) -> Sequence[Result]:
        self.recorded.update(envelope.event.notification_id for envelope in batch)
        return [Done()] * len(batch)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedNats]:
    with EmbeddedNats(tmp_path) as server:
        yield server


def subscribe(transport: NatsTransport, stages: Sequence[Stage]) -> None:
    for stage in stages:
        kinds = [event.kind for event in stage.accepts]
        transport.subscribe(stage.name, kinds, POLICY, Actor(stage, POLICY, transport))


async def publish_all(transport: NatsTransport, numbers: Sequence[int]) -> None:
    left = [captured(n) for n in numbers]

    async def confirmed() -> bool:
        answers = await transport.publish(left)
        left[:] = [one for one, error in zip(left, answers, strict=True) if error]
        return not left

    await eventually(confirmed, within=60)


@pytest.mark.parametrize("fatal", [{2}, {2, 6, 11}], ids=str)
async def test_a_broker_that_dies_in_mid_batch_loses_nothing(server: EmbeddedNats, fatal: set[int]):
    options = NatsOptions(url=server.url, lease=1.0, publish_timeout=1.0, **namespace())
    await provision(options.url, options, {})
    transport = NatsTransport(options)
    send, record = Send(server, fatal), Record()
    subscribe(transport, (Hydrate(), send, record))
    await transport.start()
    numbers = range(1, 401)
    publishing = asyncio.create_task(publish_all(transport, numbers))
    await eventually(lambda: record.recorded == set(numbers), within=90)
    await publishing
    await transport.stop()
    assert send.calls > max(fatal)
    assert send.sent_unawares == []


async def test_a_broker_that_freezes_is_waited_for(server: EmbeddedNats):
    options = NatsOptions(url=server.url, lease=2.0, publish_timeout=0.5, **namespace())
    await provision(options.url, options, {})
    transport, record = NatsTransport(options), Record()
    subscribe(transport, (Hydrate(), Send(server, set()), record))
    await transport.start()
    try:
        await publish_all(transport, [1])
        await eventually(lambda: record.recorded == {1})
        server.pause()
        [answer] = await transport.publish([captured(2)])
        assert answer
        assert answer.code in {"broker", "broker_unavailable"}
        server.resume()
        await publish_all(transport, range(2, 50))
        await eventually(lambda: record.recorded == set(range(1, 50)), within=60)
    finally:
        server.resume()
        await transport.stop()
