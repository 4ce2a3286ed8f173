"""One client at a time, made anew when its URL or key has changed; no server is needed for that."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from xnovu.adapters.supabase.clients import Access, Clients
from xnovu.adapters.supabase.options import SupabaseOptions
from xnovu.errors import ConfigurationError, Paused, XNovuError


@dataclass
class Secrets:
    """What the file of each secret holds; None while it cannot be read."""

    url: str | None = "http://127.0.0.1:1"
    key: str | None = "sb_secret_first"

    def tell_url(self) -> str:
        return self._told(self.url)

    def tell_key(self) -> str:
        return self._told(self.key)

    def _told(self, value: str | None) -> str:
        if value is None:
            raise ConfigurationError("cannot read the file")
        return value


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


@pytest.fixture
async def clients(secrets: Secrets) -> AsyncIterator[Clients]:
    clients = Clients(secrets.tell_url, secrets.tell_key, SupabaseOptions())
    clients.open()
    yield clients
    await clients.close()


async def test_calls_share_a_client(clients: Clients) -> None:
    async with clients.client() as first, clients.client() as second:
        assert first is second
    async with clients.client() as third:
        assert third is first
        assert not third.session.is_closed


async def test_many_that_come_first_at_once_share_one(clients: Clients) -> None:
    async def one() -> object:
        async with clients.client() as client:
            return client

    assert len(set(await asyncio.gather(*(one() for _ in range(20))))) == 1


@pytest.mark.parametrize("change", [{"key": "sb_secret_2"}, {"url": "http://127.0.0.1:2"}])
async def test_a_change_makes_a_new_client_and_lets_the_old_one_end(
    clients: Clients, secrets: Secrets, change: dict[str, str]
) -> None:
    async with clients.client() as old:
        for name, value in change.items():
            setattr(secrets, name, value)
        async with clients.client() as new:
            assert new is not old
        assert not old.session.is_closed
    assert old.session.is_closed
    assert not new.session.is_closed
    assert str(new.base_url).startswith(secrets.url or "")
    assert new.headers["apikey"] == secrets.key


async def test_an_old_client_without_calls_is_closed_at_once(
    clients: Clients, secrets: Secrets
) -> None:
    async with clients.client() as old:
        pass
    secrets.key = "sb_secret_second"
    async with clients.client():
        assert old.session.is_closed


async def test_a_call_that_fails_or_is_cancelled_has_ended(clients: Clients) -> None:
    with pytest.raises(KeyError):
        async with clients.client() as client:
            raise KeyError
    begun = asyncio.Event()

    async def endless() -> None:
        async with clients.client():
            begun.set()
            await asyncio.Event().wait()

    call = asyncio.create_task(endless())
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await clients.renew()
    assert client.session.is_closed


async def test_renewing_makes_a_new_client_though_nothing_has_changed(clients: Clients) -> None:
    async with clients.client() as old:
        await clients.renew()
        async with clients.client() as new:
            assert new is not old
        assert not old.session.is_closed
    assert old.session.is_closed


async def test_what_cannot_be_read_keeps_its_last_value(clients: Clients, secrets: Secrets) -> None:
    async with clients.client() as client:
        pass
    secrets.key = None
    async with clients.client() as same:
        assert same is client
    await clients.renew()
    secrets.url = None
    async with clients.client() as another:
        assert another.headers["apikey"] == "sb_secret_first"


async def test_what_cannot_be_read_at_first_is_told(clients: Clients, secrets: Secrets) -> None:
    secrets.key = None
    with pytest.raises(ConfigurationError, match="cannot read"):
        async with clients.client():
            pass


async def test_after_the_end_nothing_is_made_and_nothing_runs(secrets: Secrets) -> None:
    before = asyncio.all_tasks()
    clients = Clients(secrets.tell_url, secrets.tell_key, SupabaseOptions())
    clients.open()
    async with clients.client() as last:
        await clients.close()
        assert not last.session.is_closed
    assert last.session.is_closed
    with pytest.raises(Paused, match="not open"):
        async with clients.client():
            pass
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    ("access", "code", "told"),
    [
        (Access("x.supabase.co", "k"), "configuration", "URL"),
        (Access("ftp://x", "k"), "configuration", "URL"),
        (Access("https://", "k"), "configuration", "URL"),
        (Access("http://[::1", "k"), "configuration", "URL"),
        (Access("https://me:hidden@x", "k"), "configuration", "user"),
        (Access("https://x?apikey=hidden", "k"), "configuration", "query"),
        (Access("https://x", ""), "store_auth", "empty"),
        (Access("https://x", "hid\nden"), "store_auth", "header"),
        (Access("https://x", "hiddén"), "store_auth", "header"),
    ],
)
def test_what_no_request_can_be_made_of_is_told(access: Access, code: str, told: str) -> None:
    with pytest.raises(XNovuError, match=told) as refused:
        access.check()
    assert refused.value.code == code
    assert "hid" not in str(refused.value)


def test_a_key_is_not_shown() -> None:
    assert "hidden" not in repr(Access("https://x", "hidden"))
