"""Messages sent as batches: stored once and answered for each, whatever the server makes of it."""

from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import chain

import pytest
from nats.aio.client import Client
from nats.errors import ConnectionClosedError
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from tests.builders import captured, namespace
from tests.conftest import eventually
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.replies import Replies
from xnovu.adapters.nats.send import FEW, WINDOW
from xnovu.adapters.nats.topology import every_subject, stream_name
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.envelope import Envelope
from xnovu.errors import Permanent, Retryable
from xnovu.events import Event, Triggered
from xnovu_local.nats import EmbeddedNats


@pytest.fixture
def options(nats_server: EmbeddedNats) -> NatsOptions:
    return NatsOptions(url=nats_server.url, publish_timeout=2.0, **namespace())


@pytest.fixture
async def transport(options: NatsOptions) -> AsyncIterator[NatsTransport]:
    await provision(options.url, options, {})
    transport = NatsTransport(options)
    await transport.start()
    yield transport
    await transport.stop()


@pytest.fixture
def frozen(
    nats_server: EmbeddedNats, transport: NatsTransport, jetstream: JetStreamContext
) -> Iterator[EmbeddedNats]:
    """The server, which stands still once all are connected."""
    del transport, jetstream
    nats_server.pause()
    yield nats_server
    nats_server.resume()


class Asked:
    """How many answers were asked for: to batches, and to single messages."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[int] = []
        self.singles = 0
        to_batch, to_one = Replies.to_batch, Replies.to_one

        async def batch(replies: Replies, client: Client, size: int):
            self.batches.append(size)
            return await to_batch(replies, client, size)

        async def one(replies: Replies, client: Client):
            self.singles += 1
            return await to_one(replies, client)

        monkeypatch.setattr(Replies, "to_batch", batch)
        monkeypatch.setattr(Replies, "to_one", one)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


async def stored(jetstream: JetStreamContext, options: NatsOptions, kind: str) -> Sequence[str]:
    """The ids of all messages in a stream, in order."""
    name = stream_name(options.prefix, kind)
    state = (await jetstream.stream_info(name)).state
    numbers = range(state.first_seq, state.last_seq + 1)
    messages = [await jetstream.get_msg(name, number) for number in numbers]
    return [(message.headers or {})["Nats-Msg-Id"] for message in messages]


def triggered(number: int) -> Envelope[Event]:
    return Envelope(Triggered(notification_id=number, enterprise_id="acme", transaction_id="t"))


async def test_many_go_in_few_batches_and_each_is_stored_in_its_order(
    transport: NatsTransport, options: NatsOptions, jetstream: JetStreamContext, asked: Asked
):
    envelopes = [captured(number) for number in range(WINDOW + 10)]
    assert not any(await transport.publish(envelopes))
    assert (asked.batches, asked.singles) == ([WINDOW, 10], 0)
    assert await stored(jetstream, options, "ingest") == [one.id for one in envelopes]


async def test_a_few_go_one_by_one(transport: NatsTransport, asked: Asked):
    assert not any(await transport.publish([captured(n) for n in range(FEW - 1)]))
    assert (asked.batches, asked.singles) == ([], FEW - 1)


async def test_each_stream_has_a_batch_of_its_own_and_answers_keep_their_order(
    transport: NatsTransport, options: NatsOptions, jetstream: JetStreamContext, asked: Asked
):
    nameless = captured(99, enterprise_id="a\nb")
    turns = [(captured(number), triggered(number)) for number in range(5)]
    envelopes = [*chain.from_iterable(turns), nameless, triggered(5)]
    errors = await transport.publish(envelopes)
    assert [number for number, error in enumerate(errors) if error] == [10]
    assert isinstance(errors[10], Permanent)
    assert asked.batches == [5, 6]
    assert len(await stored(jetstream, options, "ingest")) == 5
    assert len(await stored(jetstream, options, "trigger")) == 6


async def test_what_is_there_already_is_known_by_its_id(
    transport: NatsTransport, options: NatsOptions, jetstream: JetStreamContext, asked: Asked
):
    for numbers in (range(10), range(5, 15), [20, 21, 20, 21]):
        assert not any(await transport.publish([captured(number) for number in numbers]))
    found = await stored(jetstream, options, "ingest")
    assert found == [captured(number).id for number in [*range(15), 20, 21]]
    assert (asked.batches, asked.singles) == ([10, 10, 4], 0)


@pytest.mark.parametrize("place", [0, 5, 9])
async def test_one_that_its_stream_does_not_take_harms_no_other(
    transport: NatsTransport, options: NatsOptions, jetstream: JetStreamContext, place: int
):
    info = await jetstream.stream_info(stream_name(options.prefix, "ingest"))
    await jetstream.update_stream(info.config, max_msg_size=1000)
    envelopes = [captured(number) for number in range(10)]
    envelopes[place] = captured(place, transaction_id="x" * 1000)
    errors = await transport.publish(envelopes)
    assert [number for number, error in enumerate(errors) if error] == [place]
    assert isinstance(error := errors[place], Permanent)
    assert error.code == "too_large"
    expected = [one.id for number, one in enumerate(envelopes) if number != place]
    assert sorted(await stored(jetstream, options, "ingest")) == sorted(expected)


async def test_a_stream_that_takes_no_batches_gets_them_one_by_one_and_is_left_in_peace(
    options: NatsOptions, jetstream: JetStreamContext, asked: Asked
):
    old = StreamConfig(
        name=stream_name(options.prefix, "ingest"),
        subjects=[every_subject(options.prefix, "ingest")],
    )
    await jetstream.add_stream(old)
    transport = NatsTransport(options)
    await transport.start()
    assert not any(await transport.publish([captured(n) for n in range(10)]))
    assert not any(await transport.publish([captured(n) for n in range(10, 20)]))
    await transport.stop()
    assert (asked.batches, asked.singles) == ([10], 20)
    assert len(await stored(jetstream, options, "ingest")) == 20


async def test_a_server_that_is_too_old_is_not_asked(
    options: NatsOptions,
    jetstream: JetStreamContext,
    asked: Asked,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("xnovu.adapters.nats.connection.BATCHES_SINCE", (99, 0))
    await provision(options.url, options, {})
    transport = NatsTransport(options)
    await transport.start()
    assert not any(await transport.publish([captured(n) for n in range(10)]))
    await transport.stop()
    assert (asked.batches, asked.singles) == ([], 10)
    info = await jetstream.stream_info(stream_name(options.prefix, "ingest"))
    assert not info.config.allow_batched


async def test_a_stream_that_is_gone_is_made_anew_and_takes_batches(
    transport: NatsTransport, options: NatsOptions, jetstream: JetStreamContext, asked: Asked
):
    name = stream_name(options.prefix, "ingest")
    await jetstream.delete_stream(name)
    envelopes = [captured(number) for number in range(10)]
    errors = await transport.publish(envelopes)
    assert all(isinstance(error, Retryable) for error in errors)
    assert not any(await transport.publish(envelopes))
    assert asked.batches == [10, 10]
    assert await stored(jetstream, options, "ingest") == [one.id for one in envelopes]


async def test_headers_are_those_that_a_single_message_has(
    transport: NatsTransport, options: NatsOptions, jetstream: JetStreamContext
):
    strange = "00-e  two\r\nlines"
    await transport.publish([captured(0, trace=strange)])
    await transport.publish([captured(number, trace=strange) for number in range(1, 6)])
    name = stream_name(options.prefix, "ingest")
    found = [(await jetstream.get_msg(name, number)).headers or {} for number in range(1, 7)]
    traces = [" ".join(headers["traceparent"].split()) for headers in found]
    assert traces == ["00-e two lines"] * 6
    assert all(headers.keys() == {"Nats-Msg-Id", "traceparent"} for headers in found)


async def test_a_connection_that_just_closes_is_found_out_one_by_one(
    transport: NatsTransport, asked: Asked, monkeypatch: pytest.MonkeyPatch
):
    async def closed(replies: Replies, client: Client, size: int):
        raise ConnectionClosedError

    monkeypatch.setattr(Replies, "to_batch", closed)
    assert not any(await transport.publish([captured(number) for number in range(10)]))
    assert asked.singles == 10


async def test_a_server_that_reads_nothing_keeps_nobody_waiting_for_good(
    frozen: EmbeddedNats, transport: NatsTransport
):
    large = [captured(number, transaction_id="x" * 500_000) for number in range(30)]
    assert all(await transport.publish(large)), "more than the socket and nats-py hold"


async def test_a_server_that_does_not_answer_has_confirmed_none(
    frozen: EmbeddedNats,
    transport: NatsTransport,
    options: NatsOptions,
    jetstream: JetStreamContext,
):
    envelopes = [captured(number) for number in range(10)]
    errors = await transport.publish(envelopes)
    assert {str(error) for error in errors} == {"NATS did not confirm within 2 s"}
    frozen.resume()

    async def all_are_there() -> bool:
        return not any(await transport.publish(envelopes))

    await eventually(all_are_there)
    found = await stored(jetstream, options, "ingest")
    assert sorted(found) == sorted(one.id for one in envelopes)
