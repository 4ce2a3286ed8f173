"""Who needs little does not wait behind who has much, all the way to Novu."""

from tests.conftest import eventually
from tests.integration.pipeline import ACME, GLOBEX, World, stages, world

RATE = 20
BURST = 5 * RATE
"""So many go out at once, before the rate holds."""
IN_HAND = 400
"""Rows that four batches of trigger have in hand while they wait for tokens."""

MANY = """
INSERT INTO notify.ent_notification (enterprise_id, notification_workflow_id, recipients)
SELECT %s, 'welcome', ARRAY[gen_random_uuid()] FROM generate_series(1, %s)
"""
EARLIER = """
SELECT count(*) FROM notify.ent_notification n, notify.ent_notification light
WHERE light.id = %s AND n.processed_at BETWEEN light.created_at AND light.processed_at
"""


async def test_one_row_overtakes_another_enterprises_backlog(migrated, nats_server, monkeypatch):
    provider = {"rate": RATE, "bulk": "never"}
    async with world(migrated, nats_server, monkeypatch, provider=provider) as here:
        here.register(ACME)
        here.register(GLOBEX)
        here.execute(MANY, ACME, BURST + 3 * IN_HAND)
        async with stages(here):
            await eventually(lambda: accepted(here) > BURST, within=60)
            light = here.insert(GLOBEX)
            assert (await here.ended(light))["notification_status"] == "SENT"
            [(between,)] = map(dict.values, here.execute(EARLIER, light))
            assert between < IN_HAND / 2
            found = await here.events(f"trigger.{GLOBEX}.express")
            assert [event.notification_id for _, event in found] == [light]


def accepted(here: World) -> int:
    return here.novu.ledger.totals.accepted
