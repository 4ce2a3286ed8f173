"""The whole pipeline in memory: rows go in, and what became of them comes out."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from xnovu.adapters.memory.provider import MemoryProvider
from xnovu.adapters.memory.records import Record
from xnovu.adapters.memory.store import MemoryStore
from xnovu.adapters.memory.transport import MemoryTransport
from xnovu.adapters.table import TableOptions
from xnovu.compose.house import House, require_the_whole
from xnovu.compose.kit import Kit
from xnovu.compose.part import Part
from xnovu.compose.pipeline import Pipeline, Stages
from xnovu.compose.settings import HealthOptions, Settings
from xnovu.consuming.app import part_of
from xnovu.consuming.consumer import Declared
from xnovu.events import Failure, Status, Workflow
from xnovu.options import ProviderOptions
from xnovu.ports import Provider, Trigger
from xnovu.stage import utc_now
from xnovu.stages import hydrate, ingest, retract, status, trigger
from xnovu.testing.builders import ENTERPRISE, WORKFLOW
from xnovu.testing.waiting import eventually

PIPELINE = (ingest.part, hydrate.part, trigger.part, status.part, retract.part)
OPEN = frozenset({Status.PENDING, Status.PROCESSING})
QUICK: Mapping[str, Any] = {"backoff": 0.02, "pause_max": 0.1, "linger": 0.001}


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a row: its status, why if it FAILED, and the calls that the provider took."""

    id: int
    status: Status
    failure: Failure | None
    calls: Sequence[Trigger]

    @property
    def code(self) -> str:
        """Why it FAILED, in a word; empty if it did not."""
        return self.failure.code if self.failure else ""


@dataclass(slots=True)
class MemoryPipeline:
    """
    All stages on a store, a provider and a transport in memory, between enter and exit.

    ``store.records`` is the table; the workflow "welcome" of the enterprise "acme" is registered.
    ``provider`` may be one of your own, open: then no calls are told.
    """

    store: MemoryStore
    provider: Provider = field(default_factory=MemoryProvider)

    def register(self, key: str = WORKFLOW, enterprise_id: str = ENTERPRISE, **more: Any) -> None:
        """Register a workflow; ``more`` is what else the table has of it, as ``payload_schema``."""
        self.store.register(Workflow(workflow_key=key, enterprise_id=enterprise_id, **more))

    async def deliver(self, *rows: Mapping[str, Any], within: float = 15.0) -> Sequence[Ended]:
        """Insert the rows, wait until all have ended, and say how, in order."""
        ids = await self.store.insert(rows)
        await eventually(lambda: not any(map(self._is_open, ids)), within)
        return [self.ended(one) for one in ids]

    def ended(self, id: int) -> Ended:
        """How the row stands by now."""
        record = self.store.records[id]
        return Ended(id, record.notification_status, record.error_details, self._calls(record))

    def _is_open(self, id: int) -> bool:
        record = self.store.records[id]
        taken_back = record.notification_status is Status.RETRACTED
        unknown = taken_back and record.retraction_outcome is None
        return unknown or record.notification_status in OPEN

    def _calls(self, record: Record) -> Sequence[Trigger]:
        if not isinstance(self.provider, MemoryProvider):
            return ()
        return [c for c in self.provider.accepted.values() if c.notification.id == record.id]


@asynccontextmanager
async def memory_pipeline(
    *beside: Part | Declared[...],
    provider: Provider | None = None,
    now: Callable[[], datetime] = utc_now,
    settings: Settings | None = None,
) -> AsyncGenerator[MemoryPipeline]:
    """
    Run the pipeline with these consumers ``beside``; ``now`` tells the store's time.

    Without ``settings`` it waits as little as it can, and reads no file and no environment; stages
    of one's own are then between hydrate and trigger in the order in which they are given. Raises
    ConfigurationError if the settings name one that is not given.
    """
    pipeline = MemoryPipeline(MemoryStore(now), provider or MemoryProvider())
    pipeline.register()
    parts = [each if isinstance(each, Part) else part_of(each) for each in beside]
    kit = Kit(
        settings or _quick(tuple(part.name for part in parts if part.own)),
        "testing",
        given_store=pipeline.store,
        given_provider=pipeline.provider,
    )
    transport = MemoryTransport()
    require_the_whole((*PIPELINE, *parts), transport, kit.settings.pipeline)
    house = House((*PIPELINE, *parts), kit, transport)
    await house.open()
    await transport.start()
    await house.begin()
    try:
        yield pipeline
    finally:
        transport.close()
        await house.finish()
        await transport.stop()
        await house.close()


def _quick(between: tuple[str, ...]) -> Settings:
    names = (*Stages.model_fields, *between)
    return Settings.model_construct(
        provider=ProviderOptions(kind="memory", timeout=0.5, settle=0.1),
        ingest=TableOptions(sweep_busy=0.01, sweep_idle=0.05),
        pipeline=Pipeline(between=between),
        stages=Stages.model_validate(dict.fromkeys(names, QUICK)),
        health=HealthOptions(enabled=False),
    )
