"""Scheduled rows are taken when their time has come, whoever told of them, and across restarts."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import eventually
from tests.integration.pipeline import World, stages, world
from xnovu.adapters.table import TableOptions

HOUR = timedelta(hours=1)
ASLEEP = {"sweep_busy": 3600, "sweep_idle": 3600}
"""Nothing but a hint, or the time of a row it knows of, wakes this one within the test."""

SLOW_MACHINE = timedelta(seconds=10)


@pytest.fixture
async def here(migrated, nats_server, monkeypatch, request) -> AsyncIterator[World]:
    kind, sweeps = request.param
    settings: dict[str, Any] = {"wakeups": {"kind": kind}, "ingest": sweeps}
    async with world(migrated, nats_server, monkeypatch, **settings) as around:
        around.register()
        yield around


def told(**sweeps: float) -> Any:
    return pytest.mark.parametrize("here", [("notify", sweeps)], indirect=True, ids=["told"])


def untold(**sweeps: float) -> Any:
    return pytest.mark.parametrize("here", [("sweep", sweeps)], indirect=True, ids=["untold"])


def soon(seconds: float = 1.5) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def late(here: World, row: int) -> timedelta:
    """By how much a row was claimed after its time, by the database's clock."""
    await here.ended(row)
    [line] = here.execute(
        "SELECT at - scheduled_for AS late FROM notify.ent_notification_audit a"
        " JOIN notify.ent_notification n ON n.id = a.notification_id"
        " WHERE n.id = %s AND to_status = 'PROCESSING'",
        row,
    )
    assert line["late"] >= timedelta(0)
    return line["late"]


def test_no_sweep_is_so_far_from_the_next_that_a_schedule_could_be_missed_by_a_second() -> None:
    options = TableOptions()
    assert options.sweep_busy <= options.sweep_idle <= 0.8


@told(**ASLEEP)
async def test_a_row_inserted_long_before(here: World):
    """Only that it is known when the next falls due ends this sleep."""
    ago = datetime.now(UTC) - 1000 * HOUR
    row = here.insert(created_at=ago, scheduled_for=soon())
    here.insert(created_at=ago, scheduled_for=soon(3600))
    async with stages(here):
        assert await late(here, row) < SLOW_MACHINE


@told(**ASLEEP)
async def test_a_row_inserted_seconds_before(here: World):
    async with stages(here):
        here.insert(scheduled_for=soon(3600))
        row = here.insert(scheduled_for=soon())
        assert await late(here, row) < SLOW_MACHINE


@untold()
async def test_a_row_inserted_seconds_before_of_which_nobody_told(here: World):
    async with stages(here):
        await here.ended(here.insert())
        row = here.insert(scheduled_for=soon(2.5))
        assert await late(here, row) < SLOW_MACHINE


@untold(**ASLEEP)
async def test_a_row_that_falls_due_after_a_restart(here: World):
    row = here.insert(scheduled_for=soon(2.5))
    for _ in range(2):
        async with stages(here, "ingest"):
            pass
    async with stages(here):
        assert await late(here, row) < SLOW_MACHINE


@untold(**ASLEEP)
async def test_a_row_that_fell_due_while_nobody_was_there(here: World):
    row = here.insert(scheduled_for=soon(0.2))
    await eventually(lambda: datetime.now(UTC) > here.row(row)["scheduled_for"])
    async with stages(here):
        assert await late(here, row) < SLOW_MACHINE


@told(**ASLEEP)
async def test_a_row_whose_time_is_moved(here: World):
    row = here.insert(scheduled_for=soon(3600))
    async with stages(here):
        await here.ended(here.insert())
        query = "UPDATE notify.ent_notification SET scheduled_for = %s WHERE id = %s"
        here.execute(query, soon(), row)
        assert await late(here, row) < SLOW_MACHINE
