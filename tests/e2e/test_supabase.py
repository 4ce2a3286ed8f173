"""Everything but the migrations without a connection to the database: through Supabase's API."""

import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.e2e.conftest import Shell, clean_environment, stop
from tests.supabase_fixtures import postgrest_program
from xnovu.adapters.postgres.migrations import migrate
from xnovu.cli.dev import EXAMPLE, WELCOME
from xnovu.cli.stack import Stack
from xnovu.compose.secrets import DATABASE_URL, SUPABASE_KEY, SUPABASE_URL
from xnovu.local.supabase import LocalSupabase, prepare

__all__ = ["postgrest_program"]

PERSON = "6f1f4a0e-2f0b-4b67-9a55-0d1f2f4a9a01"
ROW = ("send", "-e", str(EXAMPLE), "-w", "welcome", "-r", PERSON)


@pytest.fixture(scope="module")
def project(
    servers: Stack, postgrest_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalSupabase]:
    dsn = servers.postgres.create_database("project")
    prepare(dsn)
    migrate(dsn)
    with psycopg.connect(dsn) as database:
        database.execute(WELCOME, {"enterprise": EXAMPLE})
    with LocalSupabase(dsn, tmp_path_factory.mktemp("supabase")) as supabase:
        yield supabase


@pytest.fixture
def on_supabase(servers: Stack, project: LocalSupabase, tmp_path: Path) -> Shell:
    """A shell that knows the project's URL and key, and no connection to its database."""
    environment = clean_environment(**servers.environment(), XNOVU_STORE__KIND="supabase")
    del environment[DATABASE_URL]
    key = tmp_path / "key"
    key.write_text(project.running.keys.secret)
    shown = {SUPABASE_URL: project.running.url, f"{SUPABASE_KEY}_FILE": str(key)}
    return Shell(tmp_path, {**environment, **shown})


def test_config_check_reaches_everything(on_supabase: Shell):
    done = on_supabase.xnovu("config", "check", "--connect")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok") == 7
    assert "sb_secret" not in done.stdout + done.stderr


def test_config_check_says_that_the_key_is_refused(on_supabase: Shell):
    del on_supabase.environment[f"{SUPABASE_KEY}_FILE"]
    on_supabase.environment[SUPABASE_KEY] = "sb_secret_hidden"
    done = on_supabase.xnovu("config", "check", "--connect")
    assert done.returncode == 1
    assert "Supabase refuses the API key" in done.stdout
    assert "hidden" not in done.stdout + done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("name", "command"),
    [
        (f"{SUPABASE_KEY}_FILE", ("run", "hydrate")),
        (SUPABASE_URL, ("run", "hydrate")),
        (SUPABASE_URL, ("show", "1")),
        ("nothing", ("migrate",)),
    ],
)
def test_what_is_missing_is_named(on_supabase: Shell, name: str, command: tuple[str, ...]):
    on_supabase.environment.pop(name, None)
    done = on_supabase.xnovu(*command)
    assert done.returncode == 1
    missing = DATABASE_URL if name == "nothing" else name.removesuffix("_FILE")
    assert done.stderr == f"xnovu: {missing} is not set; set it, or {missing}_FILE\n"


def test_a_failure_is_one_line(on_supabase: Shell):
    on_supabase.environment[SUPABASE_URL] = "http://127.0.0.1:1"
    done = on_supabase.xnovu(*ROW)
    assert done.returncode == 1
    assert done.stderr == "xnovu: Supabase cannot be reached (ConnectError)\n"


def test_what_is_sent_arrives(on_supabase: Shell, started):
    command = (sys.executable, "-m", "xnovu", "run", "all", "--port", "0")
    at_work = started(on_supabase.start(*command))
    sent = on_supabase.xnovu(*ROW, "--wait", "60")
    assert sent.returncode == 0, sent.stdout + sent.stderr
    shown = on_supabase.xnovu("show", sent.stdout.split()[0])
    assert "SENT" in shown.stdout, shown.stderr
    assert "sb_secret" not in stop(at_work)
