"""Runs a local Supabase: a database made ready, PostgREST on it, the gateway in front."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from starlette.types import ASGIApp

from xnovu.local.ports import free_port
from xnovu.local.serving import Served
from xnovu.local.supabase.faults import FaultScript
from xnovu.local.supabase.gateway import create_app, to_upstream
from xnovu.local.supabase.keys import Keys
from xnovu.local.supabase.postgrest import Postgrest, PostgrestOptions
from xnovu.local.supabase.roles import prepare


@dataclass(frozen=True, slots=True)
class RunningSupabase:
    """
    A local Supabase being served: where it is, who is let in, and what shall go wrong.

    `dsn` is the owner's direct connection to the same database.
    """

    url: str
    dsn: str = field(repr=False)
    keys: Keys = field(repr=False)
    faults: FaultScript = field(repr=False)
    postgrest: Postgrest = field(repr=False)
    served: Served = field(repr=False)

    @property
    def anon_key(self) -> str:
        return self.keys.anon

    @property
    def service_key(self) -> str:
        return self.keys.service_role

    @asynccontextmanager
    async def away(self) -> AsyncGenerator[None]:
        """As long as this lasts, connections are refused; those there were are cut."""
        await self.served.stop()
        try:
            yield
        finally:
            await self.served.start()


@asynccontextmanager
async def running_supabase(
    dsn: str,
    *,
    folder: Path | None = None,
    keys: Keys | None = None,
    options: PostgrestOptions | None = None,
    realtime: ASGIApp | None = None,
    port: int | None = None,
) -> AsyncGenerator[RunningSupabase]:
    """
    A local Supabase on the running event loop, over the database of a superuser's `dsn`.

    `realtime` handles the websockets at `/realtime/v1/websocket`; it sees to their keys itself.
    Raises LocalServerError (PostgrestMissing), psycopg.Error, or OSError where the port is taken.
    """
    keys, faults = keys or Keys(), FaultScript()
    async with AsyncExitStack() as stack:
        own = stack.enter_context(_folder(folder))
        login = await asyncio.to_thread(prepare, dsn)
        postgrest = Postgrest(own / "postgrest", login, keys.jwt_secret, options=options)
        stack.push_async_callback(asyncio.to_thread, postgrest.stop)
        await asyncio.to_thread(postgrest.start)
        upstream = await stack.enter_async_context(to_upstream(postgrest.url))
        app = create_app(upstream, keys, faults, realtime)
        served = Served(app, port=port or free_port(), websockets=realtime is not None)
        stack.push_async_callback(served.stop)
        await served.start()
        yield RunningSupabase(served.url, dsn, keys, faults, postgrest, served)


@contextmanager
def _folder(named: Path | None) -> Generator[Path]:
    """The folder to use: the named one, else one that is gone afterwards."""
    if named is not None:
        yield named
        return
    with tempfile.TemporaryDirectory(prefix="xnovu-supabase-") as name:
        yield Path(name)
