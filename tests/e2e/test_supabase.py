"""Everything but the migrations without a connection to the database: through Supabase's API."""

import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.conftest import eventually
from tests.e2e.conftest import Shell, clean_environment, stop
from tests.e2e.test_stages import an_enterprise, insert, states
from tests.supabase_fixtures import postgrest_program
from xnovu.adapters.postgres.migrations import migrate
from xnovu.cli.demo.novu import ledger
from xnovu.cli.dev import EXAMPLE, WELCOME
from xnovu.cli.stack import Stack
from xnovu.compose.secrets import DATABASE_URL, SUPABASE_KEY, SUPABASE_URL
from xnovu_local.ports import free_port
from xnovu_local.supabase import LocalSupabase, prepare
from xnovu_local.supabase.realtime import local_realtime

__all__ = ["postgrest_program"]

PERSON = "6f1f4a0e-2f0b-4b67-9a55-0d1f2f4a9a01"
CLAIMED = "xnovu_claimed_total "
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
    folder = tmp_path_factory.mktemp("supabase")
    with LocalSupabase(dsn, folder, realtime=local_realtime) as supabase:
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
    assert done.stdout.count(" ok\n") > 10
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
    assert done.stderr == (
        "xnovu: Supabase at 127.0.0.1:1 cannot be reached: nothing listens there"
        " (connection refused): does it run, and is the port right?\n"
    )


def test_what_is_sent_arrives(on_supabase: Shell, started):
    command = (sys.executable, "-m", "xnovu", "run", "all", "--port", "0")
    at_work = started(on_supabase.start(*command))
    sent = on_supabase.xnovu(*ROW, "--wait", "60")
    assert sent.returncode == 0, sent.stdout + sent.stderr
    shown = on_supabase.xnovu("show", sent.stdout.split()[0])
    assert "SENT" in shown.stdout, shown.stderr
    assert "sb_secret" not in stop(at_work)


async def test_two_ingest_processes_share_the_rows(
    on_supabase: Shell, project: LocalSupabase, servers: Stack, started
):
    platform = Shell(on_supabase.folder, {DATABASE_URL: project.running.dsn})
    enterprise = an_enterprise(platform)
    before = ledger(servers.novu_url)["totals"]["accepted"]
    ports, command = (free_port(), free_port()), (sys.executable, "-m", "xnovu", "run")
    for port in ports:
        started(on_supabase.start(*command, "ingest", "--port", str(port)))
    started(on_supabase.start(*command, "hydrate", "trigger", "status", "--port", "0"))
    rows = 0

    async def both_have_claimed() -> bool:
        nonlocal rows
        rows += 300
        insert(platform, enterprise, 300)
        await eventually(lambda: states(platform, enterprise) == {"SENT": rows}, within=90)
        return all(claimed(port) for port in ports)

    await eventually(lambda: all(is_told(port) for port in ports), within=60)
    await eventually(both_have_claimed, within=90)
    assert sum(claimed(port) for port in ports) == rows
    book = ledger(servers.novu_url)
    assert (book["totals"]["accepted"] - before, book["doubled"]) == (rows, [])


def shown(port: int, path: str) -> str:
    """By the health server of a process; nothing while there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def is_told(port: int) -> bool:
    """Whether Realtime's hints come through to it."""
    status: dict[str, Any] = json.loads(shown(port, "/status") or "{}")
    return status.get("wakeups", {}).get("state") == "connected"


def claimed(port: int) -> int:
    (line,) = (x for x in shown(port, "/metrics").splitlines() if x.startswith(CLAIMED))
    return int(float(line.removeprefix(CLAIMED)))
