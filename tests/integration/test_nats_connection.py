"""Credentials, rotation, and FastStream's own ways, on a real server."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from faststream import BaseMiddleware, FastStream
from nats.aio.client import Client

from tests.builders import captured, namespace
from tests.conftest import eventually
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.errors import ConfigurationError
from xnovu.policy import Done, Fate, Policy
from xnovu.ports import Delivery
from xnovu_local.nats import EmbeddedNats

POLICY = Policy(linger=0.01, slots=1)


@pytest.fixture
def guarded(tmp_path: Path):
    settings = {"authorization": '{user: xnovu, password: "p@ss/word"}'}
    with EmbeddedNats(tmp_path, settings=settings) as server:
        yield server


def with_credentials(server: EmbeddedNats, credentials: str) -> str:
    return server.url.replace("//", f"//{credentials}@")


async def nothing(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
    return [Done()] * len(deliveries)


async def test_wrong_credentials_end_the_start_and_are_not_shown(
    guarded: EmbeddedNats, caplog: pytest.LogCaptureFixture
):
    transport = NatsTransport(NatsOptions(), with_credentials(guarded, "xnovu:wrong-one"))
    with pytest.raises(ConfigurationError, match="refuses the credentials") as caught:
        await transport.start()
    await transport.stop()
    assert "wrong-one" not in f"{caught.value} {caplog.text} {transport.broker.trouble}"


async def test_encoded_credentials_work_and_are_not_in_the_specification(guarded: EmbeddedNats):
    url = with_credentials(guarded, "xnovu:p%40ss%2Fword")
    options = NatsOptions(**namespace())
    await provision(url, options, {})
    transport = NatsTransport(options, lambda: url)
    await transport.start()
    assert await transport.ready() is None
    assert await transport.publish([captured(1)]) == [None]
    shown = f"{transport.broker.address} {transport.broker.specification.url} {options!r}"
    assert "p%40ss" not in shown
    assert "p@ss" not in shown
    await transport.stop()


@pytest.mark.parametrize("stumbles", [False, True])
async def test_a_changed_password_is_used_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stumbles: bool
):
    """Also when the client library has given up because the old one was refused."""
    folder, password = tmp_path / "nats", "first"
    close, left = Client.close, iter([stumbles])

    async def closing(client: Client) -> None:
        if next(left, False):
            raise ConnectionResetError("Connection lost")
        await close(client)

    def server(word: str) -> EmbeddedNats:
        return EmbeddedNats(
            folder, settings={"authorization": f"{{user: xnovu, password: {word}}}"}
        )

    def url() -> str:
        return with_credentials(running, f"xnovu:{password}")

    running = server("first")
    running.start()
    options = NatsOptions(**namespace())
    await provision(url(), options, {})
    transport, arrived = NatsTransport(options, url), list[int]()

    async def handler(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        arrived.extend(delivery.attempt for delivery in deliveries)
        return [Done()] * len(deliveries)

    transport.subscribe("box", ["ingest"], POLICY, handler)
    await transport.start()
    monkeypatch.setattr(Client, "close", closing)
    running.kill()
    running = server("second")
    running.start()

    async def refused() -> bool:
        return "uthorization" in (await transport.ready() or "")

    await eventually(refused)
    password = "second"

    async def published() -> bool:
        return await transport.publish([captured(1)]) == [None]

    await eventually(published, within=30)
    await eventually(lambda: arrived)
    await transport.stop()
    running.stop()


async def test_an_app_on_the_broker_has_middlewares_and_stops_at_will(nats_server: EmbeddedNats):
    seen: list[int] = []

    class Watching(BaseMiddleware):
        async def consume_scope(self, call_next: Callable[[Any], Awaitable[Any]], msg: Any) -> Any:
            seen.append(len(msg.raw_message))
            return await call_next(msg)

    options = NatsOptions(url=nats_server.url, **namespace())
    await provision(options.url, options, {})
    transport = NatsTransport(options)
    transport.broker.add_middleware(Watching)
    transport.subscribe("box", ["ingest"], POLICY, nothing)
    app = FastStream(transport.broker)
    running = asyncio.create_task(app.run())

    async def published() -> bool:
        return await transport.publish([captured(1)]) == [None]

    await eventually(published)
    await eventually(lambda: seen == [1])
    app.exit()
    async with asyncio.timeout(10):
        await running


async def test_a_handler_that_raises_is_named_without_what_it_said(
    nats_server: EmbeddedNats, caplog: pytest.LogCaptureFixture
):
    options = NatsOptions(url=nats_server.url, **namespace())
    await provision(options.url, options, {})
    transport, arrived = NatsTransport(options), list[int]()

    async def clumsy(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        if deliveries[0].attempt == 1:
            raise KeyError("someone@example.com")
        return [Done()] * len(deliveries)

    async def miscounting(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        arrived.append(deliveries[0].attempt)
        return [Done()] * (len(deliveries) + (deliveries[0].attempt == 1))

    transport.subscribe("clumsy", ["ingest"], POLICY, clumsy)
    transport.subscribe("miscounting", ["ingest"], POLICY, miscounting)
    with caplog.at_level(logging.DEBUG):
        await transport.start()
        assert await transport.publish([captured(1)]) == [None]
        await eventually(lambda: arrived == [1, 2])

        async def settled() -> bool:
            return (await transport.backlog(["clumsy", "miscounting"])).unsettled == 0

        await eventually(settled)
        await transport.stop()
    assert "raised KeyError at" in caplog.text
    assert "raised ValueError at" in caplog.text
    assert "someone@example.com" not in caplog.text
