"""Runs a local Supabase: a database made ready, PostgREST on it, the gateway in front."""

import asyncio
import secrets
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass, field
from pathlib import Path

from starlette.types import ASGIApp

from xnovu_local.faults import FaultScript
from xnovu_local.folder import Folder
from xnovu_local.serving import Served
from xnovu_local.supabase.faults import Fault
from xnovu_local.supabase.gateway import create_app, to_upstream
from xnovu_local.supabase.keys import Keys
from xnovu_local.supabase.postgrest import Postgrest, PostgrestOptions
from xnovu_local.supabase.roles import prepare

NAME = "local Supabase"
Realtime = Callable[[str, Keys], AbstractAsyncContextManager[ASGIApp]]
"""
Given the owner's connection string and the keys, the handler of Realtime's websockets: an ASGI
application, alive while the context is. It lets in, and turns away, who it finds right.
"""


@dataclass(frozen=True, slots=True)
class RunningSupabase:
    """
    A local Supabase being served: where it is, who is let in, and what shall go wrong.

    `dsn` is the owner's direct connection to the same database.
    """

    url: str
    dsn: str = field(repr=False)
    keys: Keys = field(repr=False)
    faults: FaultScript[Fault] = field(repr=False)
    postgrest: Postgrest = field(repr=False)
    _served: Served = field(repr=False)

    @property
    def anon_key(self) -> str:
        return self.keys.anon

    @property
    def service_key(self) -> str:
        return self.keys.service_role

    @asynccontextmanager
    async def away(self) -> AsyncGenerator[None]:
        """As long as this lasts, connections are refused; those there were are cut."""
        await self._served.stop()
        try:
            yield
        finally:
            await self._served.start()


@asynccontextmanager
async def running_supabase(
    dsn: str,
    folder: Path | None = None,
    *,
    keys: Keys | None = None,
    options: PostgrestOptions | None = None,
    realtime: Realtime | None = None,
) -> AsyncGenerator[RunningSupabase]:
    """
    A local Supabase on the running event loop, over the database of a superuser's `dsn`.

    What it is reached by, address and keys, stays the same in its folder; without one it is new.
    Raises LocalServerError (PostgrestMissing, if there is no program to run) or psycopg.Error.
    """
    async with AsyncExitStack() as stack:
        home = stack.enter_context(_home(folder))
        keys, faults = keys or _remembered(home), FaultScript[Fault]()
        login = await asyncio.to_thread(prepare, dsn)
        postgrest = Postgrest(home.path / "postgrest", login, keys.jwt_secret, options=options)
        stack.push_async_callback(asyncio.to_thread, postgrest.stop)
        await asyncio.to_thread(postgrest.start)
        upstream = await stack.enter_async_context(to_upstream(postgrest.url))
        handler = await stack.enter_async_context(realtime(dsn, keys)) if realtime else None
        app = create_app(upstream, keys, faults, handler)
        served = Served(app, port=home.port("port"), websockets=handler is not None)
        stack.push_async_callback(served.stop)
        await served.start()
        yield RunningSupabase(served.url, dsn, keys, faults, postgrest, served)


@contextmanager
def _home(path: Path | None) -> Generator[Folder]:
    """The folder to use: the named one, else one that is gone afterwards."""
    with ExitStack() as stack:
        if path is None:
            temporary = tempfile.TemporaryDirectory(prefix="xnovu-supabase-")
            path = Path(stack.enter_context(temporary))
        folder = Folder(path, NAME)
        folder.own()
        stack.callback(folder.release)
        yield folder


def _remembered(home: Folder) -> Keys:
    if (secret := home.recall("jwt_secret")) is None:
        secret = secrets.token_urlsafe(48)
        home.remember("jwt_secret", secret)
    return Keys(secret)
