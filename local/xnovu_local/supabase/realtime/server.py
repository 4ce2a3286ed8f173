"""Runs a local Realtime: as a part of a local Supabase, or alone on a port of this machine."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from xnovu_local.serving import Served
from xnovu_local.supabase.keys import Keys

from .options import RealtimeOptions
from .state import LocalRealtime

BASE = "/realtime/v1"


@dataclass(frozen=True, slots=True)
class RunningRealtime:
    """A local Realtime being served: where it is (as clients are told it), and the thing itself."""

    url: str
    realtime: LocalRealtime


@asynccontextmanager
async def local_realtime(
    dsn: str, keys: Keys, options: RealtimeOptions | None = None
) -> AsyncGenerator[LocalRealtime]:
    """
    A local Realtime that reads the log and is to be served: see ``running_supabase``.

    Raises psycopg.Error where it cannot read the log.
    """
    realtime = LocalRealtime(dsn, keys, options)
    await realtime.start()
    try:
        yield realtime
    finally:
        await realtime.stop()


@asynccontextmanager
async def running_realtime(
    dsn: str, keys: Keys, options: RealtimeOptions | None = None
) -> AsyncGenerator[RunningRealtime]:
    """A local Realtime on the running event loop, on a free port."""
    async with local_realtime(dsn, keys, options) as realtime:
        route = WebSocketRoute(f"{BASE}/websocket", realtime)
        served = Served(Starlette(routes=[route]), websockets=True)
        await served.start()
        try:
            yield RunningRealtime(f"{served.url}{BASE}", realtime)
        finally:
            await served.stop()
