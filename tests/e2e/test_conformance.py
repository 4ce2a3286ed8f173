"""The suite against a project that it knows by URL and key alone, where others have rows, too."""

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests.e2e.conftest import ROOT, Shell, clean_environment
from tests.supabase_fixtures import postgrest_program, project
from xnovu.compose.secrets import SUPABASE_KEY, SUPABASE_URL
from xnovu_local.supabase import LocalSupabase, prepare
from xnovu_local.supabase.realtime import local_realtime

__all__ = ["postgrest_program", "project"]

COMMAND = (sys.executable, *runpy.run_path(str(ROOT / "run"))["CONFORMANCE"])
"""What `./run conformance` becomes."""

SOMEBODY = str(uuid4())
TAKEN = """
INSERT INTO notify.ent_notification (enterprise_id, notification_status, claims, claimed_until)
VALUES (%s, 'PENDING', 0, NULL), (%s, 'PROCESSING', 1, now() - interval '1 hour'),
       (%s, 'RETRACTED', 1, now() - interval '1 hour')
"""
OTHERS = "SELECT * FROM notify.ent_notification WHERE enterprise_id = %s ORDER BY id"
STILL_DUE = """
SELECT notification_status::text FROM notify.ent_notification
WHERE enterprise_id <> %s
  AND (notification_status IN ('PENDING', 'PROCESSING') OR claimed_until IS NOT NULL)
"""


@pytest.fixture
def supabase(project: str, postgrest_program: Path, tmp_path: Path) -> Iterator[LocalSupabase]:
    with LocalSupabase(project, tmp_path / "supabase", realtime=local_realtime) as supabase:
        yield supabase


def knowing(supabase: LocalSupabase, **more: str) -> Shell:
    named = {SUPABASE_URL: supabase.running.url, SUPABASE_KEY: supabase.running.keys.secret}
    return Shell(ROOT, clean_environment(**named, **more))


def test_all_holds_and_other_peoples_rows_are_left_alone(
    project: str, supabase: LocalSupabase
) -> None:
    with psycopg.connect(project, autocommit=True) as owner:
        owner.execute(TAKEN, [SOMEBODY] * 3)
        before = owner.execute(OTHERS, [SOMEBODY]).fetchall()
        done = knowing(supabase).run(*COMMAND)
        assert done.returncode == 0, done.stdout + done.stderr
        assert owner.execute(OTHERS, [SOMEBODY]).fetchall() == before
        assert owner.execute(STILL_DUE, [SOMEBODY]).fetchall() == []
        rows = owner.execute("DELETE FROM notify.ent_notification WHERE name IS NOT NULL").rowcount
        workflows = owner.execute("SELECT FROM notify.ent_notification_workflow").rowcount
        assert owner.execute("SELECT FROM notify.ent_notification").rowcount == len(before)
    assert workflows == 0
    assert f"against {supabase.running.url}" in done.stdout
    assert "XNOVU_SUPABASE_ANON_KEY is not set" in done.stdout
    assert f"{rows} rows of notify.ent_notification stay" in done.stdout
    assert supabase.running.keys.secret not in done.stdout + done.stderr


def test_nothing_is_tried_where_claims_cannot_be_kept_to_one_enterprise(
    database: str, postgrest_program: Path, tmp_path: Path
) -> None:
    prepare(database)
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("CREATE SCHEMA notify; GRANT USAGE ON SCHEMA notify TO service_role")
    with LocalSupabase(database, tmp_path / "supabase", realtime=local_realtime) as supabase:
        done = knowing(supabase).run(*COMMAND)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "nothing was tried: the database is not migrated" in done.stdout


def test_nothing_is_tried_where_stages_are_at_work(project: str, supabase: LocalSupabase) -> None:
    """Here it is a trigger that takes what comes, as soon as any stage could."""
    with psycopg.connect(project, autocommit=True) as owner:
        owner.execute(
            """
            CREATE FUNCTION public.take() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM notify.claim(9, 600);
                RETURN NULL;
            END $$;
            CREATE TRIGGER take AFTER INSERT ON notify.ent_notification
                FOR EACH STATEMENT EXECUTE FUNCTION public.take();
            """
        )
        done = knowing(supabase).run(*COMMAND)
        assert owner.execute("SELECT FROM notify.ent_notification").rowcount == 1
    assert done.returncode == 2, done.stdout + done.stderr
    assert "nothing was tried: stages are at work there" in done.stdout


def test_a_project_that_is_named_by_halves_is_none(shell: Shell) -> None:
    named = Shell(ROOT, clean_environment(**{SUPABASE_URL: "https://example.supabase.co"}))
    done = named.run(*COMMAND)
    assert done.returncode == 2
    assert "XNOVU_SUPABASE_KEY is not set" in done.stdout + done.stderr
