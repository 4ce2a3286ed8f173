"""A manager on a real Postgres and the local Novu: what its enterprise has is sent, once."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any
from uuid import UUID

import pytest

from tests.conftest import eventually, server_of_its_own
from tests.integration.pipeline import ACME, GLOBEX, World, brokerless, quick
from xnovu import NotificationFailed, QueueConfig, SubscriptionManager
from xnovu.adapters.novu import NovuProvider
from xnovu.adapters.postgres.migrations import migrate
from xnovu.adapters.table import TableOptions
from xnovu.connection import Link
from xnovu.errors import Paused, XNovuError
from xnovu.events import StatusChanged
from xnovu.ports import Trigger
from xnovu_local.novu import Fault, Step, Workflow, running_novu
from xnovu_local.postgres import EmbeddedPostgres

UNTOUCHED = [("PENDING", 0, None)]
MANY = """
INSERT INTO notify.ent_notification (enterprise_id, notification_workflow_id, recipients)
SELECT %s, 'welcome', ARRAY[gen_random_uuid()] FROM generate_series(1, 500)
"""


@pytest.fixture
async def here(migrated: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Two enterprises in a migrated migrated, and the local Novu; no broker."""
    async with brokerless(migrated, monkeypatch) as around:
        yield around


def a_manager(here: World, enterprise: UUID | str = ACME, **options: Any) -> SubscriptionManager:
    return SubscriptionManager(enterprise, **{"settings": here.settings, **options})


def states(here: World, enterprise: UUID = ACME) -> list[tuple[str, int, object]]:
    query = (
        "SELECT DISTINCT notification_status::text AS state, claims, transaction_id"
        " FROM notify.ent_notification WHERE enterprise_id = %s"
    )
    rows = here.execute(query, enterprise)
    return [(row["state"], row["claims"], row["transaction_id"]) for row in rows]


def count(here: World, status: str, enterprise: UUID = ACME) -> int:
    query = (
        "SELECT count(*) FROM notify.ent_notification"
        " WHERE enterprise_id = %s AND notification_status = %s"
    )
    return here.execute(query, enterprise, status)[0]["count"]


def due(here: World) -> int:
    [row] = here.execute(
        "SELECT count(*) FROM notify.ent_notification WHERE notification_status = 'PENDING'"
        " OR (notification_status = 'PROCESSING' AND claimed_until <= now())"
    )
    return row["count"]


async def test_what_is_inserted_is_sent_and_nobody_elses(here: World):
    ends: list[Any] = []
    ours, theirs = [here.insert() for _ in range(5)], [here.insert(GLOBEX) for _ in range(5)]
    async with a_manager(here, on_notification=ends.append):
        rows = [await here.ended(number) for number in ours]
        late = here.insert()
        await here.ended(late)
        await eventually(lambda: len(ends) == 6)
    assert {row["notification_status"] for row in rows} == {"SENT"}
    assert here.audit(late) == [("PENDING", "PROCESSING"), ("PROCESSING", "SENT")]
    assert sorted(change.notification_id for change in ends) == [*ours, late]
    assert states(here, GLOBEX) == UNTOUCHED
    assert [here.audit(number) for number in theirs] == [[]] * 5
    assert here.novu.ledger.totals.accepted == 6


async def test_an_enterprise_may_be_spelled_as_any_uuid(here: World):
    number = here.insert()
    async with a_manager(here, str(ACME).upper()):
        assert (await here.ended(number))["notification_status"] == "SENT"


async def test_settings_come_from_where_the_command_has_them(here: World, monkeypatch):
    monkeypatch.setenv("XNOVU_PROVIDER__URL", here.settings.provider.url)
    number = here.insert()
    async with SubscriptionManager(ACME):
        assert (await here.ended(number))["notification_status"] == "SENT"


async def test_hints_come_through_and_are_shown(here: World):
    seldom = TableOptions(sweep_busy=60.0, sweep_idle=60.0)  # a look might come before the hint
    here.settings = here.settings.model_copy(update={"ingest": seldom})
    manager = a_manager(here)
    async with manager:
        await eventually(lambda: manager.get_status().connection.state is Link.CONNECTED)
        await here.ended(here.insert())
        status = manager.get_status()
        assert status.connection.last_event is not None
        assert (status.missed_wakeups, status.trouble) == (0, None)
    assert manager.get_status().connection.state is Link.STOPPED


async def test_two_managers_in_one_process_each_have_their_own(here: World):
    numbers = [here.insert(enterprise) for enterprise in (ACME, GLOBEX) * 20]
    ours: list[Any] = []
    theirs: list[Any] = []
    async with (
        a_manager(here, on_notification=ours.append),
        a_manager(here, GLOBEX, on_notification=theirs.append),
    ):
        await eventually(lambda: len(ours) == len(theirs) == 20)
    assert sorted(change.notification_id for change in (*ours, *theirs)) == numbers
    assert {change.enterprise_id for change in ours} == {str(ACME)}
    assert here.novu.ledger.totals.notified == 40


async def test_what_failed_is_told_and_sent_again(here: World):
    errors: list[XNovuError] = []
    here.novu.workflows.replace([Workflow("welcome", active=False)])
    number, other = here.insert(), here.insert(GLOBEX)
    generation = here.row(number)["generation"]
    manager = a_manager(here, on_error=errors.append)
    async with manager, a_manager(here, GLOBEX):
        await here.ended(number)
        await here.ended(other)
        await eventually(lambda: errors)
        here.novu.workflows.replace([Workflow("welcome")])
        assert await manager.retry_failed_notifications() == 1
        await eventually(lambda: here.row(number)["notification_status"] == "SENT")
    [error] = errors
    assert isinstance(error, NotificationFailed)
    assert (error.code, error.event.notification_id) == ("provider_refused", number)
    assert here.row(number)["generation"] == generation + 1
    assert here.row(other)["notification_status"] == "FAILED"


async def test_failed_ones_are_sent_again_by_one_that_never_started(here: World):
    numbers = [here.insert(recipients=[]) for _ in range(3)]
    manager = a_manager(here)
    async with manager:
        for number in numbers:
            await here.ended(number)
    assert await manager.retry_failed_notifications(limit=2) == 2
    assert await a_manager(here).retry_failed_notifications(limit=2) == 1
    assert count(here, "PENDING") == 3


async def test_novu_goes_away_and_comes_back(here: World):
    errors: list[XNovuError] = []
    numbers = [here.insert() for _ in range(10)]
    async with running_novu() as novu:
        url = novu.url
    manager = a_manager(here, settings=quick(url), on_error=errors.append)
    async with manager:
        await eventually(lambda: errors)
        assert count(here, "PROCESSING") == 10
        async with running_novu(port=int(url.rpartition(":")[2])) as novu:
            for number in numbers:
                assert (await here.ended(number))["notification_status"] == "SENT"
            assert novu.novu.ledger.totals.notified == 10
    assert [(type(error), error.code) for error in errors] == [(Paused, "provider_unavailable")]


async def test_at_stop_nothing_is_left_to_wait_for_its_lease(here: World):
    here.novu.change(latency=0.05)
    here.execute(MANY, ACME)
    manager = a_manager(here, queue=QueueConfig(max_concurrent=3))
    await manager.start()
    await eventually(lambda: count(here, "SENT") > 3)
    await manager.stop()
    assert 3 < count(here, "SENT") < 500
    assert due(here) == 500 - count(here, "SENT")
    here.novu.change(latency=0.0)
    async with a_manager(here):
        await eventually(lambda: count(here, "SENT") == 500, within=60)
    assert here.novu.ledger.totals.notified == 500
    assert here.novu.ledger.doubled() == []


RETRACT = """
UPDATE notify.ent_notification SET notification_status = 'RETRACTED' WHERE id = %s"""


async def test_what_is_taken_back_is_cancelled_and_told(here: World):
    here.novu.workflows.replace([Workflow("welcome", steps=(Step("email", delay=3600),))])
    ends: list[StatusChanged] = []
    number = here.insert()
    async with a_manager(here, on_notification=ends.append):
        await here.ended(number)
        await eventually(lambda: here.novu.ledger.totals.fan_outs)
        here.execute(RETRACT, number)
        await eventually(lambda: len(ends) == 2)
    assert [(end.status, end.retraction) for end in ends] == [
        ("SENT", None),
        ("RETRACTED", "cancelled"),
    ]
    assert here.novu.ledger.totals.notified == 0


async def test_a_retraction_that_is_not_through_at_stop_is_given_back(here: World):
    number = here.insert()
    async with a_manager(here):
        await here.ended(number)
        here.novu.script(Fault("503", endpoint="cancel", count=None))
        here.execute(RETRACT, number)
        await eventually(lambda: here.row(number)["claims"] == 2)
        assert here.row(number)["retraction_outcome"] is None
    row = here.row(number)
    assert row["retraction_outcome"] is None
    assert row["claimed_until"] <= here.execute("SELECT now() AS now")[0]["now"]


class Counting:
    """The real provider, and how many notifications it has at a time."""

    def __init__(self, provider: NovuProvider) -> None:
        self._provider = provider
        self.inside = self.most = 0

    async def trigger(self, calls: Sequence[Trigger], until: float) -> Sequence[XNovuError | None]:
        self.inside += len(calls)
        self.most = max(self.most, self.inside)
        try:
            return await self._provider.trigger(calls, until)
        finally:
            self.inside -= len(calls)


async def test_never_more_at_a_time_than_the_queue_says(here: World):
    here.novu.change(latency=0.02)
    numbers = [here.insert() for _ in range(40)]
    provider = NovuProvider(here.settings.provider, lambda: "local")
    await provider.open()
    counting = Counting(provider)
    async with a_manager(here, provider=counting, queue=QueueConfig(max_concurrent=4)):
        for number in numbers:
            await here.ended(number)
    await provider.close()
    assert counting.most == 4


async def test_a_start_may_be_cancelled_anywhere(here: World):
    before = asyncio.all_tasks()
    number, manager = here.insert(), a_manager(here, queue=QueueConfig())
    for steps in range(12):
        starting = asyncio.create_task(manager.start())
        for _ in range(steps):
            await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait([starting])
        await manager.stop()
        assert not manager.get_status().is_active
        await eventually(lambda: asyncio.all_tasks() <= before)
    async with manager:
        await here.ended(number)


@pytest.fixture
def own_server() -> Iterator[EmbeddedPostgres]:
    with server_of_its_own() as server:
        yield server


async def test_the_database_dies_and_comes_back(own_server: EmbeddedPostgres, monkeypatch):
    errors: list[XNovuError] = []
    dsn = own_server.create_database("mortal")
    migrate(dsn)
    async with brokerless(dsn, monkeypatch) as here:
        manager = a_manager(here, on_error=errors.append)
        async with manager:
            await here.ended(here.insert())
            own_server.kill()
            await eventually(lambda: errors, within=60)
            await eventually(lambda: manager.get_status().trouble, within=60)
            assert manager.get_status().connection.state is Link.RECONNECTING
            own_server.start()
            late = [here.insert() for _ in range(20)]
            for number in late:
                assert (await here.ended(number))["notification_status"] == "SENT"
            await eventually(lambda: manager.get_status().trouble is None)
            await eventually(lambda: manager.get_status().connection.state is Link.CONNECTED)
        assert {error.code for error in errors} == {"store_unavailable"}
        assert here.novu.ledger.totals.notified == 21


async def test_it_stops_while_the_database_is_away(own_server: EmbeddedPostgres, monkeypatch):
    """What is done by then is found again when its claim lapses."""
    dsn = own_server.create_database("gone")
    migrate(dsn)
    async with brokerless(dsn, monkeypatch) as here:
        here.novu.change(latency=0.2)
        numbers = [here.insert() for _ in range(10)]
        manager = a_manager(here, queue=QueueConfig(max_concurrent=2))
        await manager.start()
        await eventually(lambda: manager.get_status().active_processing == 2)
        own_server.kill()
        async with asyncio.timeout(60):
            await manager.stop()
        own_server.start()
        assert {here.row(number)["notification_status"] for number in numbers} <= {
            "PROCESSING",
            "SENT",
        }


LAPSE = """
UPDATE notify.ent_notification SET claimed_until = now()
WHERE notification_status = 'PROCESSING' AND claimed_until > now() + interval '200 s'
"""
"""What nobody has begun to send is claimed for 300 s, and what somebody has, for 120."""

KILLED = """
import asyncio
from xnovu import QueueConfig, SubscriptionManager

class Never:
    async def trigger(self, calls, until):
        await asyncio.Event().wait()

async def main():
    one = QueueConfig(max_concurrent=1)
    manager = SubscriptionManager({enterprise!r}, queue=one, provider=Never())
    await manager.start()
    while manager.get_status().active_processing + manager.get_status().queue_length < 5:
        await asyncio.sleep(0.01)
    print("working", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_what_a_killed_process_had_comes_again_when_its_claims_lapse(here: World):
    numbers = [here.insert() for _ in range(5)]
    code = KILLED.format(enterprise=str(ACME))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout
        assert await process.stdout.readline() == b"working\n"
    finally:
        process.kill()
        await process.wait()
    assert count(here, "PROCESSING") == 5
    here.execute(LAPSE)
    async with a_manager(here):
        await eventually(lambda: count(here, "SENT") >= 4, within=60)
    in_hand = [number for number in numbers if here.row(number)["notification_status"] != "SENT"]
    assert len(in_hand) <= 1
    assert here.novu.ledger.totals.notified == 5 - len(in_hand)
