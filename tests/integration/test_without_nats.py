"""The whole pipeline on tables: a process for each stage, as far as the database can tell."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

import xnovu
from tests.conftest import eventually
from tests.integration.pipeline import ACME, GLOBEX, World, brokerless
from xnovu import Notification, StatusChanged, consumer, own_stage
from xnovu.adapters.mailboxes import MailboxOptions
from xnovu.cli.run import PARTS
from xnovu.compose.apps import App
from xnovu.compose.pipeline import Pipeline
from xnovu.compose.serve import serve
from xnovu.compose.settings import HealthOptions
from xnovu.consuming.app import part_of
from xnovu_local.novu import Fault

HEARD: list[tuple[int, str]] = []
PRODUCTS: list[int] = []


@consumer(StatusChanged, name="greeter")
async def greeter(event: StatusChanged) -> None:
    if not HEARD:
        HEARD.append((0, "tried"))
        raise RuntimeError("comes again")
    HEARD.append((event.notification_id, event.status))


@own_stage(name="enrich")
async def enrich(notification: Notification) -> Notification:
    PRODUCTS.append(notification.id)
    return notification.model_copy(
        update={"payload": {**notification.payload, "product": "kettle"}}
    )


@pytest.fixture
async def here(migrated: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    HEARD.clear()
    PRODUCTS.clear()
    async with brokerless(migrated, monkeypatch) as world:
        changes = {
            "transport": MailboxOptions(lease=1.0),
            "pipeline": Pipeline(between=("enrich",)),
            "health": HealthOptions(enabled=False),
        }
        world.settings = world.settings.model_copy(update=changes)
        yield world


async def test_each_stage_a_consumer_and_a_stage_of_ones_own(here: World) -> None:
    """Sent after a retry, refused, taken back; the consumer's bug costs it an attempt, no row."""
    here.novu.faults.script(Fault("503", count=2))
    apps: list[App] = [serve(part, settings=here.settings) for part in PARTS.values()]
    apps.append(serve(part_of(enrich), settings=here.settings))
    apps.append(xnovu.app(greeter, settings=here.settings))
    async with AsyncExitStack() as stack:
        for app in apps:
            await stack.enter_async_context(app)
        sent, refused = here.insert(ACME), here.insert(GLOBEX, recipients=[])
        assert (await here.ended(sent))["notification_status"] == "SENT"
        row = await here.ended(refused)
        assert row["error_details"]["code"] == "recipients_invalid"
        here.execute(
            "UPDATE notify.ent_notification SET notification_status = 'RETRACTED'"
            f" WHERE id = {sent}"
        )
        await eventually(lambda: here.row(sent)["retraction_outcome"])
        ends = {(sent, "SENT"), (refused, "FAILED"), (sent, "RETRACTED")}
        await eventually(lambda: ends <= set(HEARD))
    assert [sent] == PRODUCTS
    assert here.novu.ledger.doubled() == []
