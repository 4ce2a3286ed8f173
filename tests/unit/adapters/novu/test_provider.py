"""The provider's own life: readiness, its key, open and closed."""

import httpx
import pytest

from tests.unit.adapters.novu.building import (
    ANY_TIME,
    NOTIFICATIONS,
    Scripted,
    call,
    opened,
    problem,
    taken,
)
from xnovu.adapters.novu import NovuOptions, NovuProvider
from xnovu.errors import Paused


async def test_ready_says_what_is_wrong() -> None:
    novu = Scripted(taken, problem(401), httpx.ConnectError("x"), httpx.Response(429))
    async with opened(novu) as provider:
        assert await provider.ready() is None
        assert await provider.ready() == "Novu does not accept the API key (401)"
        assert await provider.ready() == "Novu is not available: novu.test:80: ConnectError"
        assert await provider.ready() is None
    assert await provider.ready() == "the provider is not open"
    assert set(novu.paths) == {NOTIFICATIONS}


async def test_the_key_is_read_for_every_request() -> None:
    keys = iter(["first\n", "second", "third"])
    novu = Scripted()
    provider = NovuProvider(NovuOptions(url="http://novu.test"), lambda: next(keys), transport=novu)
    await provider.open()
    await provider.trigger([call(1)], ANY_TIME)
    await provider.trigger([call(1)], ANY_TIME)
    await provider.close()
    assert [r.headers["authorization"] for r in novu.requests] == ["ApiKey first", "ApiKey second"]


@pytest.mark.parametrize("key", ["", " \n", "a\nb", "schlüssel", FileNotFoundError("/run/key")])
@pytest.mark.parametrize("look_up", [False, True])
async def test_a_key_that_cannot_be_used_pauses(key: str | Exception, look_up: bool) -> None:
    def read() -> str:
        if isinstance(key, Exception):
            raise key
        return key

    novu = Scripted()
    provider = NovuProvider(NovuOptions(url="http://novu.test"), read, transport=novu)
    await provider.open()
    [verdict] = await provider.trigger([call(1, look_up=look_up)], ANY_TIME)
    await provider.close()
    assert isinstance(verdict, Paused)
    assert verdict.code == "provider_auth"
    assert novu.requests == []


async def test_a_closed_provider_is_a_mistake() -> None:
    provider = NovuProvider(NovuOptions(), lambda: "key")
    with pytest.raises(RuntimeError):
        await provider.trigger([call(1)], ANY_TIME)
    await provider.close()
