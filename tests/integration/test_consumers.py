"""Consumers on NATS: durable, tried again, and where they begin."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from faststream import BaseMiddleware, Context
from faststream.nats.message import NatsBatchMessage
from faststream.nats.prometheus import NatsPrometheusMiddleware
from nats.js import JetStreamContext
from prometheus_client import CollectorRegistry

import xnovu
from tests.builders import namespace
from tests.conftest import eventually
from xnovu import Permanent, Retryable, Status, StatusChanged, consumer
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.removal import StreamMailboxes
from xnovu.adapters.nats.topology import stream_name
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.adapters.nats.visit import visiting
from xnovu.compose.settings import HealthOptions, Settings
from xnovu.consuming.consumer import Consumer
from xnovu.envelope import Envelope
from xnovu.policy import Policy
from xnovu_local.nats import EmbeddedNats


@pytest.fixture
async def settings(nats_server: EmbeddedNats) -> Settings:
    options = NatsOptions(url=nats_server.url, **namespace())
    await provision(nats_server.url, options, {})
    policy = Policy(attempts=2, backoff=0.05, backoff_max=0.1)
    consumers = {"greeter": policy, "later": Policy(backoff=600, backoff_max=600)}
    health = HealthOptions(enabled=False)
    return Settings(transport=options, health=health, consumers=consumers)


@pytest.fixture
async def transport(settings: Settings) -> AsyncIterator[NatsTransport]:
    """Somebody who publishes."""
    transport = NatsTransport(settings.transport)
    await transport.start()
    yield transport
    await transport.stop()


async def publish(transport: NatsTransport, *numbers: int) -> None:
    events = [
        StatusChanged(
            notification_id=number,
            enterprise_id="acme",
            status=Status.SENT,
            previous=Status.PROCESSING,
            at=datetime.now(UTC),
        )
        for number in numbers
    ]
    assert not any(await transport.publish([Envelope(event) for event in events]))


@asynccontextmanager
async def running(
    settings: Settings, *consumers: Consumer[...], middlewares: Sequence[Any] = ()
) -> AsyncIterator[None]:
    app = xnovu.app(*consumers, settings=settings, middlewares=middlewares)
    async with app:
        yield


async def test_it_begins_with_all_from_a_time_or_now_and_goes_on_where_it_was(
    settings: Settings, transport: NatsTransport
):
    seen: dict[str, list[int]] = {"everything": [], "since": [], "greeter": []}
    await publish(transport, 1)
    since = datetime.now(UTC)
    await publish(transport, 2)

    @consumer(StatusChanged, name="everything", start="all")
    async def everything(event: StatusChanged) -> None:
        seen["everything"].append(event.notification_id)

    @consumer(StatusChanged, name="since", start=since)
    async def later(event: StatusChanged) -> None:
        seen["since"].append(event.notification_id)

    @consumer(StatusChanged, name="greeter")
    async def greet(events: list[StatusChanged]) -> None:
        seen["greeter"].extend(event.notification_id for event in events)

    async with running(settings, everything, later, greet):
        await publish(transport, 3)
        await eventually(lambda: seen == {"everything": [1, 2, 3], "since": [2, 3], "greeter": [3]})
    await publish(transport, 4)  # while nobody is there
    async with running(settings, greet):
        await eventually(lambda: seen["greeter"] == [3, 4])


async def test_what_it_gives_up_is_a_letter_of_its_own(
    settings: Settings, transport: NatsTransport, jetstream: JetStreamContext
):
    calls: list[int] = []

    @consumer(StatusChanged, name="greeter")
    async def greet(event: StatusChanged) -> None:
        calls.append(event.notification_id)
        raise Permanent("no", code="no") if event.notification_id == 1 else Retryable("not yet")

    async with running(settings, greet):
        await publish(transport, 1, 2)
        stream = stream_name(settings.transport.prefix, "dead")

        async def letters() -> dict[str, int]:
            info = await jetstream.stream_info(stream, subjects_filter=">")
            return info.state.subjects or {}

        subject = f"{settings.transport.prefix}.dead.greeter.acme"
        await eventually(lambda: _is(letters, {subject: 2}))
    assert sorted(calls) == [1, 2, 2]


async def _is(ask: Any, wanted: object) -> bool:
    return await ask() == wanted


async def test_middlewares_are_around_each_batch_and_the_message_is_in_the_context(
    settings: Settings, transport: NatsTransport
):
    seen: list[Any] = []
    registry = CollectorRegistry()

    class Counted(BaseMiddleware):
        async def consume_scope(self, call_next: Any, msg: Any) -> Any:
            seen.append(len(msg.raw_message))
            return await call_next(msg)

    @consumer(StatusChanged, name="greeter")
    async def greet(event: StatusChanged, message: Annotated[NatsBatchMessage, Context()]) -> None:
        seen.append(message.raw_message[0].subject)

    middlewares = [Counted, NatsPrometheusMiddleware(registry=registry)]
    async with running(settings, greet, middlewares=middlewares):
        await publish(transport, 1)
        await eventually(lambda: seen == [1, f"{settings.transport.prefix}.status.acme"])
    counted = [each for metric in registry.collect() for each in metric.samples]
    processed = [each.value for each in counted if each.name.endswith("processed_messages_total")]
    assert sum(processed) == 1


async def test_one_that_was_removed_begins_anew(settings: Settings, transport: NatsTransport):
    seen: list[int] = []

    @consumer(StatusChanged, name="later")
    async def later(event: StatusChanged) -> None:
        seen.append(event.notification_id)
        if event.notification_id == 1:
            raise Retryable("not yet")

    async with visiting(settings.transport.url) as client:
        mailboxes = StreamMailboxes(client, settings.transport)
        async with running(settings, later):
            await publish(transport, 1)

            async def unsettled() -> list[int]:
                return [each.unsettled for each in await mailboxes.all() if seen]

            await eventually(lambda: _is(unsettled, [1]))
        await mailboxes.remove("later")
        await publish(transport, 2)
        async with running(settings, later):
            await publish(transport, 3)
            await eventually(lambda: seen == [1, 3])
