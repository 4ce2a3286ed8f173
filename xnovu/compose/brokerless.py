"""An app on a transport that is no FastStream broker; FastStream runs it all the same."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import TYPE_CHECKING, Any

from xnovu.adapters import logs
from xnovu.adapters.memory.transport import MemoryTransport
from xnovu.compose.apps import App
from xnovu.envelope import key_of
from xnovu.errors import XNovuError
from xnovu.events import KINDS, Key
from xnovu.ports import Delivery
from xnovu.store import Store

if TYPE_CHECKING:
    from xnovu.compose.serve import House

log = logs.logger()


class Brokerless(App):
    """Starts and stops a house with its transport."""

    def __init__(
        self, house: "House", lifespan: Callable[[], AbstractAsyncContextManager[None]]
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


async def give_back(left: Sequence[Delivery], store: Store) -> None:
    """Have rows that wait in memory claimed anew at once. If that fails, their claims lapse."""
    if keys := list(_open(left)):
        log.debug("giving back rows", rows=len(keys))
        with suppress(XNovuError):
            await store.release(keys)


def _open(left: Iterable[Delivery]) -> Iterator[Key]:
    """
    Whoever claims these next may take them up at once; the send record tells what may be sent.

    What is at its end already is not among them: it is found when its claim has lapsed.
    """
    for headers in (delivery.headers for delivery in left):
        event = KINDS.get(headers.get("id", "").partition(":")[0])
        if event and not event.past and (key := key_of(headers)):
            yield key
