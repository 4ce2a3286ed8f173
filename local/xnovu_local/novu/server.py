"""Runs the local Novu on a port of this machine."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from xnovu_local.ports import LOOPBACK
from xnovu_local.serving import Served

from .app import create_app
from .clock import Clock
from .options import LocalNovuOptions
from .state import LocalNovu
from .workflows import Workflow


@dataclass(frozen=True, slots=True)
class RunningNovu:
    """A local Novu being served: where it is, and the thing itself."""

    url: str
    novu: LocalNovu


async def serve(
    options: LocalNovuOptions | None = None,
    host: str = LOOPBACK,
    port: int = 8025,
    names: Iterable[str] = (),
) -> None:
    """Serves a local Novu until the process is told to stop (SIGINT or SIGTERM)."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    async with running_novu(options, host=host, port=port, names=names):
        await told.wait()


@asynccontextmanager
async def running_novu(
    options: LocalNovuOptions | None = None,
    *,
    workflows: Iterable[Workflow] = (),
    clock: Clock | None = None,
    host: str = LOOPBACK,
    port: int = 0,
    names: Iterable[str] = (),
) -> AsyncGenerator[RunningNovu]:
    """A local Novu on the running event loop, on a free port unless told one."""
    novu = LocalNovu(options, workflows=workflows, clock=clock)
    served = Served(create_app(novu, names), host, port)
    await served.start()
    try:
        yield RunningNovu(served.url, novu)
    finally:
        novu.stop()
        await served.stop()
