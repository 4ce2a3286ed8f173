"""
What somebody can do who may publish where a stage does: nothing that the rows do not confirm.

Each forged message is put beside the stages at work; it becomes a dead letter, and the rows go on.
"""

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from tests.conftest import eventually
from tests.integration.pipeline import ACME, GLOBEX, World, stages, world
from xnovu.envelope import MISADDRESSED, Envelope
from xnovu.events import (
    UNCONFIRMED,
    Event,
    Failure,
    Hydrated,
    Key,
    Notification,
    Rejected,
    RetractRequested,
    Triggered,
)
from xnovu.stage import utc_now
from xnovu_local.nats import EmbeddedNats

FORGER = "forged: call +49 30 1234567"


@pytest.fixture
async def here(
    migrated: str, nats_server: EmbeddedNats, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    async with world(migrated, nats_server, monkeypatch) as here:
        for enterprise in (ACME, GLOBEX):
            here.register(enterprise)
        yield here


async def claimed(here: World, **columns: Any) -> Key:
    """A row of GLOBEX that ingest has claimed, and that no stage works on any further."""
    number = here.insert(GLOBEX, **columns)
    async with stages(here, "ingest"):
        await eventually(lambda: here.row(number)["notification_status"] == "PROCESSING")
    await here.wipe_broker()
    row = here.row(number)
    return Key(str(GLOBEX), number, row["generation"], row["claims"])


def claims_of(key: Key) -> dict[str, Any]:
    return key._asdict()


def hydrated(here: World, key: Key, **forged: Any) -> Hydrated:
    row = here.row(key.notification_id)
    said = {
        "workflow_key": "welcome",
        "transaction_id": row["transaction_id"],
        "recipients": tuple(map(str, row["recipients"])),
        "payload": {},
        **forged,
    }
    own = Notification(id=key.notification_id, enterprise_id=key.enterprise_id, **said)
    return Hydrated(**claims_of(key), notification=own)


def failure() -> Failure:
    return Failure(code="x", stage="trigger", message=FORGER, attempts=1, at=utc_now())


async def forge(here: World, kind: str, event: Event, enterprise: object = ACME) -> None:
    await here.publish(f"{kind}.{enterprise}", event.to_json(), Envelope(event).id)


async def codes(here: World) -> list[str]:
    """Of all dead letters, in order."""
    found = [event for _, event in await here.events("dead.>")]
    return [event.failure.code for event in found if isinstance(event, Rejected)]


async def told_of(here: World, code: str, count: int = 1) -> bool:
    return (await codes(here)).count(code) >= count


async def test_anothers_body_on_ones_own_subject_does_nothing(here: World):
    """Neither a success, nor a failure, nor a notification, nor a retraction of another's."""
    key = await claimed(here)
    taken = RetractRequested(**claims_of(key), transaction_id="victim", recipients=1)
    await forge(here, "trigger", Triggered(**claims_of(key), transaction_id="t"))
    await forge(here, "dead.trigger", Rejected(**claims_of(key), failure=failure()))
    await forge(here, "hydrate", hydrated(here, key))
    await forge(here, "retract", taken)
    async with stages(here, "trigger", "status", "retract"):
        await eventually(lambda: told_of(here, MISADDRESSED, 3))
        await eventually(lambda: here.novu.ledger.totals.asked == 0)
    row = here.row(key.notification_id)
    assert (row["notification_status"], row["error_details"]) == ("PROCESSING", None)
    assert here.novu.ledger.totals.fan_outs == 0


@pytest.mark.parametrize(
    "forged",
    [{"recipients": ("victim",)}, {"workflow_key": "another"}, {"transaction_id": "another"}],
    ids=["recipients", "workflow", "transaction id"],
)
async def test_a_message_that_its_row_does_not_confirm_is_never_sent(
    here: World, forged: dict[str, Any]
):
    key = await claimed(here)
    await forge(here, "hydrate", hydrated(here, key, **forged), GLOBEX)
    async with stages(here, "trigger", "status"):
        await eventually(lambda: told_of(here, UNCONFIRMED))
    row = here.row(key.notification_id)
    assert (row["notification_status"], row["error_details"]) == ("PROCESSING", None)
    assert here.novu.ledger.totals.asked == 0


async def test_a_success_that_never_was_is_not_recorded_and_the_row_is_sent(here: World):
    key = await claimed(here)
    said = Triggered(**claims_of(key), transaction_id="t")
    await forge(here, "trigger", said, GLOBEX)
    async with stages(here, "status"):
        await eventually(lambda: told_of(here, UNCONFIRMED))
    assert here.row(key.notification_id)["notification_status"] == "PROCESSING"
    lapse(here, key)
    async with stages(here):
        assert (await here.ended(key.notification_id))["notification_status"] == "SENT"
    assert here.novu.ledger.totals.fan_outs == 1


async def test_a_row_that_was_edited_meanwhile_is_sent_as_it_is_now(here: World):
    key = await claimed(here)
    before = hydrated(here, key)
    edited = here.execute(
        "UPDATE notify.ent_notification SET recipients = ARRAY[gen_random_uuid()] RETURNING *"
    )[0]
    await forge(here, "hydrate", before, GLOBEX)
    async with stages(here, "trigger", "status"):
        await eventually(lambda: told_of(here, UNCONFIRMED))
    lapse(here, key)
    async with stages(here):
        row = await here.ended(key.notification_id)
    assert row["notification_status"] == "SENT"
    assert row["recipients"] == edited["recipients"]


async def test_what_a_letter_says_of_its_own_row_is_written_without_what_is_private(here: World):
    """Whoever may write letters of trigger's can end a row that trigger has in hand."""
    key = await claimed(here)
    stale = Rejected(**claims_of(key._replace(claims=key.claims + 1)), failure=failure())
    await forge(here, "dead.trigger", stale, GLOBEX)
    await forge(here, "dead.trigger", Rejected(**claims_of(key), failure=failure()), GLOBEX)
    async with stages(here, "status"):
        row = await here.ended(key.notification_id)
    assert row["error_details"]["code"] == "x"
    assert "1234567" not in row["error_details"]["message"]


def lapse(here: World, key: Key) -> None:
    with psycopg.connect(here.database, autocommit=True) as connection:
        connection.execute(
            "UPDATE notify.ent_notification SET claimed_until = now() WHERE id = %s",
            [key.notification_id],
        )
