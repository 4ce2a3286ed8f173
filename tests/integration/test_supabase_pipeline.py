"""The main job where the store is Supabase's REST API."""

import pytest

from tests.integration.pipeline import World, stages, world
from xnovu.adapters.supabase.options import SupabaseOptions
from xnovu.compose.secrets import DATABASE_URL, SUPABASE_KEY, SUPABASE_URL
from xnovu_local.supabase import RunningSupabase


@pytest.fixture
async def here(supabase: RunningSupabase, nats_server, monkeypatch, tmp_path):
    key = tmp_path / "key"
    key.write_text(supabase.keys.secret)
    monkeypatch.setenv(SUPABASE_URL, supabase.url)
    monkeypatch.setenv(f"{SUPABASE_KEY}_FILE", str(key))
    async with world(supabase.dsn, nats_server, monkeypatch, store=SupabaseOptions()) as around:
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
