"""What an app refuses to be built of, and what it says while its work is held."""

import asyncio
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

import pytest

from tests.builders import captured
from tests.conftest import eventually
from xnovu.adapters.memory.transport import MemoryTransport
from xnovu.cli.run import PARTS
from xnovu.compose.house import House
from xnovu.compose.kit import Kit
from xnovu.compose.part import Part
from xnovu.compose.pipeline import Pipeline
from xnovu.compose.serve import serve
from xnovu.compose.settings import HealthOptions, Settings
from xnovu.envelope import Envelope
from xnovu.errors import ConfigurationError, Paused, XNovuError
from xnovu.events import Captured, Hydrated
from xnovu.policy import Done, Policy, Result


class Consumer:
    accepts = (Captured,)

    def __init__(self, name: str, *trouble: XNovuError) -> None:
        self.name, self.trouble = name, list(trouble)

    async def handle(self, batch: Sequence[Envelope[Any]]) -> Sequence[Result]:
        return [self.trouble[0] if self.trouble else Done()] * len(batch)


def consumer(name: str, served_as: str | None = None, *trouble: XNovuError) -> Part:
    async def build(kit: Kit) -> Consumer:
        return Consumer(name, *trouble)

    return Part(served_as or name, Consumer.accepts, build)


@pytest.mark.parametrize("name", Pipeline().stages)
@pytest.mark.parametrize("accepts", [Captured, Hydrated])
def test_no_consumer_is_called_like_a_stage(name: str, accepts: type[Captured | Hydrated]):
    async def build(kit: Kit) -> Consumer:
        return Consumer(name)

    with pytest.raises(SystemExit, match=f"cannot be called '{name}'"):
        serve(Part(name, (accepts,), build), settings=Settings())


def test_the_stages_are_called_as_they_are():
    assert set(Pipeline().stages) == set(PARTS)
    read = {name: part.kinds for name, part in PARTS.items() if not part.from_table}
    assert Pipeline().reads == read
    assert all(part.own for part in PARTS.values())


async def test_what_is_served_under_another_name_is_refused():
    """Or its dead letters would be another's."""
    house = House([consumer("trigger", "harmless")], Kit(Settings(), "x"), MemoryTransport())
    with pytest.raises(ConfigurationError, match="'trigger' is served as 'harmless'"):
        await house.open()


async def test_held_work_shows_until_it_goes_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.modules[House.__module__], "HELD", 0.0)
    stage = Consumer("mine", Paused("the disk is full", code="store_unavailable"))

    async def build(kit: Kit) -> Consumer:
        return stage

    options = HealthOptions(port=0)
    settings = Settings(health=options, consumers={"mine": Policy(backoff=0.01, pause_max=0.05)})
    transport = MemoryTransport()
    house = House([Part("mine", Consumer.accepts, build)], Kit(settings, "mine"), transport)
    await house.open()
    await house.answer()
    await transport.start()
    await house.begin()
    await transport.publish([captured(1)])

    async def readiness() -> tuple[int, str]:
        return await asyncio.to_thread(asked, f"http://127.0.0.1:{house.health.port}/readyz")

    async def is_told() -> bool:
        code, work = await readiness()
        return code == 503 and "(store_unavailable): the disk is full" in work

    async def is_well() -> bool:
        return await readiness() == (200, "ok")

    await eventually(is_told)
    stage.trouble.clear()
    await eventually(is_well)
    await house.finish()
    await transport.stop()
    await house.close()


def asked(page: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(page, timeout=10) as answer:
            return answer.status, json.load(answer)["checks"]["work"]
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)["checks"]["work"]
