"""Stages of version 0.1 are at work while the database is migrated and this version takes over."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.conftest import eventually
from tests.upgrades import old_scripts, skip_unless_known
from tests.upgrades.belt import Belt, Killed, Mortal
from tests.upgrades.stage_of_0_1 import OldDelivery, OldRetract, OldStore, OldTrigger
from xnovu.adapters.novu import NovuOptions
from xnovu.adapters.postgres.migrations import migrate
from xnovu.compose.kit import Database, Kit
from xnovu.compose.secrets import DATABASE_URL, NOVU_KEY
from xnovu.compose.settings import Settings
from xnovu.envelope import Envelope
from xnovu.errors import Paused, Retryable, XNovuError
from xnovu.events import Hydrated, Key
from xnovu.policy import Done, Result
from xnovu.ports import Provider
from xnovu.sending import SendTimes
from xnovu.stages.hydrate import Hydrate
from xnovu.stages.retract import Retract
from xnovu.stages.trigger import Trigger
from xnovu.store import Outcome
from xnovu_local.novu import Fault, LocalNovu, LocalNovuOptions, running_novu

ACME = UUID("11111111-1111-4111-8111-111111111111")
TIMES = SendTimes(lease=1.0, settle=1.0)
QUIET = 3.0
"""Seconds for which an old stage's row is its alone; as many times ``TIMES`` as it was then."""
CLAIM = 8.0
PORTION = 60
WORKERS = 3
PATIENCE = 120.0

COUNT = "SELECT count(*) AS n FROM notify.ent_notification WHERE notification_status = ANY (%s)"
INSERT = """
INSERT INTO notify.ent_notification (enterprise_id, notification_workflow_id, recipients)
SELECT %s, 'welcome', ARRAY[gen_random_uuid()] FROM generate_series(1, %s)
"""
RETRACT = """
UPDATE notify.ent_notification SET notification_status = 'RETRACTED'
WHERE id IN (SELECT id FROM notify.ent_notification WHERE notification_status = 'PROCESSING'
             ORDER BY random() LIMIT 4)
"""
OPEN = """
SELECT id FROM notify.ent_notification WHERE notification_status IN ('PENDING', 'PROCESSING')
   OR notification_status = 'RETRACTED' AND retraction_outcome IS NULL
"""

FAULTS = [
    Fault("500", accepted=True, probability=0.08, count=None, seed=1),
    Fault("500", probability=0.08, count=None, seed=2),
    Fault("reset_after_accept", probability=0.08, count=None, seed=3),
    Fault("reset_before", probability=0.08, count=None, seed=4),
    Fault("429", probability=0.08, count=None, seed=5),
]


@dataclass
class Fleet:
    """What the workers of both versions share; each of them is a task of its own."""

    dsn: str
    novu: LocalNovu
    settings: Settings
    chance: random.Random
    belt: Belt
    stack: AsyncExitStack
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self.dsn, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(query.encode(), arguments)
            return cursor.fetchall() if cursor.description else []

    def count(self, *statuses: str) -> int:
        return self.rows(COUNT, list(statuses))[0]["n"]

    def insert(self) -> None:
        self.rows(INSERT, ACME, PORTION)

    def retract(self) -> None:
        """Some of those that are under way."""
        self.rows(RETRACT)

    async def old_store(self) -> OldStore:
        store = await OldStore.open(self.dsn)
        self.stack.push_async_callback(store.close)
        return store

    async def kit(self) -> Kit:
        kit = Kit(self.settings, "trigger")
        await self.stack.enter_async_context(kit.stack)
        return kit

    async def provider(self) -> Provider:
        return Mortal(await (await self.kit()).provider(), self.chance)

    def at_work(self, work: Callable[[], Awaitable[Any]], every: float = 0.01) -> None:
        """A worker that does this again and again, until it is killed."""

        async def for_ever() -> None:
            await eventually(lambda: _never(work), within=10 * PATIENCE, every=every)

        self.tasks.append(asyncio.create_task(for_ever()))

    async def kill(self, count: int) -> None:
        """So many of the workers that began first."""
        killed, self.tasks = self.tasks[:count], self.tasks[count:]
        for task in killed:
            task.cancel()
        for ended in await asyncio.gather(*killed, return_exceptions=True):
            assert isinstance(ended, asyncio.CancelledError), repr(ended)

    def check(self) -> None:
        """No worker has ended by itself."""
        for task in self.tasks:
            if task.done():
                task.result()


async def _never(work: Callable[[], Awaitable[Any]]) -> None:
    """Do it; what fails for a while is done again."""
    with suppress(Paused, Retryable):
        await work()


async def work_on(
    belt: Belt,
    handle: Callable[[Sequence[OldDelivery]], Awaitable[Sequence[Result]]],
    record: Callable[[Sequence[Key]], Awaitable[Any]],
    dies: Callable[[], None],
) -> None:
    """One batch from the belt to its end, or to the worker's."""
    if not (batch := belt.take()):
        return
    try:
        results = await handle(batch)
        dies()
        sent = [d.event.key for d, r in zip(batch, results, strict=True) if _is_sent(r)]
        if sent:
            await record(sent)
    except (Killed, asyncio.CancelledError, XNovuError) as end:
        belt.give_back(batch)
        if isinstance(end, asyncio.CancelledError):
            raise
        return
    for delivery, result in zip(batch, results, strict=True):
        belt.settle(delivery, result)


def _is_sent(result: Result) -> bool:
    return isinstance(result, Done) and bool(result.events)


async def start_old(fleet: Fleet) -> None:
    """An ingest, a hydrate, triggers and a retract as they were."""
    store = await fleet.old_store()
    fleet.at_work(lambda: old_ingest(fleet.belt, store), every=0.1)
    for _ in range(WORKERS):
        mine, provider = await fleet.old_store(), await fleet.provider()
        stage = OldTrigger(mine, provider, QUIET, TIMES.settle, TIMES.lease)
        fleet.at_work(_working(fleet, stage.handle, mine.record, provider))
    theirs = await fleet.old_store()
    retract, open_ones = OldRetract(theirs, await fleet.provider(), QUIET), []

    async def take_back() -> None:
        taken = await theirs.claim_retractions(10, CLAIM)
        open_ones[:] = await retract.handle([*open_ones, *taken])

    fleet.at_work(take_back, every=0.2)


async def old_ingest(belt: Belt, store: OldStore) -> None:
    await store.next_due()
    claims = {captured.key: captured for captured in await store.claim(20, CLAIM)}
    for key, row in (await store.load(list(claims))).items():
        belt.put(_hydrated(key, row.notification))


def _hydrated(key: Key, notification: Any) -> Hydrated:
    return Hydrated(
        notification_id=key.notification_id,
        enterprise_id=key.enterprise_id,
        generation=key.generation,
        claims=key.claims,
        notification=notification,
    )


async def start_new(fleet: Fleet) -> None:
    """The same of this version."""
    store = await (await fleet.kit()).store()
    fleet.at_work(lambda: new_ingest(fleet.belt, store), every=0.1)
    for _ in range(WORKERS):
        mine, provider = await (await fleet.kit()).store(), await fleet.provider()
        stage = Trigger(mine, provider, TIMES)
        fleet.at_work(_working(fleet, _enveloped(stage), _recorder(mine), provider))
    theirs = await (await fleet.kit()).store()
    retract, open_ones = Retract(theirs, await fleet.provider(), TIMES), []

    async def take_back() -> None:
        open_ones[:] += await theirs.claim_retractions(10, CLAIM)
        results = await retract.handle([Envelope(event) for event in open_ones])
        told = zip(list(open_ones), results, strict=True)
        open_ones[:] = [event for event, result in told if not isinstance(result, Done)]

    fleet.at_work(take_back, every=0.2)


async def new_ingest(belt: Belt, store: Database) -> None:
    claims = await store.claim(20, CLAIM)
    for result in await Hydrate(store).handle([Envelope(claim.captured) for claim in claims]):
        assert isinstance(result, Done)
        [event] = result.events
        assert isinstance(event, Hydrated)
        belt.put(event)
    store.handed_over([claim.captured.key for claim in claims])


def _working(fleet: Fleet, handle: Any, record: Any, provider: Any) -> Callable[[], Awaitable[Any]]:
    return lambda: work_on(fleet.belt, handle, record, provider.dies)


def _enveloped(stage: Trigger) -> Callable[[Sequence[OldDelivery]], Awaitable[Sequence[Result]]]:
    return lambda batch: stage.handle([Envelope(delivery.event) for delivery in batch])


def _recorder(store: Database) -> Callable[[Sequence[Key]], Awaitable[Any]]:
    return lambda keys: store.record([Outcome(key) for key in keys])


@pytest.fixture
def old_database(database: str) -> str:
    """As version 0.1 left it, with one workflow."""
    with psycopg.connect(database, autocommit=True) as connection:
        skip_unless_known(connection.info, len(old_scripts()))
        for script in old_scripts().values():
            connection.execute(script.encode())
        connection.execute(
            "INSERT INTO notify.ent_notification_workflow (workflow_key, enterprise_id)"
            " VALUES ('welcome', %s)",
            [ACME],
        )
    return database


@pytest.fixture
async def fleet(
    old_database: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[Fleet]:
    for name, value in {DATABASE_URL: old_database, NOVU_KEY: "local"}.items():
        monkeypatch.setenv(name, value)
    chance = random.Random(getattr(request, "param", 0))
    options = LocalNovuOptions(fan_out_delay=0.05, dedupe_gap=0.02)
    async with running_novu(options) as novu, AsyncExitStack() as stack:
        provider = NovuOptions(url=novu.url, settle=TIMES.settle, timeout=TIMES.lease)
        settings = Settings(provider=provider)
        around = Fleet(old_database, novu.novu, settings, chance, Belt(chance), stack)
        yield around
        await around.kill(len(around.tasks))


@pytest.mark.parametrize("fleet", [1, 2], indirect=True)
async def test_every_row_is_sent_once_while_the_new_version_takes_over(fleet: Fleet) -> None:
    fleet.novu.script(*FAULTS)
    fleet.insert()
    await start_old(fleet)
    old = len(fleet.tasks)
    await reached(fleet, PORTION // 2)
    fleet.insert()
    await asyncio.to_thread(migrate, fleet.dsn)
    await start_new(fleet)
    fleet.retract()
    await reached(fleet, PORTION)
    fleet.insert()
    for nth in range(old):
        await reached(fleet, PORTION + PORTION * nth // old)
        fleet.retract()
        await fleet.kill(1)
    await eventually(lambda: is_over(fleet), within=PATIENCE, every=0.1)
    assert_each_was_sent_once(fleet)


async def reached(fleet: Fleet, sent: int) -> None:
    """So many have ended."""
    await eventually(lambda: fleet.count("SENT") >= sent, within=PATIENCE, every=0.05)
    fleet.check()


def is_over(fleet: Fleet) -> bool:
    still_open = fleet.rows(OPEN)
    assert not still_open, f"{len(still_open)} are open"
    return True


def assert_each_was_sent_once(fleet: Fleet) -> None:
    rows = fleet.rows("SELECT * FROM notify.ent_notification ORDER BY id")
    assert len(rows) == 3 * PORTION
    assert fleet.belt.given_up == []
    assert fleet.novu.ledger.doubled() == []
    assert {row["id"]: accepted(fleet, row) for row in rows} == {
        row["id"]: due(row) for row in rows
    }
    assert {row["notification_status"] for row in rows} <= {"SENT", "RETRACTED"}
    asked = fleet.novu.ledger.look_ups
    for row in (row for row in rows if row["notification_status"] == "SENT"):
        given = fleet.belt.delivered[row["id"]]
        assert asked[row["transaction_id"]] <= (given if given > 1 else 0), dict(row)


def accepted(fleet: Fleet, row: dict[str, Any]) -> int:
    found = fleet.novu.ledger.find(str(row["transaction_id"]))
    return found.accepted if found else 0


def due(row: dict[str, Any]) -> int:
    """How often Novu must have accepted it."""
    return 0 if row["retraction_outcome"] == "stopped" else 1
