"""
The table as a mailbox: rows that fall due, and retractions, are claimed and arrive like messages.

Wake-ups say when to look; a sweep looks anyway, because every way of being told can fail.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol

from xnovu.adapters.table.ends import Ends
from xnovu.adapters.table.options import TableOptions
from xnovu.adapters.table.window import Window
from xnovu.connection import Connection, Line
from xnovu.envelope import Envelope
from xnovu.errors import XNovuError, describe
from xnovu.events import Event, Key
from xnovu.policy import Dead, Fate, Policy, Retry, Stride
from xnovu.ports import Backlog, Delivery, Features, Handler, Start, WakeUps
from xnovu.store import Claim, Outcome, Store

GLANCE = 0.02
"""Seconds between two looks for rows of those who have nothing on its way, while others wait."""

LOCKED = 0.05
"""Seconds until a row is looked for again that is due but in another claimer's hands."""

RECOUNT, RECOUNT_NOTHING = 0.05, 10.0
"""Seconds between two questions to the broker how much is on its way; where nothing was."""

UNASKED = 60.0
"""Seconds after which a claim looks at everything, whatever it was told that is due."""

AHEAD = 2
"""Batches that may lie ready at first, before anything is known of how fast they are worked on."""


class Gauge(Protocol):
    """Where the source counts what it does."""

    def claimed(self, rows: int) -> None: ...

    def missed_wakeups(self, rows: int) -> None:
        """So many of the claimed rows no wake-up had announced."""

    def backlog(self, messages: int) -> None: ...


def _untold(_: Exception) -> None: ...


@dataclass(slots=True)
class TableSource:
    """
    Claims due rows in batches while the stages' backlog is under its bound.

    Several may run against one database: no row is given to two. ``stalled`` is told each time
    that rows cannot be claimed, and why; ``missed`` counts those that no wake-up had announced.
    """

    store: Store
    wakeups: WakeUps | None
    backlog: Callable[[], Awaitable[Backlog]]
    retractions: Callable[[], Awaitable[Backlog]]
    options: TableOptions
    gauge: Gauge
    stalled: Callable[[Exception], None] = _untold
    features: ClassVar[Features] = Features(persistent=True, deduplicates=True, competing=True)
    missed: int = 0
    _subscription: tuple[Policy, Handler] | None = None
    _tasks: list[asyncio.Task[None]] = field(default_factory=lambda: [])
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _awake: asyncio.Event = field(default_factory=asyncio.Event)
    _expected: bool = True
    _called: bool = False
    _glance: float = 0.0
    _nap: float = 0.0
    _recount: float = 0.0
    _swept: float = 0.0
    _on_their_way: int = 0
    _window: Window = field(init=False)
    _ends: Ends = field(init=False)
    _going_back: int = 0
    _line: Line = field(default_factory=lambda: Line("claiming"))

    def subscribe(
        self,
        name: str,
        kinds: Sequence[str],
        policy: Policy,
        handler: Handler,
        start: Start = "all",
    ) -> None:
        del name, kinds, start
        self._subscription = (policy, handler)
        self._ends = Ends(self.store)
        stride = Stride(policy.batch)
        size = min(AHEAD * stride.size, self.options.backlog)
        self._window = Window(size, self.options.backlog, stride)

    async def start(self) -> None:
        if self.wakeups:
            await self.wakeups.start(self._wake)
        if self._subscription:
            policy, handler = self._subscription
            self._nap = self.options.sweep_busy
            self._tasks = [
                asyncio.create_task(self._run(policy, handler), name="claim")
                for _ in range(policy.slots)
            ]

    async def stop(self) -> None:
        self._stopping.set()
        self._awake.set()
        tasks, self._tasks = self._tasks, []
        try:
            await asyncio.gather(*tasks)
        finally:
            self._line.stopped()
            if self.wakeups:
                await self.wakeups.stop()

    @property
    def trouble(self) -> str | None:
        """Why no rows can be claimed just now; None if they can."""
        return self._line.now.reason or None

    @property
    def connection(self) -> Connection:
        """How hints come through, or where nobody gives any, how the database answers."""
        return self.wakeups.connection if self.wakeups else self._line.now

    async def ready(self) -> str | None:
        return self.trouble

    def status(self) -> dict[str, Any]:
        """How the hints come through, and how many rows only the sweep has found."""
        hints = asdict(self.wakeups.connection) if self.wakeups else {"state": "sweep only"}
        return {**hints, "missed_wakeups": self.missed}

    def _wake(self) -> None:
        self._expected = self._called = True
        self._awake.set()

    async def _run(self, policy: Policy, handler: Handler) -> None:
        trouble = 0
        while not self._stopping.is_set():
            try:
                nap = await self._sweep(policy, handler)
                self._line.connected()
                trouble = 0
            except Exception as error:  # noqa: BLE001 - the sweep goes on for ever
                trouble += 1
                nap = policy.pause(trouble)
                self._expected = True
                self._line.lost(describe(error))
                self.stalled(error)
            await self._rest(nap)

    async def _sweep(self, policy: Policy, handler: Handler) -> float:
        """Claim once and hand over; returns the seconds until it is worth looking again."""
        self._awake.clear()
        if self._quiet() and (due := await self._ends.due()) != 0:
            await self._count()
            self._line.heard()
            return self._until(due)
        self._swept = asyncio.get_running_loop().time()
        retracted = await self._counted(self._carry_others(policy.batch, handler))
        if (room := self._room()) <= 0:
            rest = await self._carry_idle_ones(handler)
            return 0.0 if retracted else rest
        self._called = False
        if not (await self._carry_rows(room, handler) or retracted):
            due = await self._ends.due()
            self._expected = self._awake.is_set()  # every hint but those is answered
            return self._until(due)
        self._nap = self.options.sweep_busy
        return 0.0

    async def _carry_idle_ones(self, handler: Handler) -> float:
        """
        There is no room, but who has nothing on its way need not wait behind those who have.

        Only where some row may have been announced: it costs a look at all on their way.
        """
        now = asyncio.get_running_loop().time()
        left = self.options.backlog + self._window.stride.size - self._on_their_way
        limit = min(self._window.spare(), left)
        if (self.wakeups and not self._called) or limit <= 0:
            return RECOUNT
        if now < self._glance:
            return self._glance - now
        self._called, self._glance = False, now + GLANCE
        claims = await self.store.claim(limit, self.options.lease, idle_only=True)
        self._window.claimed_beyond(sum(not claim.express for claim in claims))
        await self._carry(claims, handler)
        return RECOUNT

    async def _carry_rows(self, limit: int, handler: Handler) -> int:
        claims = await self.store.claim(limit, self.options.lease)
        self._window.claimed(len(claims), limit, sum(claim.express for claim in claims))
        await self._carry(claims, handler)
        self._window.stride.done(len(claims), asyncio.get_running_loop().time())
        return len(claims)

    async def _carry(self, claims: Sequence[Claim], handler: Handler) -> None:
        if claims:
            soon = asyncio.get_running_loop().time() + RECOUNT
            self._recount = min(self._recount, soon)
        self._on_their_way += len(claims)
        self.gauge.claimed(len(claims))
        self._line.heard()
        if self.wakeups and not self._expected:
            self.missed += len(claims)
            self.gauge.missed_wakeups(len(claims))
            self.wakeups.missed(len(claims))
        await self._hand_over([Envelope(c.captured, express=c.express) for c in claims], handler)

    async def _counted(self, retractions: Awaitable[int]) -> int:
        """What comes of these, the broker being asked meanwhile: rows wait for both answers."""
        carried, counted = await asyncio.gather(retractions, self._count(), return_exceptions=True)
        if isinstance(carried, BaseException):
            raise carried
        if isinstance(counted, BaseException):
            raise counted
        return carried

    async def _carry_others(self, batch: int, handler: Handler) -> int:
        ended = await self._ends.carry(batch, handler)
        return ended + await self._carry_retractions(batch, handler)

    async def _carry_retractions(self, batch: int, handler: Handler) -> int:
        """They do not wait for room among the rows, and few lie ready: enterprises take turns."""
        ready = min(AHEAD * batch, self.options.backlog)
        if self._going_back >= ready:
            back = await self.retractions()
            self._going_back = max(back.queued, back.unsettled - self.options.backlog + ready)
        limit = min(batch, ready - self._going_back)
        if limit <= 0:
            return 0
        events = await self.store.claim_retractions(limit, self.options.lease)
        self._going_back += len(events)
        self.gauge.claimed(len(events))
        await self._hand_over([Envelope(event) for event in events], handler)
        return len(events)

    def _quiet(self) -> bool:
        """Whether nobody has told of a row, and none of the last ones is on its way."""
        lately = asyncio.get_running_loop().time() < self._swept + UNASKED
        return lately and not (self._expected or self._on_their_way)

    def _room(self) -> int:
        """How many more rows may be claimed at once, by the last count."""
        return min(self._window.room(), self.options.backlog - self._on_their_way)

    async def _count(self) -> None:
        """Ask the broker how much is on its way, every so often."""
        now = asyncio.get_running_loop().time()
        if now >= self._recount:
            backlog = await self.backlog()
            self._on_their_way = backlog.unsettled
            self._window.counted(backlog.queued, now)
            self._recount = now + (RECOUNT if backlog.unsettled else RECOUNT_NOTHING)
            self.gauge.backlog(backlog.unsettled)

    def _until(self, due: float | None) -> float:
        """Nothing was due: the sweep slows down, but not beyond what is known to fall ``due``."""
        nap, self._nap = self._nap, min(self._nap * 2, self.options.sweep_idle)
        self._expected |= due is not None and due <= nap
        return nap if due is None else min(nap, max(due, LOCKED))

    async def _rest(self, seconds: float) -> None:
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._awake.wait()

    async def _hand_over(self, taken: Sequence[Envelope[Event]], handler: Handler) -> None:
        """What was not carried over is due again at once; if even that fails, its lease lapses."""
        if not taken:
            return
        fates: Sequence[Fate] = [Retry(0.0)] * len(taken)
        try:
            fates = await handler([Delivery(*envelope.encode(), 1) for envelope in taken])
        finally:
            pairs = [(each.event.key, fate) for each, fate in zip(taken, fates, strict=True)]
            with suppress(XNovuError):
                await self._give_back(pairs)
                self.store.handed_over([key for key, _ in pairs])

    async def _give_back(self, fates: Sequence[tuple[Key, Fate]]) -> None:
        """What no subject can name has ended here: nobody else would ever hear of it."""
        at = datetime.now(UTC)
        if dead := [(key, fate) for key, fate in fates if isinstance(fate, Dead)]:
            await self.store.record([Outcome(k, f.failure("ingest", 1, at)) for k, f in dead])
        if back := [key for key, fate in fates if isinstance(fate, Retry)]:
            await self.store.release(back)
