"""The host's two functions, called so that nothing they do harms the pipeline."""

import asyncio
import inspect
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from xnovu.compose.house import Unwatched
from xnovu.envelope import Envelope
from xnovu.errors import Paused, Retryable, XNovuError, describe
from xnovu.events import Status, StatusChanged
from xnovu.policy import Done, Hold, Policy, Result

log = logging.getLogger("xnovu.subscription")

OnNotification = Callable[[StatusChanged], object]
OnError = Callable[[XNovuError], object]

PATIENCE = 10.0
"""Seconds that an async callback may take; then it is cancelled."""

LISTENING = Policy(batch=100, slots=1)
"""Callbacks under way at a time; its timeout is longer than their patience."""

AGAIN = 30.0
"""Seconds in which one trouble, by its code, is told once."""


class NotificationFailed(XNovuError):
    """A notification ended FAILED; ``event`` is what became of it, and ``code`` says why."""

    def __init__(self, event: StatusChanged) -> None:
        failure = event.failure
        code, why = (failure.code, failure.message) if failure else ("unknown", "no reason given")
        super().__init__(f"notification {event.notification_id}: {why}", code=code)
        self.event = event


class Callbacks:
    """
    Calls the host's functions, which may be sync or async.

    What one raises is logged by its type only. One that takes longer than ``patience`` seconds is
    cancelled; a sync one cannot be, and holds everything up.
    """

    def __init__(
        self,
        on_notification: OnNotification | None,
        on_error: OnError | None,
        patience: float = PATIENCE,
    ) -> None:
        self._on_notification, self._on_error = on_notification, on_error
        self._patience, self._budget = patience, float("inf")
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def inside(self) -> bool:
        """Whether it is one of the callbacks that asks."""
        return asyncio.current_task() in self._under_way

    def hurry(self) -> None:
        """From now on all calls together have the patience of one: the process is stopping."""
        self._budget = self._patience

    async def tell(self, changes: Sequence[StatusChanged]) -> None:
        """Call for each of these, all at a time; ends when they have, or when it is too late."""
        calls = [call for change in changes for call in self._told(change)]
        await self._wait([self._begin(name, call) for name, call in calls])

    def trouble(self, error: XNovuError) -> None:
        """Begin to call ``on_error``; nobody waits for it."""
        if self._on_error:
            self._begin("on_error", _called(self._on_error, error))

    async def close(self) -> None:
        """Wait for what is under way, with the same patience."""
        await self._wait(list(self._under_way))

    def abandon(self) -> None:
        """Wait for nothing."""
        for task in self._under_way:
            task.cancel()

    def _told(self, change: StatusChanged) -> Sequence[tuple[str, Coroutine[Any, Any, None]]]:
        calls: list[tuple[str, Coroutine[Any, Any, None]]] = []
        if self._on_notification:
            calls.append(("on_notification", _called(self._on_notification, change)))
        if self._on_error and change.status is Status.FAILED:
            failed = NotificationFailed(change)
            calls.append(("on_error", _called(self._on_error, failed)))
        return calls

    def _begin(self, name: str, call: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(call, name=name)
        timer = asyncio.get_running_loop().call_later(self._patience, task.cancel)
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        task.add_done_callback(lambda _: timer.cancel())
        return task

    async def _wait(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """However stubborn they are: to be called twice would be worse."""
        began = time.monotonic()
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=max(0.0, min(self._patience, self._budget)))
        finally:
            self._budget -= time.monotonic() - began
            for task in tasks:
                task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        name = task.get_name()
        if task.cancelled():
            log.error("%s was cancelled: it may take %g s", name, self._patience)
        elif error := task.exception():
            log.error("%s raised %s", name, type(error).__qualname__)


class Listener:
    """A consumer beside the pipeline: every notification that this process brought to its end."""

    name = "subscription"
    accepts = (StatusChanged,)

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks

    async def handle(self, batch: Sequence[Envelope[StatusChanged]]) -> Sequence[Result]:
        changes = [envelope.event for envelope in batch]
        for change in changes:
            code = change.failure.code if change.failure else ""
            log.debug("notification %d: %s %s", change.notification_id, change.status, code)
        await self._callbacks.tell(changes)
        return [Done()] * len(batch)


class Troubles(Unwatched):
    """A watcher that tells what keeps work waiting: each kind of it once in a while."""

    def __init__(
        self, tell: Callable[[XNovuError], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell, self._clock = tell, clock
        self._told: dict[str, float] = {}

    def held(self, stage: str, size: int, hold: Hold) -> None:
        self._once(stage, Paused(hold.reason, code=hold.code, after=hold.after))

    def stalled(self, error: Exception) -> None:
        known = isinstance(error, XNovuError)
        self._once("ingest", error if known else Retryable(describe(error), code="unexpected"))

    def _once(self, stage: str, error: XNovuError) -> None:
        log.debug("%s waits: %s", stage, error)
        now = self._clock()
        if now - self._told.get(error.code, -AGAIN) >= AGAIN:
            self._told[error.code] = now
            self._tell(error)


async def _called(callback: Callable[[Any], object], argument: object) -> None:
    answer = callback(argument)
    if inspect.isawaitable(answer):
        await answer
