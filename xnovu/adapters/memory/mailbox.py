"""One subscription's queue in memory, and the slots that share it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

from xnovu.envelope import is_express
from xnovu.events import KINDS
from xnovu.handling import handled
from xnovu.policy import Dead, Done, Fate, Policy, Retry
from xnovu.ports import Backlog, Delivery, Handler


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    """In the queue: the lowest rank is served first, then the lowest number."""

    rank: int
    number: int
    delivery: Delivery | None = field(compare=False)


class Mailbox:
    """What waits for one handler; ``past`` if all its kinds tell of what has happened already."""

    def __init__(self, kinds: tuple[str, ...], policy: Policy, handler: Handler) -> None:
        self.kinds = kinds
        self.past = all(kind in KINDS and KINDS[kind].past for kind in kinds)
        self.unsettled = 0
        self._left: list[Delivery] = []
        self._policy, self._handler = policy, handler
        self._queue: asyncio.PriorityQueue[_Place] = asyncio.PriorityQueue()
        self._number = count()
        self._later: dict[asyncio.TimerHandle, Delivery] = {}
        self._slots: list[asyncio.Task[None]] = []
        self._closed = self._stopping = False
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._pause_end: asyncio.TimerHandle | None = None

    @property
    def backlog(self) -> Backlog:
        return Backlog(self.unsettled, self._queue.qsize())

    @property
    def paused(self) -> bool:
        return not self._flowing.is_set()

    def pause(self, seconds: float) -> None:
        """Give nothing out for so many seconds, or until :meth:`resume`."""
        self.resume()
        self._flowing.clear()
        self._pause_end = asyncio.get_running_loop().call_later(seconds, self._flowing.set)

    def resume(self) -> None:
        if self._pause_end:
            self._pause_end.cancel()
        self._flowing.set()

    def put(self, delivery: Delivery) -> None:
        self.unsettled += 1
        self._put(delivery)

    def start(self, name: str) -> None:
        self._slots = [
            asyncio.create_task(self._serve(), name=f"slot of {name}")
            for _ in range(self._policy.slots)
        ]

    def close(self, *, emptied: bool) -> None:
        """
        Begin nothing more; or ``emptied``, nothing but what is here by now.

        What comes back from then on is left, and with it what is behind it.
        """
        if self._closed:
            return
        self._closed, self._stopping = True, not emptied
        self.resume()
        for timer, delayed in self._later.items():
            timer.cancel()
            self._left.append(delayed)
        self._later.clear()
        for _ in self._slots:
            self._put(None)

    async def ended(self) -> None:
        """Wait for batches in hand, once it is closed."""
        await asyncio.gather(*self._slots)

    def left(self) -> Sequence[Delivery]:
        """Tell what is here and was not settled, once it has ended."""
        while not self._queue.empty():
            if delivery := self._queue.get_nowait().delivery:
                self._left.append(delivery)
        return self._left

    async def abort(self) -> None:
        """Cancel what is in hand."""
        for slot in self._slots:
            slot.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)

    async def _serve(self) -> None:
        """Run one slot: take a batch, have it handled, settle it, until told to stop."""
        while batch := await self._take():
            for delivery, fate in zip(batch, await handled(self._handler, batch), strict=True):
                self._settle(delivery, fate)

    async def _take(self) -> list[Delivery]:
        """A first message, however long it takes, and its company; nothing when stopping."""
        batch: list[Delivery] = []
        with suppress(TimeoutError):
            if first := (await self._queue.get()).delivery:
                await self._flowing.wait()
                batch.append(first)
                async with asyncio.timeout(self._policy.linger):
                    await self._gather(batch)
        if self._stopping:
            self._left += batch
            return []
        return batch

    async def _gather(self, batch: list[Delivery]) -> None:
        while len(batch) < self._policy.batch:
            another = (await self._queue.get()).delivery
            if another is None:  # the end, which this batch's slot has yet to see
                self._put(None)
                return
            batch.append(another)

    def _put(self, delivery: Delivery | None) -> None:
        """Behind all that came before it; express before what is not, and the end after all."""
        rank = 2 if delivery is None else int(not is_express(delivery.headers))
        self._queue.put_nowait(_Place(rank, next(self._number), delivery))

    def _settle(self, delivery: Delivery, fate: Fate) -> None:
        match fate:
            case Retry(after=after, spent=spent):
                again = delivery._replace(attempt=delivery.attempt + spent)
                self._again(again, after)
            case Done() | Dead():
                self.unsettled -= 1

    def _again(self, delivery: Delivery, after: float) -> None:
        def due() -> None:
            self._later.pop(timer, None)
            self._put(delivery)

        if self._closed:
            self._stopping = True
            self._left.append(delivery)
            return
        timer = asyncio.get_running_loop().call_later(max(after, 0.0), due)
        self._later[timer] = delivery
