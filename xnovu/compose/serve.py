"""A runnable app around one stage, or several in one process."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from faststream import FastStream

from xnovu.adapters import logs
from xnovu.adapters.http import HealthServer
from xnovu.adapters.logs import LogObserver
from xnovu.adapters.metrics import Observers
from xnovu.adapters.table import TableSource
from xnovu.compose.kit import Kit, nats_transport, peers_of
from xnovu.compose.pause import FleetPause
from xnovu.compose.settings import Settings, load
from xnovu.errors import ConfigurationError, Paused
from xnovu.events import Event
from xnovu.observer import Observer, Unobserved
from xnovu.ports import Source, Transport
from xnovu.stage import Actor, Stage

log = logs.logger()

DOWNSTREAM = ("hydrate", "trigger", "status")
"""The stages whose backlog bounds what ingest claims."""

RETRACTING = ("retract",)
"""And the one whose backlog bounds how many retractions it claims."""

STAGES = ("ingest", *DOWNSTREAM, *RETRACTING)
"""Names that no consumer may have: what a stage gives up ends its row."""

HELD = 10.0
"""Seconds for which work may be held before a process says that it is not ready."""

STUCK = 4.0
"""A batch without a sign of life for so many of its timeouts will never give one."""


@dataclass(frozen=True, slots=True)
class Part:
    """
    A stage or a consumer as an app names it: what it accepts, how it is built, where it takes from.

    ``own`` are the pipeline's stages: only what one of them gives up can end a row.
    """

    name: str
    accepts: Sequence[type[Event]]
    build: Callable[[Kit], Awaitable[Stage]]
    from_table: bool = False
    own: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(event.kind for event in self.accepts)


class Watcher(Observer, Protocol):
    """An observer that is also told, each time, that rows cannot be claimed; raises nothing."""

    def stalled(self, error: Exception) -> None: ...


class Unwatched(Unobserved):
    """A watcher that looks away."""

    def stalled(self, error: Exception) -> None: ...


COLLECT = 50_000, 20, 100
"""When the garbage collector runs (gc.set_threshold): 700 new objects are less than a batch has."""


def serve(*parts: Part, settings: Settings | None = None) -> FastStream:
    """
    An app that runs these stages until it is told to stop; without settings it loads them.

    A wrong configuration ends the process at once, and says what is wrong; so does, at the start,
    a broker or a database that refuses the credentials. What is away is waited for.
    """
    try:
        settings = settings or load()
        logs.configure(settings.log.level, settings.log.format)
        transport = nats_transport(settings)
        name = "+".join(part.name for part in parts)
        kit = Kit(settings, name, peers=peers_of(settings, transport))
        house = House(parts, kit, transport)
    except ConfigurationError as error:
        raise SystemExit(f"xnovu: {error}") from None
    gc.set_threshold(*COLLECT)
    app = FastStream(transport.broker, logger=None, lifespan=lambda: _answering(house))
    app.on_startup(house.open)
    app.after_startup(house.begin)
    app.after_startup(kit.admitted)
    app.on_shutdown(house.finish)
    return app


@asynccontextmanager
async def _answering(house: "House") -> AsyncGenerator[None]:
    """
    Answer on the health port from the first moment on, and close everything in the end.

    FastStream stops nothing whose start has failed: what is open would keep the process alive.
    """
    try:
        await house.answer()
        yield
    except BaseException as error:
        house.refused = isinstance(error, ConfigurationError)  # who calls says why
        await house.finish()
        await house.transport.stop()
        raise
    finally:
        await house.close()


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
        for part in parts:
            _require_a_name_of_its_own(part)
        self.parts, self.kit, self.transport = parts, kit, transport
        self.settings, self.metrics = kit.settings, kit.metrics
        self.logged, self.watcher = LogObserver(), watcher or Unwatched()
        self.brakes = FleetPause(transport)
        self.stopping = asyncio.Event()
        self.table: TableSource | None = None
        self.refused = False
        self.health = self._health_server()

    async def open(self) -> None:
        """Build the stages and put each behind its mailbox, before the broker starts."""
        for part in self.parts:
            await self._employ(part)

    async def answer(self) -> None:
        """Serve the health port. Raises ConfigurationError if it is not to be had."""
        if self.settings.health.enabled:
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
        if self.settings.health.enabled:
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
            await self.transport.backlog(DOWNSTREAM)
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
        actor = Actor(stage, policy, self.transport, observers, self.stopping)
        source = await self._source(part)
        source.subscribe(part.name, part.kinds, policy, actor)

    async def _source(self, part: Part) -> Source:
        if not part.from_table:
            return self.transport
        wakeups = self.kit.wakeups()
        if wakeups:
            self.metrics.watch(lambda: wakeups.connection)
        self.table = TableSource(
            await self.kit.store(),
            wakeups,
            lambda: self.transport.backlog(self._bounded()),
            lambda: self.transport.backlog(RETRACTING),
            self.settings.ingest,
            self.metrics,
            self.watcher.stalled,
        )
        return self.table

    def _bounded(self) -> Sequence[str]:
        """
        Whose backlog bounds what is claimed.

        Where it is all in memory, everybody's, but of those that have a bound of their own.
        """
        if self.transport.features.persistent:
            return DOWNSTREAM
        return [part.name for part in self.parts if part.name not in RETRACTING]

    def _health_server(self) -> HealthServer:
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


def _require_a_name_of_its_own(part: Part) -> None:
    if part.name in STAGES and not part.own:
        raise ConfigurationError(
            f"a consumer cannot be called {part.name!r}: that is a stage's name"
        )
