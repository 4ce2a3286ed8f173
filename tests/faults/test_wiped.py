"""Everything in the broker is deleted while rows are on their way through it."""

from tests.conftest import eventually
from tests.integration.pipeline import World, stages, world
from tests.integration.test_pull_loop import wipe
from xnovu.adapters.table import TableOptions

ROWS = 50


async def on_their_way(here: World, kind: str) -> int:
    return len(await here.events(f"{kind}.>"))


async def test_rows_come_round_again_and_nobody_provisions(database, nats_server, monkeypatch):
    """The table knows what the broker has forgotten; who runs makes the streams anew."""
    options = TableOptions(lease=3.0, sweep_idle=0.5)
    async with world(database, nats_server, monkeypatch, ingest=options) as here:
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
