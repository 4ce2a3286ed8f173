"""The same stages with nothing real around them: the ports are all they need."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from tests.conftest import eventually
from xnovu.adapters.memory.provider import MemoryProvider
from xnovu.adapters.memory.store import MemoryStore
from xnovu.adapters.memory.transport import MemoryTransport
from xnovu.adapters.metrics import Metrics
from xnovu.adapters.table import TableOptions, TableSource
from xnovu.errors import Paused, Permanent
from xnovu.events import Workflow
from xnovu.policy import Policy
from xnovu.ports import Backlog
from xnovu.sending import SendTimes
from xnovu.stage import Actor
from xnovu.stages.hydrate import Hydrate
from xnovu.stages.ingest import Ingest
from xnovu.stages.retract import Retract
from xnovu.stages.status import Record
from xnovu.stages.trigger import Trigger

ACME = "11111111-1111-4111-8111-111111111111"
TIMES = SendTimes(0.2, 0.2)
POLICY = Policy(backoff=0.02, linger=0.001)
QUICK = TableOptions(sweep_busy=0.01, sweep_idle=0.05)


@asynccontextmanager
async def pipeline(store: MemoryStore, provider: MemoryProvider) -> AsyncIterator[None]:
    transport = MemoryTransport()

    async def backlog() -> Backlog:
        return await transport.backlog(["hydrate", "trigger", "status"])

    async def retractions() -> Backlog:
        return await transport.backlog(["retract"])

    table = TableSource(store, None, backlog, retractions, QUICK, Metrics())
    table.subscribe("ingest", ["ingest"], POLICY, Actor(Ingest(), POLICY, transport))
    stages = Hydrate(store), Trigger(store, provider, TIMES), Record(store)
    for stage in (*stages, Retract(store, provider, TIMES)):
        kinds = [event.kind for event in stage.accepts]
        transport.subscribe(stage.name, kinds, POLICY, Actor(stage, POLICY, transport))
    await transport.start()
    await table.start()
    try:
        yield
    finally:
        await table.stop()
        await transport.stop()


def a_store() -> MemoryStore:
    store = MemoryStore()
    store.register(Workflow(workflow_key="welcome", enterprise_id=ACME))
    return store


async def filled(store: MemoryStore, rows: int, workflow: str = "welcome") -> list[int]:
    row = {"enterprise_id": ACME, "notification_workflow_id": workflow}
    return list(await store.insert([{**row, "recipients": [str(uuid4())]} for _ in range(rows)]))


def statuses(store: MemoryStore) -> list[str]:
    return [record.notification_status for record in store.records.values()]


async def test_every_notification_ends_with_one_status():
    store, provider = a_store(), MemoryProvider()
    ids = await filled(store, 200)
    provider.refusals[ids[5]] = Permanent("no", code="provider_refused")
    async with pipeline(store, provider):
        await eventually(lambda: statuses(store).count("SENT") == 199)
        await eventually(lambda: statuses(store).count("FAILED") == 1)
    assert len(provider.accepted) == 199
    assert max(provider.asked.values()) == 1


async def test_nothing_fails_because_the_provider_was_away():
    store, provider = a_store(), MemoryProvider()
    for notification in await filled(store, 20):
        provider.refusals[notification] = Paused("away", after=0.01)
    async with pipeline(store, provider):
        await eventually(lambda: provider.asked.total() > 60)
        assert set(statuses(store)) <= {"PENDING", "PROCESSING"}
        provider.refusals.clear()
        await eventually(lambda: statuses(store) == ["SENT"] * 20)
    assert len(provider.accepted) == 20


async def retracted(store: MemoryStore, ids: list[int]) -> None:
    keys = [store.records[notification].key for notification in ids]
    assert len(await store.retract(keys, "a mistake")) == len(ids)


def outcomes(store: MemoryStore, ids: list[int]) -> set[str | None]:
    return {store.records[notification].retraction_outcome for notification in ids}


async def test_what_is_taken_back_before_it_is_sent_is_stopped():
    store, provider = a_store(), MemoryProvider()
    ids = await filled(store, 20)
    for notification in ids:
        provider.refusals[notification] = Paused("away", after=0.01)
    async with pipeline(store, provider):
        await eventually(lambda: set(statuses(store)) == {"PROCESSING"})
        await retracted(store, ids)
        provider.refusals.clear()
        await eventually(lambda: outcomes(store, ids) == {"stopped"})
    assert provider.accepted == {}
    assert set(statuses(store)) == {"RETRACTED"}


async def test_what_is_taken_back_later_is_cancelled_if_it_still_waits():
    store, provider = a_store(), MemoryProvider(delayed=["digest"])
    store.register(Workflow(workflow_key="digest", enterprise_id=ACME))
    waiting, sent = await filled(store, 10, "digest"), await filled(store, 10)
    async with pipeline(store, provider):
        await eventually(lambda: set(statuses(store)) == {"SENT"})
        await retracted(store, [*waiting, *sent])
        await eventually(lambda: outcomes(store, waiting) == {"cancelled"})
        await eventually(lambda: outcomes(store, sent) == {"too_late"})
