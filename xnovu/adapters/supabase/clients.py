"""The client to a Supabase project: made anew when its URL or key has changed."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

import httpx
from postgrest import AsyncPostgrestClient

from xnovu.adapters.supabase.errors import refuse
from xnovu.adapters.supabase.options import SupabaseOptions
from xnovu.errors import ConfigurationError, Paused, XNovuError
from xnovu.reaching import place_of
from xnovu.sql.errors import UNAVAILABLE

_CONNECT = 5.0
# The sweep of an idle table comes every 5 s; what stands in front of a project waits a minute.
_KEEPALIVE = 30.0


@dataclass(frozen=True, slots=True)
class Access:
    """Where a project is, and the key that lets in."""

    url: str
    key: str = field(repr=False)

    def check(self) -> Self:
        """
        Itself, if a request can be made of it.

        Raises:
            ConfigurationError: the URL is none, or holds what would end up in logs.
            Paused: ``store_auth``: the key cannot stand in a header.
        """
        if not _is_base(self.url):
            raise ConfigurationError(
                "the URL of the Supabase project must be http(s), without user, query or fragment"
            )
        if not (self.key.isascii() and self.key.isprintable() and self.key):
            message = "the API key is empty or has characters that no header may hold"
            raise Paused(message, code="store_auth")
        return self


@dataclass(slots=True)
class _Client:
    """One client, and how many calls are under way on it."""

    access: Access
    http: httpx.AsyncClient
    notify: AsyncPostgrestClient
    calls: int = 0
    retired: bool = False

    async def leave(self) -> None:
        self.calls -= 1
        await self._close_unused()

    async def retire(self) -> None:
        """Let calls under way end, then close."""
        self.retired = True
        await self._close_unused()

    async def _close_unused(self) -> None:
        if self.retired and not self.calls:
            await self.http.aclose()


class Clients:
    """
    One client at a time, for the URL and the key of just now.

    Both are asked at each call. When they have changed, the next call makes a new client, and the
    old one is closed once the last call on it has ended. While they cannot be told (a file that is
    being replaced) the last ones stay.
    """

    def __init__(
        self, url: Callable[[], str], key: Callable[[], str], options: SupabaseOptions
    ) -> None:
        self._url, self._key, self._options = url, key, options
        self._last: Access | None = None
        self._client: _Client | None = None
        self._making = asyncio.Lock()
        self._open = False

    def open(self) -> None:
        """Allow calls; the first makes the client."""
        self._open = True

    async def close(self) -> None:
        """Allow no more calls; those under way may end."""
        self._open = False
        await self.renew()

    async def renew(self) -> None:
        """Take the client out of use: the next call makes a new one."""
        async with self._making:
            await self._use(None)

    def place(self) -> str:
        """Host and port of the project that was asked last; empty if none was."""
        return place_of(self._last.url) if self._last else ""

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[AsyncPostgrestClient]:
        """The client to schema ``notify``, for one call. Raises one of xnovu.errors."""
        async with self._making:
            client = await self._current()
            client.calls += 1
        try:
            yield client.notify
        finally:
            await client.leave()

    async def _current(self) -> _Client:
        if not self._open:
            raise Paused("the store is not open", code=UNAVAILABLE)
        access = self._last = self._asked().check()
        if self._client is None or self._client.access != access:
            client = await _made(access, self._options)
            await self._use(client)
            return client
        return self._client

    async def _use(self, client: _Client | None) -> None:
        """From now on this one; the one before may end its calls."""
        before, self._client = self._client, client
        if before:
            await before.retire()

    def _asked(self) -> Access:
        try:
            return Access(self._url().strip(), self._key().strip())
        except XNovuError:
            if self._last is None:
                raise
            return self._last


async def _made(access: Access, options: SupabaseOptions) -> _Client:
    """Nothing of it runs by itself: no session to refresh, no connection before the first call."""
    from supabase import AsyncClientOptions, acreate_client  # a third of a second

    http = _http(options)
    quiet = AsyncClientOptions(
        auto_refresh_token=False,
        persist_session=False,
        postgrest_client_retry=False,
        httpx_client=http,
    )
    project = await acreate_client(access.url, access.key, quiet)
    return _Client(access, http, project.schema("notify"))


def _http(options: SupabaseOptions) -> httpx.AsyncClient:
    """Times of its own only where nothing is sent yet; the whole call has another."""
    connect = min(_CONNECT, options.timeout / 2)
    return httpx.AsyncClient(
        timeout=httpx.Timeout(None, connect=connect, pool=connect),
        limits=httpx.Limits(
            max_connections=options.connections,
            max_keepalive_connections=options.connections,
            keepalive_expiry=_KEEPALIVE,
        ),
        event_hooks={"response": [refuse]},
    )


def _is_base(url: str) -> bool:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    private = parsed.userinfo or parsed.query or parsed.fragment
    return parsed.scheme in ("http", "https") and bool(parsed.host) and not private
