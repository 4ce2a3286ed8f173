"""What NATS does not let a user do: it is waited for and said, and nothing is done twice for it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.builders import captured, namespace
from tests.conftest import eventually
from tests.integration.test_pull_loop import looking, publish_all
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.topology import stream_name
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.errors import Paused
from xnovu.policy import Done, Fate, Policy
from xnovu.ports import Delivery
from xnovu_local.nats import EmbeddedNats

POLICY = Policy(linger=0.01, slots=1)
LEASE = 0.3
PREFIX = "xnovu"
LEAST = {
    "publish": ["$JS.API.>", "$JS.ACK.>", f"{PREFIX}.>"],
    "subscribe": ["_INBOX.>", f"{PREFIX}.>"],
}
"""What docs/operations.md says that a user needs."""


class Guarded:
    """A NATS where the owner may do everything, and another what it is let do."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.server = self._made("$NOTHING")

    def deny(self, subject: str) -> None:
        """From now on; who is connected has to come anew."""
        self.server.stop()
        self.server = self._made(subject)
        self.server.start()

    def url(self, user: str) -> str:
        return self.server.url.replace("//", f"//{user}:p@")

    def _made(self, subject: str) -> EmbeddedNats:
        users = [
            {"user": "owner", "password": "p"},
            {"user": "mute", "password": "p", "permissions": {"publish": {"deny": subject}}},
            {"user": "least", "password": "p", "permissions": LEAST},
        ]
        settings = {"authorization": json.dumps({"users": users})}
        return EmbeddedNats(self._folder, settings=settings)


@pytest.fixture
def guarded(tmp_path: Path):
    made = Guarded(tmp_path)
    made.server.start()
    yield made
    made.server.stop()


@pytest.fixture
async def options(guarded: Guarded) -> NatsOptions:
    options = NatsOptions(lease=LEASE, publish_timeout=1.0, **namespace())
    await provision(guarded.url("owner"), options, {"box": (["ingest"], POLICY)})
    return options


def counting(arrived: list[int]) -> Callable[[Sequence[Delivery]], object]:
    async def handler(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        arrived.extend(delivery.attempt for delivery in deliveries)
        return [Done()] * len(deliveries)

    return handler


@pytest.mark.parametrize("when", ["before it starts", "while it runs"])
async def test_who_may_not_acknowledge_takes_nothing_until_he_may(
    guarded: Guarded, options: NatsOptions, when: str
):
    arrived = list[int]()
    transport = NatsTransport(options, lambda: guarded.url("mute"))
    owner = NatsTransport(options, lambda: guarded.url("owner"))
    transport.subscribe("box", ["ingest"], POLICY, counting(arrived))
    if when == "while it runs":
        await transport.start()
        guarded.deny("$JS.ACK.>")
    else:
        guarded.deny("$JS.ACK.>")
        await transport.start()

    async def says_so() -> bool:
        return "publish to $JS.ACK." in (await transport.ready() or "")

    await eventually(says_so, within=30)
    await owner.start()
    await publish_all(owner, [captured(n) for n in range(5)])
    await eventually(says_so, within=30)
    assert arrived == []
    guarded.deny("$NOTHING")

    async def is_well() -> bool:
        return await transport.ready() is None

    await eventually(is_well, within=30)
    await eventually(lambda: arrived == [1] * 5, within=30)
    await eventually(lambda: _none_is_left(guarded, options), within=30)
    await transport.stop()
    await owner.stop()


async def _none_is_left(guarded: Guarded, options: NatsOptions) -> bool:
    async with looking(guarded.url("owner")) as jetstream:
        info = await jetstream.consumer_info(stream_name(options.prefix, "ingest"), "box")
        dead = await jetstream.stream_info(stream_name(options.prefix, "dead"))
    return not (info.num_pending or info.num_ack_pending or dead.state.messages)


async def test_who_may_not_publish_a_kind_is_told_so_and_the_others_go_on(
    guarded: Guarded, options: NatsOptions
):
    guarded.deny(f"{options.prefix}.ingest.other")
    transport = NatsTransport(options, lambda: guarded.url("mute"))
    await transport.start()
    envelopes = [captured(n) for n in range(10)]
    strange = captured(11, enterprise_id="other")
    together = await transport.publish([*envelopes, strange])
    assert "broker_permission" in {answer.code for answer in together if answer}
    *answers, refused = await transport.publish([*envelopes, strange])
    await transport.stop()
    assert answers == [None] * 10
    assert isinstance(refused, Paused)


async def test_what_the_docs_say_is_enough(guarded: Guarded):
    arrived, url = list[int](), guarded.url("least")
    options = NatsOptions(prefix=PREFIX, lease=LEASE)
    await provision(url, options, {"box": (["ingest"], POLICY)})
    transport = NatsTransport(options, lambda: url)
    transport.subscribe("box", ["ingest"], POLICY, counting(arrived))
    await transport.start()
    await publish_all(transport, [captured(n) for n in range(20)])
    await eventually(lambda: arrived == [1] * 20)
    await transport.pause("box", 60, "a test")
    await transport.resume("box")
    assert await transport.ready() is None
    assert transport.broker.denials == {}
    await transport.stop()
