"""A ledger of look-ups: Novu is asked for what is in doubt, and for nothing else."""

from collections.abc import AsyncIterator
from typing import Any

import nats
import pytest

from tests.conftest import eventually
from tests.integration.pipeline import ACME, World, stages, world
from xnovu.adapters.nats.topology import stream_name
from xnovu.adapters.postgres.store import postgres_store
from xnovu.compose.broker import nats_transport
from xnovu.envelope import Envelope
from xnovu.events import Hydrated, Key
from xnovu.sending import SendTimes
from xnovu_local.novu import Fault

MANY = 5000
INSERT = """
INSERT INTO notify.ent_notification (enterprise_id, notification_workflow_id, recipients)
SELECT %s, 'welcome', ARRAY[gen_random_uuid()] FROM generate_series(1, %s)
"""
COUNT = "SELECT count(*) AS n FROM notify.ent_notification WHERE notification_status::text = %s"
HURRIED = {"trigger": {"timeout": 20.0, "backoff": 0.05, "pause_max": 0.2}}


@pytest.fixture
async def here(migrated, nats_server, monkeypatch) -> AsyncIterator[World]:
    settings: dict[str, Any] = {
        "provider": {"timeout": 10.0, "settle": 0.5},
        "stages": HURRIED,
    }
    async with world(migrated, nats_server, monkeypatch, **settings) as around:
        around.register()
        yield around


def insert(here: World, count: int) -> None:
    here.execute(INSERT, ACME, count)


def count(here: World, status: str) -> int:
    return here.execute(COUNT, status)[0]["n"]


def look_ups(here: World) -> int:
    return here.novu.ledger.look_ups.total()


async def all_sent(here: World, number: int) -> None:
    await eventually(lambda: count(here, "SENT") == number, within=60)
    assert here.novu.ledger.totals.accepted == number
    assert here.novu.ledger.doubled() == []


async def waiting(here: World, number: int) -> list[Key]:
    """So many rows are claimed and on their way to trigger, where nobody is at work."""
    insert(here, number)
    store, transport = postgres_store(here.database), nats_transport(here.settings)
    await store.open()
    await transport.start()
    keys: list[Key] = []
    while claims := await store.claim(500, 600.0):
        keys += [claim.captured.key for claim in claims]
        published = await transport.publish([Envelope(claim.captured) for claim in claims])
        assert not any(published)
    await transport.stop()
    await store.close()
    async with stages(here, "hydrate"):
        await eventually(lambda: hydrated(here, number), within=60)
    return keys


async def hydrated(here: World, number: int) -> bool:
    client = await nats.connect(here.nats_url)
    try:
        stream = stream_name(here.settings.transport.prefix, Hydrated.kind)
        return (await client.jetstream().stream_info(stream)).state.messages == number
    finally:
        await client.close()


async def test_a_start_with_thousands_waiting_makes_none(here: World) -> None:
    await waiting(here, MANY)
    async with stages(here, "trigger", "status"):
        await all_sent(here, MANY)
    assert look_ups(here) == 0


async def test_a_stop_and_a_start_make_none(here: World) -> None:
    await waiting(here, 500)
    for _ in range(5):
        async with stages(here, "trigger", "status"):
            await eventually(lambda: count(here, "SENT"), within=60)
    async with stages(here, "trigger", "status"):
        await all_sent(here, 500)
    assert look_ups(here) == 0


@pytest.mark.parametrize("kind", ["503", "429", "401"])
async def test_a_retry_after_a_definite_refusal_makes_none(here: World, kind: Any) -> None:
    here.novu.script(Fault(kind, count=3))
    insert(here, 20)
    async with stages(here):
        await all_sent(here, 20)
    assert look_ups(here) == 0


async def test_wiped_streams_and_a_second_claim_make_none(here: World) -> None:
    await waiting(here, 50)
    await here.wipe_broker()
    here.execute("UPDATE notify.ent_notification SET claimed_until = now()")
    async with stages(here):
        await all_sent(here, 50)
    assert look_ups(here) == 0


async def test_after_a_crash_only_open_records_are_looked_up_once_each(here: World) -> None:
    """Thirty of a hundred had been begun."""
    keys = await waiting(here, 100)
    store = postgres_store(here.database)
    await store.open()
    begun = await store.begin_send(keys[:30], SendTimes(1.0, 0.5))
    assert all(verdict.sends for verdict in begun.verdicts.values())
    await store.close()
    async with stages(here, "trigger", "status"):
        await eventually(lambda: count(here, "SENT") >= 70, within=60)
        await all_sent(here, 100)
    found = here.novu.ledger.look_ups
    ids = [key.notification_id for key in keys[:30]]
    assert set(found) == {row["transaction_id"] for row in here.execute(NAMES, ids)}
    assert set(found.values()) <= {1, 2}, "at once, and once more when it would show"


NAMES = "SELECT transaction_id FROM notify.ent_notification WHERE id = ANY(%s)"


async def test_what_was_accepted_unclearly_is_looked_up_once(here: World) -> None:
    here.novu.script(Fault("500", endpoint="trigger", accepted=True, count=1))
    insert(here, 1)
    async with stages(here):
        await eventually(lambda: here.novu.ledger.totals.fan_outs)
        await all_sent(here, 1)
    assert look_ups(here) == 1
    assert here.novu.ledger.totals.asked == 1


async def test_what_was_not_accepted_is_looked_up_at_once_and_when_it_would_show(
    here: World,
) -> None:
    here.novu.script(Fault("500", endpoint="trigger", count=1))
    insert(here, 1)
    async with stages(here):
        await all_sent(here, 1)
    assert look_ups(here) == 2
    assert here.novu.ledger.totals.asked == 2
