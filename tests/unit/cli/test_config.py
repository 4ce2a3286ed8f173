import asyncio
from collections.abc import Sequence

from xnovu.cli import config
from xnovu.compose.settings import Settings
from xnovu.errors import Paused
from xnovu.finding import Finding


async def test_a_server_that_never_answers_is_told(monkeypatch):
    monkeypatch.setattr(config, "WITHIN", 0.01)
    found = await config._tried("server", never, Settings(), ())
    assert found == [Finding("server", "does not answer within 0.01 s")]


async def test_what_a_server_says_is_told():
    found = await config._tried("server", away, Settings(), ())
    assert found == [Finding("server", "gone fishing")]


async def never(*_: object) -> Sequence[Finding]:
    await asyncio.Event().wait()
    return ()


async def away(*_: object) -> Sequence[Finding]:
    raise Paused("gone fishing", code="novu_away")
