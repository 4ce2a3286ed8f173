"""An app on a transport that is no FastStream broker; FastStream runs it all the same."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from xnovu.adapters import logs
from xnovu.adapters.memory.transport import MemoryTransport
from xnovu.compose.apps import App
from xnovu.compose.house import House, give_back

log = logs.logger()


class Brokerless(App):
    """Starts and stops a house with its transport."""

    def __init__(
        self, house: House, lifespan: Callable[[], AbstractAsyncContextManager[None]]
    ) -> None:
        super().__init__(logger=None, lifespan=lifespan)
        self._house = house

    async def start(self, **_: Any) -> None:
        await self._house.open()
        await self._house.transport.start()
        await self._house.begin()
        await self._house.kit.admitted()

    async def stop(self) -> None:
        """Let what is in hand finish, as long as it may take, and give back what only waits."""
        transport = self._house.transport
        if isinstance(transport, MemoryTransport):
            transport.close()
        await self._house.finish()
        try:
            async with asyncio.timeout(self._house.settings.transport.stop_timeout):
                await transport.stop()
        except TimeoutError:
            log.warning("what was in hand did not finish in time; it comes again")
        if isinstance(transport, MemoryTransport):
            await transport.abort()
            await give_back(transport.left, await self._house.kit.store())
