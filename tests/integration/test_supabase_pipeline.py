"""The main job where the store is Supabase's REST API."""

from dataclasses import replace

import pytest

from tests.integration.pipeline import World, stages, world
from xnovu.adapters.supabase.options import SupabaseOptions
from xnovu.compose.secrets import DATABASE_URL, SUPABASE_KEY, SUPABASE_URL
from xnovu.local.supabase import Fault, RunningSupabase

PATIENT = {
    "ingest": {"pause_max": 0.2},
    "trigger": {"backoff": 0.05, "pause_max": 0.2},
    "status": {"pause_max": 0.2},
}


@pytest.fixture
async def here(supabase: RunningSupabase, nats_server, monkeypatch, tmp_path):
    key = tmp_path / "key"
    key.write_text(supabase.keys.secret)
    monkeypatch.setenv(SUPABASE_URL, supabase.url)
    monkeypatch.setenv(f"{SUPABASE_KEY}_FILE", str(key))
    store = SupabaseOptions()
    async with world(supabase.dsn, nats_server, monkeypatch, stages=PATIENT, store=store) as around:
        monkeypatch.delenv(DATABASE_URL)
        around.register()
        yield around


async def test_rows_end_as_they_must(here: World):
    sent = here.insert(payload={"who": "Ada"})
    refused = here.insert(workflow="nobody-knows")
    async with stages(here):
        assert (await here.ended(sent))["notification_status"] == "SENT"
        row = await here.ended(refused)
    assert row["error_details"]["code"] == "workflow_not_found"
    assert here.audit(sent) == [("PENDING", "PROCESSING"), ("PROCESSING", "SENT")]
    assert here.novu.ledger.totals.notified == 1


async def test_a_key_that_is_replaced_in_its_file_is_taken_up(
    here: World, supabase: RunningSupabase, tmp_path
):
    async with stages(here):
        await here.ended(here.insert())
        replacement = supabase.keys.add("service_role")
        supabase.keys.revoke(supabase.keys.secret)
        held = here.insert()
        (tmp_path / "key").write_text(replacement)
        assert (await here.ended(held))["notification_status"] == "SENT"


async def test_among_lost_answers_none_is_lost_and_none_sent_twice(
    here: World, supabase: RunningSupabase
):
    notifications = [here.insert() for _ in range(60)]
    for fault in (Fault("answer_lost"), Fault("answer_lost", status=504), Fault("away")) * 5:
        supabase.faults.script(replace(fault, nth=3))
    async with stages(here):
        rows = [await here.ended(notification) for notification in notifications]
    assert {row["notification_status"] for row in rows} == {"SENT"}
    assert {row["claims"] for row in rows} == {1}
    assert here.novu.ledger.totals.notified == 60
    assert supabase.faults.struck("answer_lost") >= 3
