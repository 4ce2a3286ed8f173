"""A stage of one's own on NATS and Postgres, with each stage in a process of its own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from tests.conftest import eventually
from tests.integration.pipeline import ACME, GLOBEX, World, stages, world
from xnovu import Notification, Permanent, own_stage
from xnovu.adapters.nats.removal import StreamMailboxes
from xnovu.adapters.nats.topology import stream_name
from xnovu.adapters.nats.visit import visiting
from xnovu.cli.operate.dead import require_stage
from xnovu.cli.operate.replay import Wanted, replay
from xnovu.cli.setup import provisioned
from xnovu.compose.broker import nats_access
from xnovu.compose.pipeline import Pipeline
from xnovu.compose.serve import serve
from xnovu.consuming.app import part_of
from xnovu.errors import ConfigurationError
from xnovu.events import Rejected
from xnovu_local.nats import EmbeddedNats

SEEN: list[int] = []


@own_stage(name="enrich")
async def enrich(notification: Notification) -> Notification:
    SEEN.append(notification.id)
    if notification.payload.get("product") == "none":
        raise Permanent("the shop has no such product", code="product_unknown")
    payload = {**notification.payload, "name": "a kettle"}
    return notification.model_copy(update={"payload": payload})


@pytest.fixture
async def here(
    migrated: str, nats_server: EmbeddedNats, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    SEEN.clear()
    between = Pipeline(between=("enrich",))
    async with world(migrated, nats_server, monkeypatch, pipeline=between) as here:
        here.register()
        yield here


@asynccontextmanager
async def all_apart(here: World) -> AsyncIterator[None]:
    """Each stage in an app of its own."""
    async with AsyncExitStack() as stack:
        for name in ("ingest", "hydrate", "trigger", "status"):
            await stack.enter_async_context(stages(here, name))
        app = serve(part_of(enrich), settings=here.settings)
        await app.start()
        stack.push_async_callback(app.stop)
        yield


async def reads(here: World) -> dict[str, tuple[str, ...]]:
    async with visiting(nats_access(here.settings)) as client:
        found = await StreamMailboxes(client, here.settings.transport).all()
    return {each.name: each.kinds for each in found}


async def test_what_it_adds_is_what_is_sent(here: World):
    async with all_apart(here):
        row = here.insert(payload={"product": 7})
        assert (await here.ended(row))["notification_status"] == "SENT"
    [got] = here.novu.inbox.latest(9)
    assert got.shown()["payload"].items() >= {"product": 7, "name": "a kettle"}.items()
    [(subject, event)] = await here.events("enrich.*")
    assert (subject, event.kind) == (f"enrich.{ACME}", "enrich")
    assert event.notification_id == row


async def test_what_it_gives_up_ends_the_row(here: World):
    async with all_apart(here):
        ended = await here.ended(here.insert(payload={"product": "none"}))
    assert ended["notification_status"] == "FAILED"
    told = ended["error_details"]
    assert (told["stage"], told["code"]) == ("enrich", "product_unknown")
    [(_, letter)] = await here.events("dead.enrich.*")
    assert isinstance(letter, Rejected)
    assert letter.original_id == f"hydrate:{letter.key}"
    assert here.novu.inbox.latest(9) == []


async def test_what_its_subject_does_not_agree_with_is_refused(here: World):
    async with all_apart(here):
        await here.ended(here.insert(payload={}))
        [(_, event)] = await here.events("enrich.*")
        elsewhere = f"enrich.{GLOBEX}"
        await here.publish(elsewhere, event.to_json(), f"enrich:{event.key}/x")

        async def told() -> bool:
            found = [each for _, each in await here.events("dead.trigger.*")]
            return [e.failure.code for e in found if isinstance(e, Rejected)] == ["misaddressed"]

        await eventually(told)


async def test_a_replay_of_what_hydrate_told_is_for_it(
    here: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XNOVU_PIPELINE__BETWEEN", '["enrich"]')
    monkeypatch.setenv("XNOVU_TRANSPORT__PREFIX", here.settings.transport.prefix)
    async with all_apart(here):
        row = here.insert(payload={})
        await here.ended(row)
        assert await replay(Wanted(kind="hydrate"), yes=True, who="a test") == 0
        await eventually(lambda: [row, row] == SEEN)
        assert await replay(Wanted(kind="enrich"), yes=True, who="a test") == 0
    assert here.novu.ledger.totals.accepted == 1
    require_stage("enrich")
    monkeypatch.delenv("XNOVU_PIPELINE__BETWEEN")
    with pytest.raises(ConfigurationError, match="no stage 'enrich'"):
        require_stage("enrich")


async def test_it_is_put_in_and_taken_out_by_provisioning(here: World):
    """And rows that waited for trigger are sent the new way."""
    without = replace(here, settings=here.settings.model_copy(update={"pipeline": Pipeline()}))
    await provisioned(without.settings)
    assert (await reads(here))["trigger"] == ("hydrate",)
    row = here.insert(payload={})
    async with stages(without, "ingest", "hydrate"):
        await eventually(lambda: anything_told(here))
    done = await provisioned(here.settings)
    prefix = here.settings.transport.prefix
    old = f"of stream {stream_name(prefix, 'hydrate')}"
    removed = [line for line in done if line.startswith("removed")]
    assert sorted(removed) == [
        f"removed consumer trigger {old}",
        f"removed consumer trigger+express {old}",
    ]
    told = await reads(here)
    assert (told["enrich"], told["trigger"]) == (("hydrate",), ("enrich",))
    assert not [line for line in await provisioned(here.settings) if "unchanged" not in line]
    here.execute("UPDATE notify.ent_notification SET claimed_until = now() WHERE id = %s", row)
    async with all_apart(here):
        assert (await here.ended(row))["notification_status"] == "SENT"
    [got] = here.novu.inbox.latest(9)
    assert got.shown()["payload"]["name"] == "a kettle"


async def anything_told(here: World) -> bool:
    return bool(await here.events("hydrate.*"))
