import asyncio

from xnovu.cli import config
from xnovu.compose import Settings
from xnovu.errors import Paused


async def test_a_server_that_never_answers_is_told(monkeypatch):
    monkeypatch.setattr(config, "WITHIN", 0.01)
    assert await config._tried(never, Settings()) == "does not answer within 0.01 s"


async def test_what_a_server_says_is_told():
    assert await config._tried(away, Settings()) == "gone fishing"


async def never(_: Settings) -> None:
    await asyncio.Event().wait()


async def away(_: Settings) -> None:
    raise Paused("gone fishing", code="novu_away")
