"""
Analytics: how many notifications of each enterprise reached which status.

A consumer beside the pipeline, and the pattern for one of your own: it has a mailbox of its own on
the status subjects, so it misses nothing, slows nothing down, and can be replayed.
"""

from collections import Counter as Tally
from collections.abc import Sequence

from faststream import FastStream
from prometheus_client import Counter

from xnovu.compose import Kit, Part, serve
from xnovu.envelope import Envelope
from xnovu.events import StatusChanged
from xnovu.policy import Done, Result


class Analytics:
    """Counts a batch at once; one series for each enterprise and status, on ``/metrics``."""

    name = "analytics"
    accepts = (StatusChanged,)

    def __init__(self, statuses: Counter) -> None:
        self._statuses = statuses

    async def handle(self, batch: Sequence[Envelope[StatusChanged]]) -> Sequence[Result]:
        for labels, count in Tally((e.enterprise_id, e.event.status.value) for e in batch).items():
            self._statuses.labels(*labels).inc(count)
        return [Done()] * len(batch)


async def build(kit: Kit) -> Analytics:
    what = "Notifications that reached a status"
    labels = ("enterprise", "status")
    return Analytics(Counter("xnovu_notifications", what, labels, registry=kit.metrics.registry))


part = Part(Analytics.name, Analytics.accepts, build)


def app() -> FastStream:
    return serve(part)
