"""What the preflight says of a Supabase project, which PostgREST describes."""

from pathlib import Path

import psycopg

from tests.conftest import eventually
from tests.supabase_fixtures import RunningSupabase, running_supabase
from xnovu.adapters.supabase.options import SupabaseOptions
from xnovu.adapters.supabase.preflight import preflight
from xnovu.finding import Finding
from xnovu.sql.needs import NEEDS
from xnovu_local.supabase.postgrest import PostgrestOptions


async def of(supabase: RunningSupabase) -> list[Finding]:
    return await preflight(
        lambda: supabase.url, lambda: supabase.service_key, SupabaseOptions(), list(NEEDS)
    )


async def test_the_service_key_may_do_all(supabase: RunningSupabase) -> None:
    found = await of(supabase)
    assert [each.name for each in found] == [f"database: {stage}" for stage in NEEDS]
    assert not any(each.fault for each in found), found


async def test_where_nothing_is_described_nothing_is_said_to_be_missing(
    project: str, postgrest_program: Path
) -> None:
    hidden = PostgrestOptions(openapi_mode="disabled")
    async with running_supabase(project, options=hidden) as supabase:
        [found] = await of(supabase)
    assert not found.fault
    assert "not described" in found.note


async def test_what_was_revoked_is_named_for_the_stages_that_need_it(
    supabase: RunningSupabase, project: str
) -> None:
    with psycopg.connect(project, autocommit=True) as owner:
        owner.execute("REVOKE EXECUTE ON FUNCTION notify.begin_send FROM service_role")
        owner.execute("NOTIFY pgrst, 'reload schema'")

    async def only_triggers() -> bool:
        faults = {each.name: each.fault for each in await of(supabase) if each.fault}
        return list(faults) == ["database: trigger"] and "notify.begin_send" in str(faults)

    await eventually(only_triggers)
