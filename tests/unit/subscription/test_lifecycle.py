"""A manager's life: started, stopped, cancelled, twice, two at a time, and what it leaves alone."""

import asyncio
import logging
import signal
import threading
from collections.abc import Sequence
from uuid import uuid4

import pytest
import structlog

import xnovu
from tests.conftest import eventually
from xnovu import NotificationFailed, QueueConfig, SubscriptionManager
from xnovu.adapters.memory.provider import MemoryProvider
from xnovu.adapters.memory.store import MemoryStore
from xnovu.adapters.table import TableOptions
from xnovu.compose.settings import LogOptions, Settings
from xnovu.connection import Link
from xnovu.errors import (
    ConfigurationError,
    Paused,
    Permanent,
    Retryable,
    Unclear,
    XNovuError,
)
from xnovu.events import Status, Workflow
from xnovu.ports import Trigger
from xnovu.sending import SendTimes, Verdict

ACME = "11111111-1111-4111-8111-111111111111"
GLOBEX = "22222222-2222-4222-8222-222222222222"
QUICK = Settings(ingest=TableOptions(sweep_busy=0.01, sweep_idle=0.05), log=LogOptions())


class Gate(MemoryProvider):
    """A provider that waits until it is opened, and counts who waits."""

    def __init__(self, *, is_open: bool = False) -> None:
        super().__init__()
        self.inside, self.most, self.opened = 0, 0, asyncio.Event()
        if is_open:
            self.opened.set()

    async def trigger(self, calls: Sequence[Trigger], until: float) -> Sequence[XNovuError | None]:
        self.inside += len(calls)
        self.most = max(self.most, self.inside)
        try:
            await self.opened.wait()
            return await super().trigger(calls, until)
        finally:
            self.inside -= len(calls)


class Away(MemoryStore):
    """A database that answers nobody while it is away."""

    away = False

    async def claim(self, limit, lease, *, idle_only=False):
        if self.away:
            raise Paused("the database is away", code="store_unavailable")
        return await super().claim(limit, lease)


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No configuration but the test's own, and loggers as they were."""
    monkeypatch.delenv("DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)
    loggers = [logging.getLogger(name) for name in ("xnovu", "xnovu.subscription")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.NOTSET)
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture
def tables() -> MemoryStore:
    store = MemoryStore()
    for enterprise in (ACME, GLOBEX):
        store.register(Workflow(workflow_key="welcome", enterprise_id=enterprise))
    return store


async def insert(tables: MemoryStore, rows: int = 1, enterprise: str = ACME, **columns) -> None:
    row = {"enterprise_id": enterprise, "notification_workflow_id": "welcome", **columns}
    await tables.insert([{"recipients": [str(uuid4())], **row} for _ in range(rows)])


def statuses(tables: MemoryStore, enterprise: str = ACME) -> list[str]:
    records = [each for each in tables.records.values() if each.enterprise_id == enterprise]
    return [record.notification_status.value for record in records]


def a_manager(tables: MemoryStore, enterprise: str = ACME, **options) -> SubscriptionManager:
    options = {"settings": QUICK, "provider": MemoryProvider(), **options}
    return SubscriptionManager(enterprise, store=tables.only(enterprise), **options)


def refused(tables: MemoryStore, provider: MemoryProvider) -> None:
    for number in tables.records:
        provider.refusals[number] = Permanent("no", code="provider_refused")


async def test_what_is_inserted_is_sent_and_told(tables: MemoryStore):
    ends, errors = [], []
    await insert(tables, 20)
    await insert(tables, recipients=[])
    async with a_manager(tables, on_notification=ends.append, on_error=errors.append):
        await eventually(lambda: len(ends) == 21)
    assert sorted(statuses(tables)) == ["FAILED", *["SENT"] * 20]
    assert sorted(change.notification_id for change in ends) == list(range(1, 22))
    [error] = errors
    assert isinstance(error, NotificationFailed)
    assert (error.event.notification_id, error.code) == (21, "recipients_invalid")


async def test_another_enterprises_rows_are_out_of_sight(tables: MemoryStore):
    await insert(tables, 5, GLOBEX)
    await insert(tables, 5)
    provider = MemoryProvider()
    async with a_manager(tables, provider=provider):
        await eventually(lambda: statuses(tables) == ["SENT"] * 5)
    assert statuses(tables, GLOBEX) == ["PENDING"] * 5
    assert {call.notification.enterprise_id for call in provider.accepted.values()} == {ACME}


async def test_two_enterprises_in_one_process(tables: MemoryStore):
    ours, theirs = [], []
    await insert(tables, 10)
    await insert(tables, 10, GLOBEX)
    async with (
        a_manager(tables, on_notification=ours.append) as one,
        a_manager(tables, GLOBEX, on_notification=theirs.append) as other,
    ):
        await eventually(lambda: len(ours) == len(theirs) == 10)
    assert {change.enterprise_id for change in ours} == {ACME}
    assert {change.enterprise_id for change in theirs} == {GLOBEX}
    for manager in (one, other):
        assert manager.registry.get_sample_value("xnovu_claimed_total") == 10


@pytest.mark.parametrize(
    ("enterprise", "told"),
    [(GLOBEX, "is for 1111"), ("", "is empty"), (" ", "is empty"), (ACME, None)],
)
def test_a_manager_is_for_one_enterprise(tables: MemoryStore, enterprise: str, told: str | None):
    if told is None:
        assert SubscriptionManager(enterprise, store=tables.only(ACME)).enterprise_id == ACME
        return
    with pytest.raises(ConfigurationError, match=told):
        SubscriptionManager(enterprise, store=tables.only(ACME))


def test_a_store_for_everybody_is_refused(tables: MemoryStore):
    with pytest.raises(ConfigurationError, match="every enterprise"):
        SubscriptionManager(ACME, store=tables)


async def test_never_more_at_a_time_than_the_queue_says(tables: MemoryStore):
    gate = Gate()
    await insert(tables, 40)
    async with a_manager(tables, provider=gate, queue=QueueConfig(max_concurrent=6)):
        await eventually(lambda: gate.inside == 6)
        gate.opened.set()
        await eventually(lambda: statuses(tables) == ["SENT"] * 40)
    assert gate.most == 6


async def test_a_status_counts_what_waits_and_what_is_worked_on(tables: MemoryStore):
    gate = Gate()
    manager = a_manager(tables, provider=gate, queue=QueueConfig(max_concurrent=2))
    await insert(tables, 10)
    async with manager:
        await eventually(lambda: gate.inside == 2)
        await eventually(lambda: manager.get_status().queue_length == 8)
        status = manager.get_status()
        assert (status.is_active, status.active_processing) == (True, 2)
        assert (status.connection.state, status.trouble) == (Link.CONNECTED, None)
        gate.opened.set()
        await eventually(lambda: statuses(tables) == ["SENT"] * 10)
        await eventually(lambda: manager.get_status().active_processing == 0)
        assert manager.get_status().queue_length == 0
    status = manager.get_status()
    assert (status.is_active, status.connection.state) == (False, Link.STOPPED)


async def test_what_cannot_be_claimed_is_told_and_shown():
    tables = Away()
    tables.register(Workflow(workflow_key="welcome", enterprise_id=ACME))
    store, errors = Away(enterprise_id=ACME), []
    store.records, store.workflows = tables.records, tables.workflows
    manager = SubscriptionManager(
        ACME, store=store, provider=MemoryProvider(), settings=QUICK, on_error=errors.append
    )
    async with manager:
        await eventually(lambda: manager.get_status().connection.state is Link.CONNECTED)
        store.away = True
        await insert(tables)
        await eventually(lambda: errors)
        [error] = errors
        assert isinstance(error, Paused)
        assert (error.code, manager.get_status().trouble) == (
            "store_unavailable",
            "the database is away",
        )
        assert manager.get_status().connection.state is Link.RECONNECTING
        store.away = False
        await eventually(lambda: statuses(tables) == ["SENT"])
        assert manager.get_status().trouble is None
        assert manager.get_status().connection.reconnects == 1


async def test_a_provider_that_is_away_is_told_and_waited_for(tables: MemoryStore):
    provider, errors = MemoryProvider(), []
    await insert(tables, 3)
    for number in tables.records:
        provider.refusals[number] = Paused("Novu is away", code="provider_unavailable", after=0.01)
    async with a_manager(tables, provider=provider, on_error=errors.append):
        await eventually(lambda: errors)
        provider.refusals.clear()
        await eventually(lambda: statuses(tables) == ["SENT"] * 3)
    assert [(type(error), error.code) for error in errors] == [(Paused, "provider_unavailable")]


@pytest.mark.parametrize("started", [True, False])
async def test_what_failed_is_sent_again(tables: MemoryStore, started: bool):
    provider = MemoryProvider()
    await insert(tables, 5)
    await insert(tables, 1, GLOBEX)
    refused(tables, provider)
    manager = a_manager(tables, provider=provider)
    other = a_manager(tables, GLOBEX, provider=provider)
    async with manager, other:
        await eventually(lambda: statuses(tables) == ["FAILED"] * 5)
        await eventually(lambda: statuses(tables, GLOBEX) == ["FAILED"])
        provider.refusals.clear()
        if started:
            assert await manager.retry_failed_notifications(limit=3) == 3
            await eventually(lambda: statuses(tables).count("SENT") == 3)
    assert await manager.retry_failed_notifications() == (2 if started else 5)
    assert await manager.retry_failed_notifications() == 0
    assert await manager.retry_failed_notifications(limit=-1) == 0
    assert statuses(tables, GLOBEX) == ["FAILED"]
    async with manager:
        await eventually(lambda: statuses(tables) == ["SENT"] * 5)


async def test_more_are_sent_again_than_a_store_lists_at_once(tables: MemoryStore, monkeypatch):
    await insert(tables, 10)
    for record in tables.records.values():
        record.notification_status = Status.FAILED
    manager = a_manager(tables)
    store = manager._store
    listed = store.failed
    monkeypatch.setattr(store, "failed", lambda search, limit: listed(search, min(limit, 3)))
    assert await manager.retry_failed_notifications(limit=8) == 8
    assert statuses(tables).count("FAILED") == 2


async def test_starting_and_stopping_are_done_once(tables: MemoryStore):
    ends = []
    manager = a_manager(tables, on_notification=ends.append)
    await manager.stop()
    await asyncio.gather(manager.start(), manager.start())
    await manager.start()
    await insert(tables, 5)
    await eventually(lambda: statuses(tables) == ["SENT"] * 5)
    await asyncio.gather(manager.stop(), manager.stop())
    await manager.stop()
    assert (len(ends), manager.get_status().is_active) == (5, False)


async def test_it_starts_again_after_a_stop(tables: MemoryStore):
    ends = []
    manager = a_manager(tables, on_notification=ends.append)
    for so_far in range(1, 4):
        async with manager:
            await insert(tables)
            await eventually(lambda so_far=so_far: len(ends) == so_far)
    await insert(tables)
    assert statuses(tables) == ["SENT"] * 3 + ["PENDING"]


async def test_at_stop_what_is_in_hand_ends_and_the_rest_is_due_again(tables: MemoryStore):
    gate, ends = Gate(), []
    manager = a_manager(
        tables,
        provider=gate,
        queue=QueueConfig(max_concurrent=2),
        on_notification=ends.append,
    )
    await insert(tables, 10)
    await manager.start()
    await eventually(lambda: gate.inside == 2)
    await eventually(lambda: manager.get_status().queue_length == 8)
    stopping = asyncio.create_task(manager.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    gate.opened.set()
    await stopping
    assert sorted(statuses(tables)) == ["PROCESSING"] * 8 + ["SENT"] * 2
    assert len(ends) == 2
    assert len(await tables.claim(100, 60.0)) == 8


async def test_what_is_held_is_due_again_at_once(tables: MemoryStore):
    provider = MemoryProvider()
    await insert(tables, 4)
    for number in tables.records:
        provider.refusals[number] = Paused("Novu is away", after=3600.0)
    manager = a_manager(tables, provider=provider, queue=QueueConfig(max_concurrent=2))
    await manager.start()
    await eventually(lambda: provider.asked.total() == 2)
    await manager.stop()
    assert len(await tables.claim(100, 60.0)) == 4


async def test_a_row_that_may_have_been_sent_is_due_again_and_looked_up_then(tables: MemoryStore):
    """Whoever takes it up next sends nothing before a look-up would find what was sent."""
    provider = MemoryProvider()
    await insert(tables)
    provider.refusals[1] = Unclear("no answer", code="provider_unclear")
    manager = a_manager(tables, provider=provider, queue=QueueConfig(retry_delay=60.0))
    await manager.start()
    await eventually(lambda: provider.asked.total() == 1)
    await manager.stop()
    assert statuses(tables) == ["PROCESSING"]
    [claim] = await tables.claim(100, 60.0)
    sending = await tables.begin_send([claim.captured.key], SendTimes())
    [begun] = sending.verdicts.values()
    assert begun.verdict is Verdict.CHECK
    assert begun.seconds > 20


async def test_a_row_that_was_not_sent_is_sent_by_whoever_comes_next(tables: MemoryStore):
    provider = MemoryProvider()
    await insert(tables)
    provider.refusals[1] = Retryable("not now", code="provider_unclear")
    manager = a_manager(tables, provider=provider, queue=QueueConfig(retry_delay=60.0))
    async with manager:
        await eventually(lambda: provider.asked.total() == 1)
    provider.refusals.clear()
    async with a_manager(tables, provider=provider):
        await eventually(lambda: statuses(tables) == ["SENT"])


async def test_a_start_that_fails_has_begun_nothing(tables: MemoryStore, monkeypatch):
    monkeypatch.delenv("XNOVU_DATABASE_URL", raising=False)
    before = asyncio.all_tasks()
    manager = SubscriptionManager(ACME, settings=QUICK, provider=MemoryProvider())
    with pytest.raises(ConfigurationError, match="XNOVU_DATABASE_URL"):
        await manager.start()
    assert not manager.get_status().is_active
    await eventually(lambda: asyncio.all_tasks() <= before)


async def test_a_cancelled_stop_ends_at_once(tables: MemoryStore):
    before, gate = asyncio.all_tasks(), Gate()
    manager = a_manager(tables, provider=gate)
    await insert(tables, 3)
    await manager.start()
    await eventually(lambda: gate.inside)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await manager.stop()
    assert not manager.get_status().is_active
    await eventually(lambda: asyncio.all_tasks() <= before)
    await manager.start()
    await manager.stop()


async def test_a_callback_cannot_wait_for_its_own_end(tables: MemoryStore):
    ends, raised = [], []

    async def stop(change) -> None:
        try:
            await manager.stop()
        except RuntimeError as error:
            raised.append(str(error))
        ends.append(asyncio.create_task(manager.stop()))

    manager = a_manager(tables, on_notification=stop)
    await insert(tables)
    await manager.start()
    await eventually(lambda: ends)
    await asyncio.gather(*ends)
    assert "a task of its own" in raised[0]
    assert not manager.get_status().is_active


async def test_callbacks_that_raise_stop_nothing(tables: MemoryStore, caplog):
    def fragile(what) -> None:
        raise ValueError("jane@example.com")

    await insert(tables, 20)
    await insert(tables, recipients=[])
    async with a_manager(tables, on_notification=fragile, on_error=fragile):
        await eventually(lambda: sorted(statuses(tables)) == ["FAILED", *["SENT"] * 20])
    assert caplog.text.count("on_notification raised ValueError") == 21
    assert "jane" not in caplog.text


async def test_the_pipeline_waits_for_slow_callbacks_before_memory_fills(tables: MemoryStore):
    go_on, ends = asyncio.Event(), []

    async def slow(change) -> None:
        await go_on.wait()
        ends.append(change)

    await insert(tables, 300)
    bound = Settings(ingest=TableOptions(sweep_busy=0.01, sweep_idle=0.05, backlog=20))
    async with a_manager(tables, settings=bound, on_notification=slow):
        await eventually(lambda: statuses(tables).count("SENT") >= 20)
        assert statuses(tables).count("SENT") < 300
        go_on.set()
        await eventually(lambda: len(ends) == 300)


async def test_retractions_that_wait_hold_up_no_notification(tables: MemoryStore):
    provider = MemoryProvider()
    await insert(tables, 10)
    bound = QUICK.model_copy(
        update={"ingest": TableOptions(sweep_busy=0.01, sweep_idle=0.05, backlog=5)}
    )
    manager = a_manager(tables, settings=bound, provider=provider)
    async with manager:
        await eventually(lambda: statuses(tables) == ["SENT"] * 10)
        for number in tables.records:
            provider.refusals[number] = Paused("Novu is away", after=3600.0)
        await tables.retract([record.key for record in tables.records.values()])
        labels = {"stage": "retract", "code": "paused"}
        held = "xnovu_holds_total"
        await eventually(lambda: manager.registry.get_sample_value(held, labels))
        await insert(tables)
        await eventually(lambda: statuses(tables).count("SENT") == 1)


async def test_the_process_is_left_alone(tables: MemoryStore):
    root = logging.getLogger()
    watched = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

    def around() -> object:
        hooks = [signal.getsignal(number) for number in watched], threading.excepthook
        levels = root.level, logging.getLogger("xnovu").level
        return hooks, root.handlers[:], levels, structlog.is_configured()

    before = around()
    async with a_manager(tables):
        await insert(tables)
        await eventually(lambda: statuses(tables) == ["SENT"])
        assert around() == before


async def test_debug_tells_what_becomes_of_each(tables: MemoryStore, monkeypatch, caplog):
    monkeypatch.setenv("DEBUG", "other:*, xnovu:subscription")
    await insert(tables, recipients=[])
    async with a_manager(tables):
        await eventually(lambda: statuses(tables) == ["FAILED"])
    told = [r.getMessage() for r in caplog.records if r.name == "xnovu.subscription"]
    assert told[0] == f"started for enterprise {ACME}"
    assert "notification 1: FAILED recipients_invalid" in told


async def test_a_level_that_was_asked_for_holds_for_xnovu_alone(tables: MemoryStore):
    settings = QUICK.model_copy(update={"log": LogOptions(level="debug")})
    async with a_manager(tables, settings=settings):
        assert logging.getLogger("xnovu").level == logging.DEBUG
        assert logging.getLogger().level != logging.DEBUG


def test_nothing_else_is_to_be_had():
    with pytest.raises(AttributeError, match="SubscriptionManger"):
        _ = xnovu.SubscriptionManger
