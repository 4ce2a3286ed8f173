"""A row taken back at each stage of its way: what is told of it, and who has heard of it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import eventually
from tests.integration.pipeline import ACME, World, stages, world
from xnovu.cli.run import BESIDE
from xnovu.compose.broker import nats_transport
from xnovu.compose.house import House
from xnovu.compose.kit import Kit
from xnovu.events import Status, StatusChanged
from xnovu_local.novu import Fault, Step, Workflow

SOON = {"rules": {"timeout": {"backoff": 0.1}, "unexpected": {"backoff": 0.1}}}
QUICK = {
    "trigger": {"timeout": 3.0, "backoff": 0.05, "pause_max": 0.2, **SOON},
    "retract": {"attempts": 500, "backoff": 0.05, "backoff_max": 0.2, "pause_max": 0.2},
}
"""Nothing that was in the trigger's hands shows later than 3 s after it left them."""

WORKFLOWS = (
    Workflow("mail", steps=(Step("email"),)),
    Workflow("inbox"),
    Workflow("both", steps=(Step("in_app"), Step("email"))),
    Workflow("digest", steps=(Step("email", delay=3600),)),
    Workflow("reminded", steps=(Step("email"), Step("sms", delay=3600))),
)


@pytest.fixture
async def here(migrated, nats_server, monkeypatch) -> AsyncIterator[World]:
    provider = {"timeout": 0.9, "settle": 0.8}
    async with world(migrated, nats_server, monkeypatch, provider=provider, stages=QUICK) as around:
        for workflow in WORKFLOWS:
            around.register(key=workflow.key)
        around.novu.workflows.replace(WORKFLOWS)
        yield around


def change(here: World, **tables: Any) -> None:
    here.settings = here.settings.model_copy(update=tables)


def retract(here: World, *rows: int) -> None:
    here.execute(
        "UPDATE notify.ent_notification"
        " SET notification_status = 'RETRACTED', retraction_reason = 'a mistake'"
        " WHERE id = ANY (%s)",
        list(rows),
    )


async def status(here: World, row: int, wanted: str) -> None:
    await eventually(lambda: here.row(row)["notification_status"] == wanted, within=60)


async def outcome(here: World, row: int) -> str:
    """What came of a retraction; the row is RETRACTED whatever else was under way."""
    await eventually(lambda: here.row(row)["retraction_outcome"], within=60)
    found = here.row(row)
    assert (found["notification_status"], found["retraction_reason"]) == ("RETRACTED", "a mistake")
    assert found["retracted_at"]
    return found["retraction_outcome"]


async def told(here: World) -> Sequence[StatusChanged]:
    """What the world was told of retractions."""
    events = [event for _, event in await here.events("status.>")]
    return [e for e in events if isinstance(e, StatusChanged) and e.status is Status.RETRACTED]


def sent(here: World) -> int:
    return here.novu.ledger.totals.accepted


async def test_before_it_is_claimed(here: World):
    row = here.insert(workflow="mail")
    retract(here, row)
    assert here.row(row)["retraction_outcome"] == "stopped"
    async with stages(here):
        await eventually(lambda: told_of(here, row))
    assert (await outcome(here, row), here.novu.ledger.totals.asked) == ("stopped", 0)


async def told_of(here: World, row: int) -> bool:
    return [event.notification_id for event in await told(here)] == [row]


@pytest.mark.parametrize("so_far", [("ingest",), ("ingest", "hydrate")])
async def test_on_its_way(here: World, so_far: tuple[str, ...]):
    """In the stream that hydrate reads, or in the one that trigger does."""
    row, other = here.insert(workflow="mail"), here.insert(workflow="mail")
    async with stages(here, *so_far):
        await status(here, other, "PROCESSING")
        await eventually(lambda: on_the_way(here, so_far[-1]))
    retract(here, row)
    async with stages(here):
        assert await outcome(here, row) == "stopped"
        await status(here, other, "SENT")
    assert sent(here) == 1


async def on_the_way(here: World, kind: str) -> bool:
    return len(await here.events(f"{kind}.>")) == 2


async def test_while_trigger_holds_it_because_novu_is_away(here: World):
    here.novu.script(Fault("503", count=None))
    row = here.insert(workflow="mail")
    async with stages(here):
        await eventually(lambda: here.novu.ledger.totals.asked)
        retract(here, row)
        await eventually(lambda: retracting(here))
        here.novu.faults.clear()
        assert await outcome(here, row) == "stopped"
    assert sent(here) == 0


async def retracting(here: World) -> bool:
    return bool(await here.events("retract.>"))


@pytest.mark.parametrize(("workflow", "came_to"), [("digest", "cancelled"), ("mail", "too_late")])
async def test_while_the_call_to_novu_is_under_way(here: World, workflow: str, came_to: str):
    here.novu.change(latency=0.5)
    row = here.insert(workflow=workflow)
    async with stages(here):
        await eventually(lambda: here.novu.ledger.totals.asked)
        retract(here, row)
        assert sent(here) == 0
        assert await outcome(here, row) == came_to
    assert sent(here) == 1
    assert here.novu.ledger.totals.notified == (came_to == "too_late")


async def test_while_novu_is_still_fanning_out(here: World):
    here.novu.change(fan_out_delay=0.5)
    row = here.insert(workflow="digest")
    async with stages(here):
        await status(here, row, "SENT")
        retract(here, row)
        assert await outcome(here, row) == "cancelled"
    assert (sent(here), here.novu.ledger.totals.notified) == (1, 0)


@pytest.mark.parametrize(
    ("workflow", "came_to"),
    [
        ("digest", "cancelled"),
        ("mail", "too_late"),
        ("inbox", "cancelled"),
        ("both", "partly"),
        ("reminded", "partly"),
    ],
)
async def test_after_novu_has_it(here: World, workflow: str, came_to: str):
    row = here.insert(workflow=workflow)
    async with stages(here):
        await status(here, row, "SENT")
        await eventually(lambda: here.novu.ledger.totals.fan_outs)
        retract(here, row)
        assert await outcome(here, row) == came_to
    taken_back = [one.taken_back for one in here.novu.inbox.latest(9) if "in_app" in one.channels]
    assert set(taken_back) <= {("in_app",)}
    assert here.novu.ledger.totals.cancelled == (workflow in ("digest", "reminded"))


async def test_after_it_has_failed(here: World):
    row = here.insert(workflow="mail", recipients=[])
    async with stages(here):
        await status(here, row, "FAILED")
        retract(here, row)
        assert await outcome(here, row) == "stopped"


async def test_after_it_was_given_up_though_novu_has_it(here: World):
    """Each answer was lost, and every look-up failed: nobody knows, until it is cancelled."""
    here.novu.script(
        Fault("500", endpoint="trigger", count=1, accepted=True),
        Fault("500", endpoint="notifications", count=2),
    )
    trigger = replace(here.settings.stages.trigger, attempts=3)
    change(here, stages=here.settings.stages.model_copy(update={"trigger": trigger}))
    row = here.insert(workflow="digest")
    async with stages(here):
        await status(here, row, "FAILED")
        retract(here, row)
        assert await outcome(here, row) == "cancelled"
    assert here.row(row)["error_details"]["code"] == "exhausted"
    assert here.novu.ledger.totals.notified == 0


async def test_all_parts_of_a_row_for_many_people(here: World):
    row = here.insert(workflow="digest", recipients=[uuid4() for _ in range(250)])
    async with stages(here):
        await status(here, row, "SENT")
        await eventually(lambda: here.novu.ledger.totals.fan_outs == 3)
        retract(here, row)
        assert await outcome(here, row) == "cancelled"
    assert (here.novu.ledger.totals.cancelled, here.novu.ledger.totals.notified) == (3, 0)


async def test_those_parts_that_were_sent_before_it_was_taken_back(here: World):
    here.novu.script(Fault("503", endpoint="trigger", nth=2, count=None))
    one_by_one = {"bulk": "never", "concurrency": 1}
    change(here, provider=here.settings.provider.model_copy(update=one_by_one))
    row = here.insert(workflow="mail", recipients=[uuid4() for _ in range(250)])
    async with stages(here):
        await eventually(lambda: sent(here) == 1)
        retract(here, row)
        assert await outcome(here, row) == "partly"
    assert sent(here) == 1


async def test_it_comes_round_again_though_the_broker_forgets_it(here: World):
    change(here, ingest=here.settings.ingest.model_copy(update={"lease": 1.0}))
    row = here.insert(workflow="digest")
    async with stages(here):
        await status(here, row, "SENT")
    retract(here, row)
    async with stages(here, "ingest"):
        await eventually(lambda: retracting(here))
    await here.wipe_broker()
    async with stages(here):
        assert await outcome(here, row) == "cancelled"
        await eventually(lambda: told_of(here, row))


async def test_the_world_is_told_once_and_of_the_outcome(here: World):
    rows = [here.insert(workflow=key) for key in ("digest", "mail", "digest")]
    never = here.insert(workflow="mail", scheduled_for="2999-01-01T00:00:00Z")
    kit = Kit(here.settings, "analytics")
    house = House([BESIDE["analytics"]], kit, nats_transport(here.settings))
    await house.open()
    async with stages(here):
        for row in rows:
            await status(here, row, "SENT")
        retract(here, *rows, never)
        found = {row: await outcome(here, row) for row in (*rows, never)}
        await house.transport.start()
        registry, labels = house.metrics.registry, {"enterprise": str(ACME), "status": "RETRACTED"}
        counted = partial(registry.get_sample_value, "xnovu_notifications_total", labels)
        await eventually(lambda: counted() == 4)
        await house.finish()
        await house.transport.stop()
    events: dict[int, Any] = {event.notification_id: event for event in await told(here)}
    assert len(await told(here)) == 4
    assert {row: event.retraction for row, event in events.items()} == found
    assert [events[row].previous for row in (*rows, never)] == ["SENT"] * 3 + ["PENDING"]
    assert here.audit(rows[0])[-2:] == [("SENT", "RETRACTED"), ("RETRACTED", "RETRACTED")]
    assert here.audit(never) == [("PENDING", "RETRACTED")]
