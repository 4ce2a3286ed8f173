"""What XNovu leans on in FastStream without its being promised."""

import pytest
from faststream.nats.subscriber.usecases import BatchPullStreamSubscriber

from xnovu.adapters.nats import NatsOptions, NatsTransport
from xnovu.errors import ConfigurationError


def test_a_faststream_that_does_not_fit_is_named_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        "xnovu.adapters.nats.connection.LEANS_ON",
        {BatchPullStreamSubscriber: ("consume", "no_such_name")},
    )
    with pytest.raises(ConfigurationError, match=r"0\.7\.8 .*Subscriber has no no_such_name"):
        NatsTransport(NatsOptions())


async def test_a_transport_that_was_never_started_says_so_and_stops():
    transport = NatsTransport(NatsOptions(), "nats://user:hush@nowhere:4222")
    assert await transport.ready() == (
        "not connected to NATS at nats://nowhere:4222: not connected yet"
    )
    await transport.stop()
