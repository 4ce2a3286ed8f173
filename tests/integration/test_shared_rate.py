"""Processes on one Novu environment share its rate limit; they know of one another through NATS."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.builders import namespace
from tests.conftest import eventually
from tests.unit.adapters.novu.building import call, codes, opened
from xnovu.adapters.nats import peers
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.peers import NatsPeers
from xnovu.adapters.nats.transport import NatsTransport
from xnovu_local.nats import EmbeddedNats
from xnovu_local.novu import LocalNovuOptions, running_novu

TOPIC = "default"


@asynccontextmanager
async def process(options: NatsOptions, topic: str = TOPIC) -> AsyncIterator[NatsPeers]:
    transport = NatsTransport(options)
    await transport.start()
    try:
        yield NatsPeers(transport.broker, options.prefix, topic)
    finally:
        await transport.stop()


async def said(speaker: NatsPeers, need: float, *hearers: NatsPeers, heard: list[float]) -> None:
    async def arrived() -> bool:
        await speaker.tell(need)
        return all(list(hearer.others()) == heard for hearer in hearers)

    await eventually(arrived)


async def test_what_one_needs_the_others_hear_until_it_falls_silent(
    nats_server: EmbeddedNats,
) -> None:
    options = NatsOptions(url=nats_server.url, **namespace())
    async with (
        process(options) as one,
        process(options) as two,
        process(options, "elsewhere") as stranger,
    ):
        for each in (one, two, stranger):
            await each.tell(0.0)
        await said(one, 40.0, two, heard=[40.0])
        await said(one, math.inf, two, heard=[math.inf])
        assert stranger.others() == []
        await eventually(lambda: two.others() == [])


async def test_what_is_no_word_of_a_process_is_passed_over(nats_server: EmbeddedNats) -> None:
    options = NatsOptions(url=nats_server.url, **namespace())
    async with process(options) as one, process(options) as two:
        await two.tell(0.0)
        client = one._broker.client
        assert client
        for strange in (b"", b"[]", b"{}", b'{"id": "x", "need": "much"}', b'{"id": 1}'):
            await client.publish(f"{options.prefix}.peers.{TOPIC}", strange)
        await said(one, 5.0, two, heard=[5.0])


async def test_who_is_cut_off_takes_no_more_than_before(
    nats_server: EmbeddedNats, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = NatsOptions(url=nats_server.url, **namespace())
    async with process(options) as one, process(options) as two:
        await two.tell(0.0)
        await said(one, math.inf, two, heard=[math.inf])
        await two._broker.stop()
        assert not two.reachable
        await two.tell(1.0)
        monkeypatch.setattr(peers, "_now", lambda: asyncio.get_running_loop().time() + 60)
        assert two.others() == [math.inf]


async def test_two_at_a_limit_that_is_novus_are_never_refused(nats_server: EmbeddedNats) -> None:
    options = NatsOptions(url=nats_server.url, **namespace())
    async with (
        running_novu(LocalNovuOptions(rate=60.0)) as novu,
        process(options) as one,
        process(options) as two,
        opened(url=novu.url, peers=one) as first,
        opened(url=novu.url, peers=two) as second,
    ):
        calls = [[call(n) for n in range(start, start + 200)] for start in (0, 200)]
        until = asyncio.get_running_loop().time() + 60
        asked = (first.trigger(calls[0], until), second.trigger(calls[1], until))
        verdicts = await asyncio.gather(*asked)
    assert codes([*verdicts[0], *verdicts[1]]) == [None] * 400
    assert novu.novu.ledger.totals.asked == 400
