"""
Analytics: how many notifications of each enterprise reached which status.

A consumer beside the pipeline, as yours may be: it has a mailbox of its own on the status subjects,
so it misses nothing, slows nothing down, and can be replayed.
"""

from collections import Counter as Tally
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated

from faststream import Context
from prometheus_client import CollectorRegistry, Counter

from xnovu.consuming.app import part_of
from xnovu.consuming.consumer import consumer
from xnovu.events import StatusChanged


@asynccontextmanager
async def counting(
    registry: Annotated[CollectorRegistry, Context()],
) -> AsyncGenerator[Mapping[str, Counter]]:
    """One series for each enterprise and status, on ``/metrics``."""
    what = "Notifications that reached a status"
    labels = ("enterprise", "status")
    yield {"statuses": Counter("xnovu_notifications", what, labels, registry=registry)}


@consumer(StatusChanged, name="analytics", start="all", lifespan=counting)
async def analytics(changes: list[StatusChanged], statuses: Annotated[Counter, Context()]) -> None:
    """Count a batch at once."""
    for labels, count in Tally((each.enterprise_id, each.status.value) for each in changes).items():
        statuses.labels(*labels).inc(count)


part = part_of(analytics)
