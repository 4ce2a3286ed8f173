"""Everything in the broker is deleted while rows are on their way through it."""

from tests.conftest import eventually
from tests.integration.pipeline import World, stages, world
from tests.integration.test_pull_loop import wipe
from xnovu.adapters.table import TableOptions
from xnovu_local.novu import Fault

ROWS = 50
QUICK = {
    "trigger": {"timeout": 3.0, "rules": {"timeout": {"backoff": 0.1}}},
    "retract": {"attempts": 500, "backoff": 0.05, "backoff_max": 0.2},
}

RETRACT = "UPDATE notify.ent_notification SET notification_status = 'RETRACTED' WHERE id = %s"
IN_HAND = """
SELECT 1 FROM notify.ent_notification
WHERE id = %s AND claimed_until > now() + interval '1.5 seconds'
"""


async def on_their_way(here: World, kind: str) -> int:
    return len(await here.events(f"{kind}.>"))


async def test_rows_come_round_again_and_nobody_provisions(migrated, nats_server, monkeypatch):
    """The table knows what the broker has forgotten; who runs makes the streams anew."""
    options = TableOptions(lease=3.0, sweep_idle=0.5)
    async with world(migrated, nats_server, monkeypatch, ingest=options) as here:
        here.register()
        early = [here.insert() for _ in range(ROWS)]
        async with stages(here, "ingest", "hydrate", "status"):

            async def all_hydrated() -> bool:
                return await on_their_way(here, "hydrate") >= ROWS

            await eventually(all_hydrated, within=30)
            await wipe(here.settings.transport.model_copy(update={"url": here.nats_url}))
            late = [here.insert() for _ in range(ROWS)]
            async with stages(here, "trigger"):
                rows = [await here.ended(n) for n in [*early, *late]]
        assert {row["notification_status"] for row in rows} == {"SENT"}
        assert here.novu.ledger.totals.notified == 2 * ROWS
        assert min(row["claims"] for row in rows[:ROWS]) > 1


async def test_a_retraction_that_was_in_hand_comes_round_again(migrated, nats_server, monkeypatch):
    """As soon as nothing shows any more that was in hand to send, not after some minutes."""
    ingest, provider = TableOptions(lease=1.0, sweep_idle=0.5), {"timeout": 0.9, "settle": 0.1}
    options = {"ingest": ingest, "provider": provider, "stages": QUICK}
    async with world(migrated, nats_server, monkeypatch, **options) as here:
        here.register()
        row = here.insert()
        async with stages(here):
            assert (await here.ended(row))["notification_status"] == "SENT"
        here.novu.script(Fault("503", count=None))
        here.execute(RETRACT, row)
        async with stages(here, "ingest", "retract"):
            await eventually(lambda: here.execute(IN_HAND, row), within=30)
        await wipe(here.settings.transport.model_copy(update={"url": here.nats_url}))
        here.novu.faults.clear()
        async with stages(here):
            await eventually(lambda: here.row(row)["retraction_outcome"], within=60)
        assert here.row(row)["retraction_outcome"] == "cancelled"
