"""Past its deadline nothing is sent; and what was sent before is never said to have expired."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import eventually
from tests.integration.pipeline import World, stages, world
from xnovu_local.novu import Fault

SETTLE = 1.5
TRIGGER = {"timeout": 1.5, "backoff": 0.05, "pause_max": 0.2}


@pytest.fixture
async def here(migrated, nats_server, monkeypatch) -> AsyncIterator[World]:
    """An unclear outcome is looked up after 1.5 s: time enough for a deadline to pass."""
    settings: dict[str, Any] = {
        "provider": {"timeout": 0.7, "settle": SETTLE},
        "stages": {"trigger": TRIGGER},
    }
    async with world(migrated, nats_server, monkeypatch, **settings) as around:
        around.register()
        yield around


def expire(here: World, row: int) -> None:
    """Its deadline is now, whatever was known of it till then."""
    here.execute("UPDATE notify.ent_notification SET expires_at = now() WHERE id = %s", row)


def lapse(here: World, row: int) -> None:
    """Whoever had claimed it is gone, and its time is up."""
    query = "UPDATE notify.ent_notification SET claimed_until = now() WHERE id = %s"
    here.execute(query, row)


def expired(row: dict[str, Any]) -> bool:
    return (row["notification_status"], row["error_details"]["code"]) == ("FAILED", "expired")


async def test_what_novu_had_accepted_is_found_though_the_answer_was_lost(here: World):
    here.novu.script(Fault("500", endpoint="trigger", accepted=True))
    row = here.insert()
    async with stages(here):
        await eventually(lambda: here.novu.ledger.totals.accepted)
        expire(here, row)
        ended = await here.ended(row)
    assert ended["notification_status"] == "SENT"
    assert ended["processed_at"] > ended["expires_at"]
    assert here.novu.ledger.totals.asked == 1


async def test_what_it_had_not_accepted_is_expired_and_never_sent(here: World):
    here.novu.script(Fault("500", endpoint="trigger"))
    row = here.insert()
    async with stages(here):
        await eventually(lambda: here.novu.ledger.totals.asked)
        expire(here, row)
        ended = await here.ended(row)
    assert expired(ended)
    assert ended["processed_at"] > ended["expires_at"] + timedelta(seconds=SETTLE)
    assert (here.novu.ledger.totals.asked, here.novu.ledger.totals.accepted) == (1, 0)


async def test_what_was_sent_under_an_earlier_claim_is_found(here: World):
    """Everything on its way is lost, and the deadline passes before the row is claimed again."""
    row = here.insert()
    async with stages(here, "ingest", "hydrate", "trigger"):
        await eventually(lambda: here.novu.ledger.totals.accepted)
    await here.wipe_broker()
    expire(here, row)
    lapse(here, row)
    async with stages(here):
        ended = await here.ended(row)
    assert (ended["notification_status"], ended["claims"]) == ("SENT", 2)
    assert here.novu.ledger.totals.asked == 1


async def test_what_was_claimed_but_not_sent_is_expired(here: World):
    row = here.insert()
    async with stages(here, "ingest"):
        await eventually(lambda: here.row(row)["notification_status"] == "PROCESSING")
    await here.wipe_broker()
    expire(here, row)
    lapse(here, row)
    async with stages(here):
        ended = await here.ended(row)
    assert expired(ended)
    assert here.novu.ledger.totals.asked == 0


async def test_what_is_held_while_novu_is_away_expires_at_once(here: World):
    """Not only when its claim lapses: it is known that nothing was sent."""
    here.novu.script(Fault("503", count=None))
    row = here.insert()
    async with stages(here):
        await eventually(lambda: here.novu.ledger.totals.asked)
        expire(here, row)
        ended = await here.ended(row)
    assert expired(ended)
    assert (ended["claims"], here.novu.ledger.totals.accepted) == (1, 0)


async def test_what_is_past_it_when_it_is_first_claimed_is_not_sent(here: World):
    row = here.insert(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    async with stages(here):
        ended = await here.ended(row)
    assert expired(ended)
    assert here.novu.ledger.totals.asked == 0
