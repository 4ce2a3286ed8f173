"""Waiting beside the mailbox: room for the others, and no copy doubled or lost on the way."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.builders import captured, namespace
from tests.conftest import eventually
from tests.integration.test_pull_loop import looking, publish_all
from xnovu.adapters.nats.later import Copies
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.settle import Retries
from xnovu.adapters.nats.topology import retries_of, stream_name
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.errors import Retryable
from xnovu.events import Captured
from xnovu.policy import Done, Fate, Policy, Retry
from xnovu.ports import Delivery
from xnovu.stage import Actor
from xnovu_local.nats import EmbeddedNats

POLICY = Policy(batch=50, linger=0.01, slots=2, attempts=3)
LEASE = 1.0


@pytest.fixture
def options(nats_server: EmbeddedNats) -> NatsOptions:
    return NatsOptions(url=nats_server.url, lease=LEASE, **namespace())


@pytest.fixture
def own_server(tmp_path: Path):
    with EmbeddedNats(tmp_path) as server:
        yield server


class Again:
    """Wants every message so many ``times`` more, after ``wait`` seconds."""

    def __init__(self, wait: float, times: int = 1) -> None:
        self.wait, self.times = wait, times
        self.seen: Counter[tuple[str, int]] = Counter()

    async def __call__(self, deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        self.seen.update((one.headers["id"], one.attempt) for one in deliveries)
        again = Retry(self.wait)
        return [again if one.attempt <= self.times else Done() for one in deliveries]


async def settled(transport: NatsTransport) -> None:
    async def none_waiting() -> bool:
        return (await transport.backlog(["box"])).unsettled == 0

    await eventually(none_waiting, within=30)


def dying_after_copying(monkeypatch: pytest.MonkeyPatch, die: Callable[[], None]) -> None:
    """Once: the copies are safe, and the worker can not say so any more."""
    keep, deaths = Copies.keep, iter([die])

    async def keep_and_die(self: Copies, retries: Retries) -> list[bool]:
        answers = await keep(self, retries)
        if retries and (dying := next(deaths, None)):
            dying()
            raise ConnectionError
        return answers

    monkeypatch.setattr(Copies, "keep", keep_and_die)


async def test_what_waits_takes_no_room_in_its_consumer(options: NatsOptions):
    await provision(options.url, options, {"box": (["ingest"], POLICY)})
    transport, handler = NatsTransport(options), Again(60)
    transport.subscribe("box", ["ingest"], POLICY, handler)
    await transport.start()
    await publish_all(transport, [captured(n) for n in range(300)])
    async with looking(options.url) as jetstream:
        stream = stream_name(options.prefix, "ingest")

        async def nothing_unacknowledged() -> bool:
            info = await jetstream.consumer_info(stream, "box")
            return (info.num_pending, info.num_ack_pending) == (0, 0)

        await eventually(nothing_unacknowledged)
    assert (await transport.backlog(["box"])).unsettled == 300
    assert (await transport.backlog(["another"])).unsettled == 0
    await transport.stop()


@pytest.mark.parametrize("wait", [0.0, 0.3, 2 * LEASE], ids=str)
async def test_a_worker_that_dies_between_copy_and_acknowledgement_makes_no_second_copy(
    options: NatsOptions, monkeypatch: pytest.MonkeyPatch, wait: float
):
    """Whether the first is done with or still waits when the original comes back, and once only."""
    dying_after_copying(monkeypatch, lambda: None)
    await provision(options.url, options, {"box": (["ingest"], POLICY)})
    transport, handler = NatsTransport(options), Again(wait, times=2)
    transport.subscribe("box", ["ingest"], POLICY, handler)
    await transport.start()
    envelopes = [captured(n) for n in range(20)]
    await publish_all(transport, envelopes)
    await eventually(lambda: all((one.id, 3) in handler.seen for one in envelopes))
    await settled(transport)
    await transport.stop()
    original_and_copy = {1: 1, 2: 2, 3: 1}
    assert handler.seen == Counter(
        {(one.id, nth): n for one in envelopes for nth, n in original_and_copy.items()}
    )


async def test_a_server_that_dies_between_copy_and_acknowledgement_takes_no_second_copy(
    own_server: EmbeddedNats, monkeypatch: pytest.MonkeyPatch
):
    """It may have forgotten that it ever delivered the original."""

    def restart() -> None:
        own_server.kill()
        own_server.start()

    dying_after_copying(monkeypatch, restart)
    options = NatsOptions(url=own_server.url, lease=LEASE, publish_timeout=1.0, **namespace())
    await provision(options.url, options, {"box": (["ingest"], POLICY)})
    transport, handler = NatsTransport(options), Again(3 * LEASE, times=2)
    transport.subscribe("box", ["ingest"], POLICY, handler)
    await transport.start()
    envelope = captured(1)
    await publish_all(transport, [envelope])
    await eventually(lambda: (envelope.id, 3) in handler.seen, within=30)
    await settled(transport)
    await transport.stop()
    assert handler.seen.total() == 4, "the original twice, and each copy once"
    assert handler.seen[envelope.id, 3] == 1


async def test_without_a_place_for_copies_the_consumer_itself_waits(options: NatsOptions):
    await provision(options.url, options, {"box": (["ingest"], POLICY)})
    transport, handler = NatsTransport(options), Again(0.1)
    transport.subscribe("box", ["ingest"], POLICY, handler)
    await transport.start()
    async with looking(options.url) as jetstream:
        await jetstream.delete_stream(stream_name(options.prefix, retries_of("box")))
    envelope = captured(1)
    await publish_all(transport, [envelope])
    await eventually(lambda: (envelope.id, 2) in handler.seen)
    await transport.stop()


async def test_attempts_are_counted_from_copy_to_copy(options: NatsOptions):
    class Failing:
        name, accepts, calls = "box", (Captured,), 0

        async def handle(self, batch: Sequence[object]) -> Sequence[Fate]:
            self.calls += 1
            raise Retryable("never", after=1.5 * LEASE)

    await provision(
        options.url, options, {"box": (["ingest"], POLICY), "grave": (["dead"], POLICY)}
    )
    transport, letters = NatsTransport(options), list[Delivery]()

    async def bury(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        letters.extend(deliveries)
        return [Done()] * len(deliveries)

    stage = Failing()
    transport.subscribe("box", ["ingest"], POLICY, Actor(stage, POLICY, transport))
    transport.subscribe("grave", ["dead"], POLICY, bury)
    await transport.start()
    await publish_all(transport, [captured(1)])
    await eventually(lambda: letters, within=30)
    await settled(transport)
    await transport.stop()
    assert stage.calls == 3
    assert b'"attempts":3' in letters[0].body
