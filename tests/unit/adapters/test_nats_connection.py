"""What XNovu leans on in FastStream and nats-py without its being promised."""

import pytest
from faststream.nats.subscriber.usecases import BatchPullStreamSubscriber
from nats.aio.client import Client

from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.errors import ConfigurationError


@pytest.mark.parametrize(
    ("owner", "told"),
    [
        (BatchPullStreamSubscriber, r"faststream 0\.7\.8 .*Subscriber has no no_such_name"),
        (Client, r"nats-py 2\.16\.0 .*Client has no no_such_name"),
    ],
)
def test_a_library_that_does_not_fit_is_named_at_once(
    monkeypatch: pytest.MonkeyPatch, owner: type, told: str
):
    leans_on = {owner: ("__init__", "no_such_name")}
    monkeypatch.setattr("xnovu.adapters.nats.leans_on.LEANS_ON", leans_on)
    with pytest.raises(ConfigurationError, match=told):
        NatsTransport(NatsOptions())


async def test_a_transport_that_was_never_started_says_so_and_stops():
    transport = NatsTransport(NatsOptions(), "nats://user:hush@nowhere:4222")
    assert await transport.ready() == (
        "not connected to NATS at nats://nowhere:4222: not connected yet"
    )
    await transport.stop()
