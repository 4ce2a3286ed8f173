"""Stages in one process: built, begun, watched and ended together."""

import asyncio
from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from xnovu.adapters import logs
from xnovu.adapters.logs import LogObserver
from xnovu.adapters.metrics import Observers
from xnovu.adapters.table import TableSource
from xnovu.compose.kit import Kit
from xnovu.compose.part import Part, Seat
from xnovu.compose.pause import FleetPause
from xnovu.compose.pipeline import RETRACTING, Pipeline
from xnovu.envelope import key_of
from xnovu.errors import ConfigurationError, Paused, XNovuError
from xnovu.events import KINDS, Key
from xnovu.observer import Observer, Unobserved
from xnovu.ports import Delivery, Transport
from xnovu.stage import Actor
from xnovu.store import Store

if TYPE_CHECKING:
    from xnovu.adapters.http import HealthServer

log = logs.logger()

HELD = 10.0
"""Seconds for which work may be held before a process says that it is not ready."""

STUCK = 4.0
"""A batch without a sign of life for so many of its timeouts will never give one."""


class Watcher(Observer, Protocol):
    """An observer that is also told, each time, that rows cannot be claimed; raises nothing."""

    def stalled(self, error: Exception) -> None: ...


class Unwatched(Unobserved):
    """A watcher that looks away."""

    def stalled(self, error: Exception) -> None: ...


class House:
    """
    Everything that lives as long as the app, whichever transport its stages are on.

    Besides the log and the metrics, ``watcher`` is told of every batch, and if rows cannot be
    claimed. Starting and stopping the transport, between :meth:`open` and :meth:`begin` and
    between :meth:`finish` and :meth:`close`, is its owner's.
    """

    def __init__(
        self, parts: Sequence[Part], kit: Kit, transport: Transport, watcher: Watcher | None = None
    ) -> None:
        pipeline = kit.settings.pipeline
        _require_places(parts, pipeline)
        self._seats = {part.name: Seat() for part in parts}
        self.parts, self.kit, self.transport = parts, kit, transport
        self.settings, self.metrics = kit.settings, kit.metrics
        self.logged, self.watcher = LogObserver(), watcher or Unwatched()
        self.brakes = FleetPause(transport)
        self.stopping = asyncio.Event()
        self.table: TableSource | None = None
        self.refused = False
        self.health = self._health_server() if self.settings.health.enabled else None
        for part in parts:
            if not part.from_table:
                policy = self.settings.policy(part.name)
                seat = self._seats[part.name]
                kinds = pipeline.reads.get(part.name, part.kinds)
                transport.subscribe(part.name, kinds, policy, seat, part.start)

    async def open(self) -> None:
        """Build the stages, each in its seat, before the broker starts."""
        for part in self.parts:
            await self._employ(part)

    async def answer(self) -> None:
        """Serve the health port. Raises ConfigurationError if it is not to be had."""
        if self.health:
            await self.health.start()

    async def begin(self) -> None:
        """Raises ConfigurationError where what is on its way can never be counted."""
        if self.table:
            await self._counts()
            await self.table.start()
        log.info("started", stage=self.kit.name)

    async def finish(self) -> None:
        """Take no more, and give back what is held; the broker lets the rest finish."""
        self.stopping.set()
        await self.brakes.stop()
        if self.table:
            await self.table.stop()

    async def close(self) -> None:
        if self.health:
            await self.health.stop()
        self.logged.flush()
        await self.kit.stack.aclose()
        if not self.refused:
            log.info("stopped", stage=self.kit.name)

    def status(self) -> dict[str, Any]:
        """What runs here, how much of it is in hand, and how its hints come through."""
        in_hand = {part.name: self.metrics.progress(part.name)[0] for part in self.parts}
        return {"in_hand": in_hand, **({"wakeups": self.table.status()} if self.table else {})}

    def stuck(self) -> str | None:
        """Which stage has a batch in hand that will never end; None if none."""
        for part in self.parts:
            in_hand, silent = self.metrics.progress(part.name)
            if in_hand and silent > STUCK * self.settings.policy(part.name).timeout:
                return f"{part.name}: {in_hand} messages in hand, silent for {silent:.0f} s"
        return None

    async def _counts(self) -> None:
        """A stage that reads no mailbox has asked the transport nothing so far."""
        try:
            await self.transport.backlog(self.settings.pipeline.downstream)
        except ConfigurationError:
            raise
        except Paused:
            return  # whoever claims asks again, and says so

    async def _employ(self, part: Part) -> None:
        policy = self.settings.policy(part.name)
        stage = await part.build(self.kit)
        if stage.name != part.name:
            raise ConfigurationError(f"stage {stage.name!r} is served as {part.name!r}: name it so")
        observers = Observers(self.metrics, self.logged, self.brakes, self.watcher)
        seat = self._seats[part.name]
        seat.actor = Actor(stage, policy, self.transport, observers, self.stopping)
        if part.from_table:
            self.table = await self._table()
            self.table.subscribe(part.name, part.kinds, policy, seat)

    async def _table(self) -> TableSource:
        wakeups = self.kit.wakeups()
        if wakeups:
            self.metrics.watch(lambda: wakeups.connection)
        return TableSource(
            await self.kit.store(),
            wakeups,
            lambda: self.transport.backlog(self._bounded()),
            lambda: self.transport.backlog((RETRACTING,)),
            self.settings.ingest,
            self.metrics,
            self.watcher.stalled,
        )

    def _bounded(self) -> Sequence[str]:
        """
        Whose backlog bounds what is claimed.

        Where it is all in memory, everybody's, but of those that have a bound of their own.
        """
        if self.transport.features.persistent:
            return self.settings.pipeline.downstream
        return [part.name for part in self.parts if part.name != RETRACTING]

    def _health_server(self) -> "HealthServer":
        from xnovu.adapters.http import HealthServer  # a process that serves no port needs no HTTP

        checks = {
            "broker": self.transport.ready,
            "database": self.kit.database_ready,
            "ingest": self._ingest_ready,
            "progress": self._progress,
            "work": self._work,
        }
        details = {"rows": self.kit.rows_refused}
        options, metrics = self.settings.health, self.metrics
        return HealthServer(
            options.host,
            options.port,
            checks=checks,
            details=details,
            live=self.stuck,
            status=self.status,
            metrics=metrics.render,
            note=metrics.ready,
        )

    async def _ingest_ready(self) -> str | None:
        return await self.table.ready() if self.table else None

    async def _progress(self) -> str | None:
        return self.stuck()

    async def _work(self) -> str | None:
        """What a stage here has been holding work for, however that came about."""
        return self.metrics.held_for(HELD)


def _require_places(parts: Sequence[Part], pipeline: Pipeline) -> None:
    """A stage has its place in the pipeline, and a consumer none: what it gives up ends no row."""
    for part in parts:
        if part.name in pipeline.stages and not part.own:
            raise ConfigurationError(
                f"a consumer cannot be called {part.name!r}: that is a stage's name"
            )
        if part.own and part.name not in pipeline.stages:
            raise ConfigurationError(
                f"stage {part.name!r} has no place in the pipeline: name it in pipeline.between"
            )
    if twice := [name for name, count in Tally(part.name for part in parts).items() if count > 1]:
        raise ConfigurationError(
            f"there are two called {twice[0]!r}: each has a mailbox of its own"
        )


def require_the_whole(parts: Sequence[Part], transport: Transport, pipeline: Pipeline) -> None:
    """
    What only one process knows of reaches nobody in another.

    Raises:
        ConfigurationError: the transport is such a one, and a stage is missing.
    """
    missing = set(pipeline.stages) - {part.name for part in parts}
    if missing and not transport.features.persistent:
        raise ConfigurationError(
            "this transport joins the stages of one process, and here is no"
            f" {', '.join(each for each in pipeline.stages if each in missing)}: xnovu run all, and"
            " the modules of stages of your own"
        )


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
