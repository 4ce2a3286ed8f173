"""The pipeline of one enterprise in this process, from one start to its stop."""

from xnovu.adapters.memory.transport import MemoryTransport
from xnovu.adapters.table import TableSource
from xnovu.compose.house import House, give_back, require_the_whole
from xnovu.compose.kit import Database, Kit
from xnovu.compose.part import Part
from xnovu.stages import hydrate, ingest, retract, status, trigger
from xnovu.subscription.callbacks import Callbacks, Listener, Troubles

PIPELINE = (ingest.part, hydrate.part, trigger.part, status.part, retract.part)


class Run:
    """The same stages as everywhere, on the memory transport; begins and ends once."""

    def __init__(self, kit: Kit, callbacks: Callbacks) -> None:
        async def listener(_: Kit) -> Listener:
            return Listener(callbacks)

        beside = Part(Listener.name, Listener.accepts, listener)
        self._kit, self.callbacks = kit, callbacks
        self._transport = MemoryTransport()
        self._downstream = kit.settings.pipeline.downstream
        require_the_whole(PIPELINE, self._transport, kit.settings.pipeline)
        self._house = House((*PIPELINE, beside), kit, self._transport, Troubles(callbacks.trouble))

    async def begin(self) -> None:
        """Start everything, or nothing; does not wait for the database."""
        try:
            await self._house.open()
            await self._transport.start()
            await self._house.begin()
        except BaseException:
            await self._cut_off()
            raise

    async def end(self) -> None:
        """Finish what is in hand, and give back to the database what only waits here."""
        self.callbacks.hurry()
        self._transport.close()
        try:
            await self._house.finish()
            await self._transport.stop()
            await give_back(self._transport.left, await self.store())
            await self.callbacks.close()
        except BaseException:
            await self._cut_off()
            raise
        await self._house.close()

    async def store(self) -> Database:
        return await self._kit.store()

    @property
    def in_hand(self) -> int:
        """How many notifications the stages are working on."""
        return sum(self._kit.metrics.progress(stage)[0] for stage in self._downstream)

    @property
    def unsettled(self) -> int:
        """How many are claimed and not at their end, in hand or waiting."""
        return self._transport.unsettled(self._downstream)

    @property
    def table(self) -> TableSource:
        """Where the rows come from; there from :meth:`begin` on."""
        if self._house.table is None:
            raise RuntimeError("not begun")
        return self._house.table

    async def _cut_off(self) -> None:
        self.callbacks.abandon()
        await self._transport.abort()
        await self._house.finish()
        await self._house.close()
