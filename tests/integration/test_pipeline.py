"""The main job end to end on real parts: where each row ends, and what Novu was asked."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.conftest import eventually
from tests.integration.pipeline import ACME, GLOBEX, World, stages, world
from xnovu.events import Rejected, Status, StatusChanged
from xnovu_local.novu import Fault, Workflow

PATIENT = {"trigger": {"backoff": 0.05, "pause_max": 0.2}}


@pytest.fixture
async def here(migrated, nats_server, monkeypatch):
    async with world(migrated, nats_server, monkeypatch, stages=PATIENT) as around:
        around.register()
        yield around


def received(here: World) -> list[dict[str, Any]]:
    return [one.shown() for one in here.novu.inbox.latest(500)]


async def test_a_row_is_sent_and_everything_is_written_back(here: World):
    notification = here.insert(name="hello", payload={"who": "Ada"})
    async with stages(here):
        row = await here.ended(notification)
    assert row["notification_status"] == "SENT"
    assert row["processed_at"] >= row["created_at"]
    assert (row["claims"], row["error_details"]) == (1, None)
    assert here.audit(notification) == [("PENDING", "PROCESSING"), ("PROCESSING", "SENT")]
    entry = here.novu.ledger.find(row["transaction_id"])
    assert (entry.asked, entry.accepted, entry.notified) == (1, 1, 1)


async def test_what_novu_gets_is_what_the_row_says(here: World):
    people = [uuid4(), uuid4()]
    payload = {"a": {"b": [1, 2.5, None, True, "ü"]}, "big": 2**60}
    columns = {"payload": payload, "recipients": people, "tags": ["vip"], "channels": ["EMAIL"]}
    notification = here.insert(**columns)
    async with stages(here):
        await here.ended(notification)
    [got] = received(here)
    told = got["payload"].pop("_xnovu")
    assert (got["payload"], got["subscribers"]) == (payload, [str(person) for person in people])
    assert (told["tags"], told["channels"], told["id"]) == (["vip"], ["EMAIL"], notification)


async def test_a_row_for_many_people_ends_as_one(here: World):
    people = [uuid4() for _ in range(250)]
    notification = here.insert(recipients=people)
    async with stages(here):
        row = await here.ended(notification)
    assert row["notification_status"] == "SENT"
    assert here.novu.ledger.totals.accepted == 3
    assert here.novu.ledger.totals.notified == 250


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"workflow": "nobody-knows"}, "workflow_not_found"),
        ({"workflow": "off"}, "workflow_deactivated"),
        ({"workflow": "strict", "payload": {"n": "x"}}, "payload_invalid"),
        ({"recipients": []}, "recipients_invalid"),
        ({"workflow": "refusing"}, "provider_refused"),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "expired"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_wrong_ends_failed_and_says_why(here: World, columns, code):
    here.register(key="off", deactivated=True)
    here.register(key="strict", payload_schema={"properties": {"n": {"type": "number"}}})
    here.register(key="refusing")
    here.novu.workflows.replace([Workflow("refusing", active=False)])
    notification, good = here.insert(**columns), here.insert(workflow="strict", payload={"n": 1})
    async with stages(here):
        row = await here.ended(notification)
        await here.ended(good)
    details = row["error_details"]
    assert (row["notification_status"], details["code"]) == ("FAILED", code)
    assert details.keys() >= {"code", "stage", "message", "attempts", "at"}


async def test_a_workflow_of_another_enterprise_is_nobodys(here: World):
    here.register(GLOBEX, key="theirs")
    ours, theirs = here.insert(workflow="theirs"), here.insert(GLOBEX, workflow="theirs")
    async with stages(here):
        assert (await here.ended(ours))["error_details"]["code"] == "workflow_not_found"
        assert (await here.ended(theirs))["notification_status"] == "SENT"


@pytest.mark.parametrize("kind", ["timeout_after_accept", "reset_after_accept", "502", "504"])
async def test_an_unclear_outcome_is_looked_up_and_never_sent_twice(
    migrated, nats_server, monkeypatch, kind
):
    provider = {"timeout": 0.5, "settle": 0.1}
    async with world(migrated, nats_server, monkeypatch, provider=provider, stages=PATIENT) as here:
        here.register()
        here.novu.script(Fault(kind, endpoint="trigger", accepted=True))
        notification = here.insert()
        async with stages(here):
            row = await here.ended(notification)
        entry = here.novu.ledger.find(row["transaction_id"])
        assert row["notification_status"] == "SENT"
        assert (entry.accepted, entry.notified) == (1, 1)


@pytest.mark.parametrize("kind", ["429", "503", "401", "402", "reset_before"])
async def test_trouble_that_passes_is_waited_for(here: World, kind):
    here.novu.script(Fault(kind, count=3, seconds=0.05))
    notification = here.insert()
    async with stages(here):
        row = await here.ended(notification)
    assert row["notification_status"] == "SENT"
    assert here.novu.ledger.find(row["transaction_id"]).notified == 1


async def test_a_new_key_is_picked_up_while_the_stage_waits(here: World, tmp_path, monkeypatch):
    file = tmp_path / "key"
    file.write_text("old")
    monkeypatch.setenv("XNOVU_NOVU_KEY_FILE", str(file))
    here.novu.change(api_key="new")
    notification = here.insert()
    async with stages(here):
        await eventually(lambda: here.row(notification)["notification_status"] == "PROCESSING")
        file.write_text("new")
        assert (await here.ended(notification))["notification_status"] == "SENT"


async def test_what_never_succeeds_is_given_up_and_dead(migrated, nats_server, monkeypatch):
    impatient = {"trigger": {"attempts": 3, "backoff": 0.05, "slots": 1}}
    async with world(migrated, nats_server, monkeypatch, stages=impatient) as here:
        here.register()
        here.novu.script(Fault("500", endpoint="trigger", count=None))
        notification = here.insert()
        async with stages(here):
            row = await here.ended(notification)
        details = row["error_details"]
        assert (row["notification_status"], details["code"]) == ("FAILED", "exhausted")
        assert (details["stage"], details["attempts"]) == ("trigger", 3)
        [(subject, letter)] = await here.events("dead.>")
        assert subject == f"dead.trigger.{ACME}"
        assert isinstance(letter, Rejected)
        assert letter.original is not None


async def test_messages_that_name_no_row_have_a_dead_letter_each(here: World):
    for body in (b"?", b"!"):
        await here.publish(f"hydrate.{ACME}", body, body.decode())

    async def both() -> bool:
        letters = [letter for _, letter in await here.events("dead.>")]
        return {letter.original for letter in letters} == {"?", "!"}

    async with stages(here, "trigger"):
        await eventually(both)


async def test_a_message_that_cannot_be_read_is_dead_and_its_row_failed(here: World):
    notification = here.insert()
    async with stages(here, "ingest"):
        await eventually(lambda: here.row(notification)["notification_status"] == "PROCESSING")
    message = f"hydrate:{ACME}/{notification}/{here.row(notification)['generation']}/1"
    await here.publish(f"hydrate.{ACME}", b"{broken", message)
    async with stages(here, "trigger", "status"):
        row = await here.ended(notification)
    assert row["error_details"]["code"] == "unreadable"
    [(subject, letter)] = await here.events("dead.>")
    assert subject == f"dead.trigger.{ACME}"
    assert letter.original == "{broken"


async def test_a_row_retracted_on_its_way_is_not_sent(here: World):
    notification, other = here.insert(), here.insert()
    async with stages(here, "ingest", "hydrate", "status"):
        await eventually(lambda: here.row(other)["notification_status"] == "PROCESSING")
    here.execute(
        "UPDATE notify.ent_notification SET notification_status = 'RETRACTED' WHERE id = %s",
        notification,
    )
    async with stages(here):
        await here.ended(other)
    assert here.row(notification)["notification_status"] == "RETRACTED"
    assert here.novu.ledger.totals.accepted == 1


async def test_a_scheduled_row_waits_for_its_time(here: World):
    due = datetime.now(UTC) + timedelta(seconds=1)
    notification = here.insert(scheduled_for=due)
    async with stages(here):
        row = await here.ended(notification)
    assert row["processed_at"] >= due


async def test_every_change_is_told_on_the_enterprises_own_subject(here: World):
    here.register(GLOBEX)
    ours, theirs = here.insert(), here.insert(GLOBEX)
    broken = here.insert(recipients=[])
    async with stages(here):
        await asyncio.gather(*(here.ended(n) for n in (ours, theirs, broken)))

        async def told() -> bool:
            return len(await here.events("status.>")) == 3

        await eventually(told)
    by_row = {event.notification_id: (s, event) for s, event in await here.events("status.>")}
    assert by_row[theirs][0] == f"status.{GLOBEX}"
    assert by_row[ours][0] == f"status.{ACME}"
    assert isinstance(by_row[ours][1], StatusChanged)
    assert by_row[broken][1].status is Status.FAILED
    assert by_row[broken][1].failure.code == "recipients_invalid"


async def test_nothing_private_reaches_logs_errors_or_the_row(here: World, capfd, monkeypatch):
    monkeypatch.setenv("XNOVU_NOVU_KEY", "sk_live_verysecret")
    secret, person = "Grace Hopper owes 4711 EUR", uuid4()
    here.register(key="strict", payload_schema={"properties": {"who": {"type": "number"}}})
    here.register(key="echo")
    echo = f"cannot send {secret} to {person}"
    here.novu.workflows.replace(
        [Workflow("welcome"), Workflow("echo", refuses="error", error=echo)]
    )
    columns = {"payload": {"who": secret}, "recipients": [person]}
    rows = [here.insert(workflow=key, **columns) for key in ("strict", "echo", "welcome")]
    here.novu.script(Fault("500", workflow="welcome", count=1))
    async with stages(here):
        ended = [await here.ended(n) for n in rows]
    told = str([row["error_details"] for row in ended]) + "".join(capfd.readouterr())
    assert [row["notification_status"] for row in ended] == ["FAILED", "FAILED", "SENT"]
    for private in (secret, "Hopper", str(person), "verysecret"):
        assert private not in told


async def test_a_consumer_beside_the_pipeline_counts_what_became_of_it(here: World):
    from xnovu.cli.run import BESIDE
    from xnovu.compose.broker import nats_transport
    from xnovu.compose.house import House
    from xnovu.compose.kit import Kit

    rows = [here.insert(), here.insert(), here.insert(recipients=[])]
    kit = Kit(here.settings, "analytics")
    house = House([BESIDE["analytics"]], kit, nats_transport(here.settings))
    await house.open()
    async with stages(here):
        await asyncio.gather(*(here.ended(n) for n in rows))
        await house.transport.start()
        labels = {"enterprise": str(ACME), "status": "SENT"}
        registry = house.metrics.registry
        name = "xnovu_notifications_total"
        await eventually(lambda: registry.get_sample_value(name, labels) == 2)
        await house.finish()
        await house.transport.stop()
