"""The manager: starts and stops the pipeline of one enterprise, and tells how it fares."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from uuid import UUID

from prometheus_client import CollectorRegistry

from xnovu.adapters.logs import namespaces, speak_up
from xnovu.adapters.metrics import Metrics
from xnovu.compose.kit import Database, Kit
from xnovu.compose.settings import HealthOptions, LogOptions, Settings, load
from xnovu.connection import Connection, Link
from xnovu.desk import Search
from xnovu.errors import ConfigurationError
from xnovu.ports import Provider
from xnovu.stage import utc_now
from xnovu.subscription.callbacks import LISTENING, Callbacks, Listener, OnError, OnNotification
from xnovu.subscription.queue import QueueConfig
from xnovu.subscription.run import Run

log = logging.getLogger("xnovu.subscription")

DEBUG = "DEBUG"


@dataclass(frozen=True, slots=True)
class SubscriptionStatus:
    """
    How a manager fares, all of it since its last start.

    ``queue_length`` notifications are claimed and wait in memory for their turn, while
    ``active_processing`` are being worked on; what is due beyond that waits in the database.
    ``connection`` is that of the wake-ups, or where nobody gives any, the database's. ``trouble``
    says why no rows can be claimed, if so. ``missed_wakeups`` rows fell due unannounced.
    """

    is_active: bool
    queue_length: int
    active_processing: int
    connection: Connection
    missed_wakeups: int
    trouble: str | None = None


class SubscriptionManager:
    """
    Delivers the notifications of one enterprise from within this process.

    ``on_notification`` is called once for each notification that this manager brought to its end,
    SENT or FAILED, or RETRACTED and what came of that; ``on_error`` with
    :class:`NotificationFailed` for each that FAILED, and with another XNovuError where work waits
    (database or Novu away, a key refused), each of these by its code twice a minute at the most.
    Both may be async, and then take 10 seconds; if they are slower than the pipeline, it waits for
    them. What they raise is logged by its type.

    ``settings`` are read at each start, as the command reads them, unless they are given. Without
    a ``queue`` their stages hold. ``store`` and ``provider`` are to be given open, and stay so.

    It sets no signal handler, serves no port, and leaves the process's logging alone.
    """

    def __init__(  # noqa: PLR0913 - what may be left out is named
        self,
        enterprise_id: str | UUID,
        *,
        queue: QueueConfig | None = None,
        on_notification: OnNotification | None = None,
        on_error: OnError | None = None,
        settings: Settings | None = None,
        store: Database | None = None,
        provider: Provider | None = None,
    ) -> None:
        """Raise ConfigurationError for no enterprise, or a store that is not that one's only."""
        self.enterprise_id = _checked(str(enterprise_id), store)
        self._queue, self._settings = queue, settings
        self._store, self._provider = store, provider
        self._on_notification, self._on_error = on_notification, on_error
        self._metrics = Metrics()
        self._turn = asyncio.Lock()
        self._run: Run | None = None
        self._idle = Connection(Link.STOPPED, utc_now())

    @property
    def registry(self) -> CollectorRegistry:
        """What Prometheus may collect of this manager, over all its starts."""
        return self._metrics.registry

    async def start(self) -> None:
        """
        Begin to deliver; does nothing where it has begun.

        Does not wait for the database or Novu. Raises ConfigurationError, and nothing has begun.
        """
        async with self._turn:
            if self._run is None:
                callbacks = Callbacks(self._on_notification, self._on_error)
                run = Run(self._kit(self._chosen()), callbacks)
                await run.begin()
                self._run = run
                log.debug("started for enterprise %s", self.enterprise_id)

    async def stop(self) -> None:
        """
        Finish what is being worked on and give back the rest; does nothing where it has ended.

        Takes as long as what is in hand: a batch of a stage has half a minute. Cancelled, it ends
        at once; what was in hand then comes again when its claim lapses. Raises RuntimeError
        within a callback, for which it would wait.
        """
        if self._run and self._run.callbacks.inside:
            raise RuntimeError("stop() waits for callbacks: call it in a task of its own")
        async with self._turn:
            run, self._run = self._run, None
            if run:
                self._idle = Connection(Link.STOPPED, utc_now())
                await run.end()
                log.debug("stopped for enterprise %s", self.enterprise_id)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def get_status(self) -> SubscriptionStatus:
        """Tell how it fares just now; asks nobody."""
        run = self._run
        if run is None:
            return SubscriptionStatus(False, 0, 0, self._idle, 0)
        active, table = run.in_hand, run.table
        waiting = max(0, run.unsettled - active)
        how = table.connection, table.missed, table.trouble
        return SubscriptionStatus(True, waiting, active, *how)

    async def retry_failed_notifications(self, limit: int = 100) -> int:
        """
        Send up to ``limit`` FAILED notifications of this enterprise again; tells how many.

        The first to fail come first, whatever the reason: what is wrong in itself fails again.
        Each is a new sending with a transaction id of its own. Works whether started or not;
        raises XNovuError where the database cannot be asked.
        """
        async with self._desk() as desk:
            return await _redrive(desk, limit)

    @asynccontextmanager
    async def _desk(self) -> AsyncGenerator[Database]:
        """The store that is in use, or one for the while."""
        if self._run:
            yield await self._run.store()
            return
        kit = self._kit(self._chosen())
        async with kit.stack:
            yield await kit.store()

    def _kit(self, settings: Settings) -> Kit:
        return Kit(
            settings,
            Listener.name,
            self.enterprise_id,
            self._store,
            self._provider,
            self._metrics,
        )

    def _chosen(self) -> Settings:
        """The settings, as far as they are not this manager's own."""
        settings = self._settings or load()
        _let_speak(settings.log)
        consumers = {**settings.consumers, Listener.name: LISTENING}
        ours = {"health": HealthOptions(enabled=False), "consumers": consumers}
        queue = self._queue.applied(settings) if self._queue else {}
        return settings.model_copy(update={**ours, **queue})


def _checked(enterprise_id: str, store: Database | None) -> str:
    if not enterprise_id.strip():
        raise ConfigurationError("enterprise_id is empty: a manager is for one enterprise")
    if store and store.enterprise_id != enterprise_id:
        whose = store.enterprise_id or "every enterprise"
        said = f"the store given is for {whose}, the manager for {enterprise_id}"
        raise ConfigurationError(said)
    return enterprise_id


def _let_speak(options: LogOptions) -> None:
    """As loud as somebody has asked for; otherwise it is the host's logging that decides."""
    if "level" in options.model_fields_set:
        speak_up("xnovu", options.level)
    for name in namespaces(os.environ.get(DEBUG, "")):
        speak_up(name, "debug")


async def _redrive(desk: Database, limit: int) -> int:
    """A store may list fewer than it is asked for; what has failed anew is not taken twice."""
    seen: set[int] = set()
    sent = 0
    while len(seen) < limit:
        found = [failed.key for failed in await desk.failed(Search(), limit - len(seen))]
        keys = [key for key in found if key.notification_id not in seen]
        if not keys:
            break
        seen |= {key.notification_id for key in keys}
        sent += len(await desk.redrive(keys, who=Listener.name))
    return sent
