"""Rows that ended within a claim are in no stage's hands: what became of them is told from here."""

import asyncio
from dataclasses import dataclass

from xnovu.envelope import Envelope
from xnovu.policy import Retry
from xnovu.ports import Delivery, Handler
from xnovu.store import Store

ASK = 1.0
"""Seconds until the database is asked again, while there is nothing to tell."""


@dataclass(slots=True)
class Ends:
    """Hands the ends on until the broker has them; asks seldom while there are none."""

    store: Store
    _next: float = 0.0

    async def due(self) -> float | None:
        """As ``next_due``; what is there now may be an end."""
        due = await self.store.next_due()
        if due == 0:
            self._next = 0.0
        return due

    async def carry(self, batch: int, handler: Handler) -> int:
        """How many there were, whether they could be handed on or not."""
        now = asyncio.get_running_loop().time()
        if now < self._next:
            return 0
        if not (events := await self.store.untold(batch)):
            self._next = now + ASK
            return 0
        fates = await handler([Delivery(*Envelope(event).encode(), 1) for event in events])
        pairs = zip(events, fates, strict=True)
        await self.store.told([e.key for e, fate in pairs if not isinstance(fate, Retry)])
        return len(events)
