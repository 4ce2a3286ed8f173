"""What Prometheus sees: counts, sizes and seconds of every stage, and of ingest."""

import asyncio
import logging
import time
import traceback
from collections import Counter as Tally
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.process_collector import ProcessCollector

from xnovu.connection import Connection, Link
from xnovu.errors import describe
from xnovu.observer import Observer, Report, outcome
from xnovu.policy import Hold

SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


@dataclass(slots=True)
class _Batch:
    """
    A batch in hand; ``sign`` is when it last gave one, or when its hold ends (monotonic).

    ``hold`` is what it was last held for, and ``held_since`` when it was first.
    """

    stage: str
    size: int
    sign: float
    hold: Hold | None = None
    held_since: float = 0.0


class Metrics:
    """
    An observer that counts, on a registry of its own.

    No series is labelled with the enterprise: there may be any number of them. A batch is told
    from its neighbours by the task it runs in, so call it from within that task, as an actor does.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._clock = clock
        self._hands: dict[asyncio.Task[Any] | None, _Batch] = {}
        self._stages: set[str] = set()
        self._pauses: set[tuple[str, str]] = set()
        self._hints: tuple[Gauge, Gauge] | None = None
        self._stage_series()
        self._ingest_series()

    def _stage_series(self) -> None:
        self._messages = self._counter(
            "xnovu_messages", "Messages by what became of them", "stage", "outcome", "code"
        )
        self._batches = self._counter("xnovu_batches", "Batches finished", "stage")
        self._holds = self._counter("xnovu_holds", "Times a batch was held", "stage", "code")
        self._sizes = self._histogram("xnovu_batch_size", "Messages in a batch", SIZES)
        self._seconds = self._histogram("xnovu_batch_seconds", "Seconds a batch took", SECONDS)
        self._in_hand = self._gauge("xnovu_in_hand", "Messages being worked on", "stage")
        self._paused = self._gauge("xnovu_paused", "1 while a batch is held", "stage", "code")
        self._ready = self._gauge("xnovu_ready", "What /readyz says of each check", "check")
        self._progress = self._gauge(
            "xnovu_last_progress_timestamp_seconds", "When a batch last came or went", "stage"
        )

    def _ingest_series(self) -> None:
        self._claimed = self._counter("xnovu_claimed", "Rows that ingest has taken")
        self._missed = self._counter("xnovu_missed_wakeups", "Due rows that no hint told of")
        self._backlog = self._gauge("xnovu_backlog", "Messages the stages have not settled")

    def began(self, stage: str, size: int) -> None:
        self._forget_the_killed()
        self._hands[asyncio.current_task()] = _Batch(stage, size, self._clock())
        self._stages.add(stage)
        self._sizes.labels(stage).observe(size)
        self._progress.labels(stage).set_to_current_time()

    def held(self, stage: str, size: int, hold: Hold) -> None:
        """Being held is a sign of life until the hold is over: waiting is not being stuck."""
        self._holds.labels(stage, hold.code).inc()
        self._pauses.add((stage, hold.code))
        if batch := self._hands.get(asyncio.current_task()):
            now = self._clock()
            batch.held_since = batch.held_since if batch.hold else now
            batch.sign, batch.hold = now + hold.after, hold

    def finished(self, report: Report) -> None:
        self._hands.pop(asyncio.current_task(), None)
        outcomes = Tally(outcome(fate) for _, fate in report.fates)
        for (became, code), count in outcomes.items():
            self._messages.labels(report.stage, became, code).inc(count)
        self._batches.labels(report.stage).inc()
        self._seconds.labels(report.stage).observe(report.seconds)
        self._progress.labels(report.stage).set_to_current_time()

    def progress(self, stage: str) -> tuple[int, float]:
        """
        How many messages the stage has in hand, and for how many seconds it gave no sign of life.

        The silence is that of its most silent batch: since that came in, or since its hold was
        over. With nothing in hand it is 0: an idle stage is not stuck.
        """
        self._forget_the_killed()
        batches = [batch for batch in self._hands.values() if batch.stage == stage]
        signs = [self._clock() - batch.sign for batch in batches]
        return sum(batch.size for batch in batches), max([0.0, *signs])

    def held_for(self, seconds: float) -> str | None:
        """What a stage has held a batch for, for longer than so many seconds; None if none has."""
        self._forget_the_killed()
        for batch in self._hands.values():
            since = self._clock() - batch.held_since
            if batch.hold and since > seconds:
                code, why = batch.hold.code, batch.hold.reason
                return f"{batch.stage}: work held for {since:.0f} s ({code}): {why}"
        return None

    def ready(self, checks: Mapping[str, bool]) -> None:
        """Show which of the health page's checks are content."""
        for name, content in checks.items():
            self._ready.labels(name).set(content)

    def claimed(self, rows: int) -> None:
        """Count rows that ingest has taken."""
        self._claimed.inc(rows)

    def missed_wakeups(self, rows: int = 1) -> None:
        """Count due rows that the sweep found and no hint had told of."""
        self._missed.inc(rows)

    def watch(self, connection: Callable[[], Connection]) -> None:
        """Show how the wake-ups are connected, from now on; the last that was named counts."""
        if self._hints is None:
            self._hints = (
                self._gauge("xnovu_wakeups_connected", "1 while hints can come through"),
                self._gauge("xnovu_wakeups_reconnects", "Times the hints' connection was lost"),
            )
        connected, lost = self._hints
        connected.set_function(lambda: connection().state is Link.CONNECTED)
        lost.set_function(lambda: connection().reconnects)

    def backlog(self, messages: int) -> None:
        """Show how many messages the stages have not settled yet."""
        self._backlog.set(messages)

    def render(self) -> tuple[str, bytes]:
        """Write everything in Prometheus' text format: the content type, and the bytes."""
        self._tell_hands()
        return CONTENT_TYPE_PLAIN_0_0_4, generate_latest(self.registry)

    def _forget_the_killed(self) -> None:
        """A batch whose task was killed is never reported as finished, and is in no hand."""
        for task in [task for task in self._hands if task and task.done()]:
            del self._hands[task]

    def _tell_hands(self) -> None:
        for stage in self._stages:
            self._in_hand.labels(stage).set(self.progress(stage)[0])
        held = {(batch.stage, batch.hold.code) for batch in self._hands.values() if batch.hold}
        for stage, code in self._pauses:
            self._paused.labels(stage, code).set((stage, code) in held)

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(name, what, labels, registry=self.registry)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(name, what, labels, registry=self.registry)

    def _histogram(self, name: str, what: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, what, ["stage"], buckets=buckets, registry=self.registry)


class Observers:
    """
    Several observers behind the one hook.

    One that raises harms neither the batch nor the others; it is logged the first time.
    """

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers
        self._failed: set[int] = set()

    def began(self, stage: str, size: int) -> None:
        self._tell(lambda observer: observer.began(stage, size))

    def held(self, stage: str, size: int, hold: Hold) -> None:
        self._tell(lambda observer: observer.held(stage, size, hold))

    def finished(self, report: Report) -> None:
        self._tell(lambda observer: observer.finished(report))

    def _tell(self, call: Callable[[Observer], None]) -> None:
        for observer in self._observers:
            try:
                call(observer)
            except Exception as error:  # noqa: BLE001 - looking on must never harm the work
                self._log_once(observer, error)

    def _log_once(self, observer: Observer, error: Exception) -> None:
        if id(observer) in self._failed:
            return
        self._failed.add(id(observer))
        where = traceback.extract_tb(error.__traceback__)[-1]
        logging.getLogger("xnovu").error(
            "an observer fails: %s at %s:%d: %s",
            type(observer).__qualname__,
            where.filename,
            where.lineno,
            describe(error),
        )
