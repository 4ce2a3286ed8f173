"""What operators and developers type."""

import json
import re
import signal
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.e2e.conftest import Shell, clean_environment, stop
from tests.supabase_fixtures import postgrest_program
from xnovu.cli.dev import EXAMPLE

__all__ = ["postgrest_program"]

PERSON = "6f1f4a0e-2f0b-4b67-9a55-0d1f2f4a9a01"


@pytest.mark.parametrize(
    "command",
    [
        "",
        "demo",
        "dev",
        "run",
        "migrate",
        "provision",
        "send",
        "show",
        "retract",
        "novu",
        "config check",
    ],
)
def test_every_command_helps_with_an_example(shell: Shell, command):
    done = shell.xnovu(*command.split(), "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout
    assert not command or "Example" in done.stdout


def test_migrate_shows_what_it_does_and_does_it_once(at_work: Shell):
    again = at_work.xnovu("migrate")
    assert again.returncode == 0, again.stderr
    assert "nothing to do" in again.stdout
    assert "pending" not in again.stdout


def test_migrate_writes_what_supabase_applies(shell: Shell):
    (shell.folder / "supabase").mkdir()
    first = "supabase/migrations/20260101000001_xnovu_schema.sql"
    planned = shell.xnovu("migrate", "--supabase", ".", "--plan")
    assert planned.returncode == 0, planned.stderr
    assert planned.stdout.splitlines()[0] == f"{first} pending"
    assert not (shell.folder / first).exists()
    written = shell.xnovu("migrate", "--supabase", ".")
    assert written.stdout == planned.stdout.replace("pending", "written")
    again = shell.xnovu("migrate", "--supabase", ".").stdout.splitlines()
    assert again[0] == f"{first} there"
    assert again[-1] == "nothing to do"
    (shell.folder / first).write_text("-- edited")
    refused = shell.xnovu("migrate", "--supabase", "supabase")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"xnovu: {first} is not what was written there")
    assert (shell.folder / first).read_text() == "-- edited"


def test_provision_does_nothing_twice(at_work: Shell):
    done = at_work.xnovu("provision")
    assert done.returncode == 0, done.stderr
    assert "created" not in done.stdout


def test_provision_applies_what_has_changed(at_work: Shell):
    at_work.environment["XNOVU_TRANSPORT__RETENTION_DAYS"] = "3"
    assert "updated" in at_work.xnovu("provision").stdout
    assert "updated" not in at_work.xnovu("provision").stdout


def test_provision_puts_a_stage_of_ones_own_in_and_out(at_work: Shell):
    """Each time in a process that knows of no stage but those in its settings."""
    without = at_work.environment.copy()
    at_work.environment["XNOVU_PIPELINE__BETWEEN"] = '["passing"]'
    assert "created stream XNOVU_PASSING" in at_work.xnovu("provision").stdout
    at_work.environment.clear()
    at_work.environment |= without
    out = at_work.xnovu("provision")
    assert out.returncode == 0, out.stderr
    assert "removed consumer trigger of stream XNOVU_PASSING" in out.stdout
    again = at_work.xnovu("provision")
    assert again.returncode == 0, again.stderr
    assert {line.split()[0] for line in again.stdout.splitlines()} == {"unchanged"}


def test_config_check_reaches_everything(at_work: Shell):
    done = at_work.xnovu("config", "check", "--connect")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" ok") == 32


def test_config_check_says_what_is_not_set(shell: Shell):
    done = shell.xnovu("config", "check")
    assert done.returncode == 1
    assert "XNOVU_DATABASE_URL is not set" in done.stdout


def test_config_check_says_what_cannot_be_reached(at_work: Shell):
    at_work.environment["XNOVU_DATABASE_URL"] = "postgresql://ada:hidden@127.0.0.1:1/x"
    at_work.environment["XNOVU_STORE__TIMEOUT"] = "2"
    done = at_work.xnovu("config", "check", "--connect")
    assert done.returncode == 1
    assert "127.0.0.1:1/x as ada: nothing listens there" in done.stdout
    assert "hidden" not in done.stdout + done.stderr
    assert done.stderr == ""


def test_config_check_says_that_the_database_takes_no_writes(at_work: Shell):
    at_work.environment["PGOPTIONS"] = "-c default_transaction_read_only=on"
    done = at_work.xnovu("config", "check", "--connect")
    assert done.returncode == 1
    assert "takes no writes: the database is read-only (25006)" in done.stdout


def test_what_is_sent_is_shown(at_work: Shell):
    sent = at_work.xnovu(
        *("send", "-e", str(EXAMPLE), "-w", "welcome", "-r", PERSON, "-t", "vip"),
        *("-p", '{"name": "Ada"}'),
    )
    assert sent.returncode == 0, sent.stderr
    shown = at_work.xnovu("show", sent.stdout.strip(), "--json")
    notification = json.loads(shown.stdout)["notification"]
    assert notification["notification_status"] == "PENDING"
    assert notification["tags"] == ["vip"]
    assert "Ada" not in shown.stdout
    assert PERSON not in shown.stdout
    private = at_work.xnovu("show", sent.stdout.strip(), "--payload")
    assert private.returncode == 0, private.stderr
    assert "Ada" in private.stdout
    assert PERSON in private.stdout


async def test_what_became_of_it_is_shown_within_80_columns(at_work: Shell, started):
    at_work.environment |= {"XNOVU_HEALTH__PORT": "0", "COLUMNS": "80"}
    stages = started(at_work.start(sys.executable, "-m", "xnovu", "run", "all"))
    workflow = "[/] is no markup"
    sent = at_work.xnovu("send", "-e", str(EXAMPLE), "-w", workflow, "-r", PERSON, "--wait", "60")
    assert sent.returncode == 1
    assert f"FAILED workflow_not_found: workflow '{workflow}'" in sent.stdout
    shown = at_work.xnovu("show", sent.stdout.split()[0])
    stop(stages)
    assert shown.returncode == 0, shown.stderr
    assert re.search(r"PENDING +PROCESSING +ingest +1", shown.stdout)
    assert re.search(r"PROCESSING +FAILED +status +1 +workflow_not_found", shown.stdout)
    assert "as postgres, by the database's word" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80


def test_rows_come_from_a_file_or_from_stdin(at_work: Shell, tmp_path: Path):
    row = {
        "enterprise_id": str(EXAMPLE),
        "notification_workflow_id": "welcome",
        "recipients": [PERSON],
    }
    (tmp_path / "rows.json").write_text(json.dumps([row, row]))
    assert len(at_work.xnovu("send", "--json", "rows.json").stdout.split()) == 2
    lines = f"{json.dumps(row)}\n{json.dumps(row)}\n{json.dumps(row)}\n"
    assert len(at_work.xnovu("send", "--json", "-", stdin=lines).stdout.split()) == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-w", "welcome"), "--enterprise"),
        (("-e", "x", "-w", "w", "-r", "p", "-p", "{"), "--payload is not JSON"),
        (("--json", "nowhere.json"), "nowhere.json"),
        (("-w", "welcome", "--json", "-"), "leave the other options out"),
        (("-e", "not-a-uuid", "-w", "w", "-r", PERSON), "enterprise_id"),
        (("-e", str(EXAMPLE), "-w", "w", "-r", "not-a-person"), "recipients"),
    ],
)
def test_what_cannot_be_sent_is_named(at_work: Shell, arguments, told):
    done = at_work.xnovu("send", *arguments)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert "not-a-person" not in done.stderr


def test_a_notification_that_is_not_there(at_work: Shell):
    done = at_work.xnovu("show", "999999")
    assert done.returncode == 1
    assert "999999" in done.stderr


async def test_novu_runs_alone(shell: Shell, started):
    process = started(shell.start(sys.executable, "-m", "xnovu", "novu", "--port", "18025"))
    await eventually(lambda: answers("http://127.0.0.1:18025/_local/options"), within=60)
    second = shell.xnovu("novu", "--port", "18025")
    assert second.returncode == 1
    assert second.stderr == "xnovu: cannot listen on 127.0.0.1 port 18025: Address already in use\n"
    stop(process, signal.SIGINT)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.mark.parametrize("options", [(), ("--supabase",)], ids=["postgres", "supabase"])
async def test_dev_runs_everything_and_keeps_the_data(
    shell: Shell, started, tmp_path: Path, options: tuple[str, ...], request: pytest.FixtureRequest
):
    if options:
        request.getfixturevalue("postgrest_program")
    environment = tmp_path / "data/environment"
    ids = []
    for _ in range(2):
        environment.unlink(missing_ok=True)
        command = (sys.executable, "-m", "xnovu", "dev", "--folder", "data", *options)
        dev = started(shell.start(*command))
        await eventually(lambda: environment.exists() and environment.read_text(), within=90)
        variables = dict(re.findall(r"export (\w+)='(.*)'", environment.read_text()))
        assert ("XNOVU_SUPABASE_URL" in variables) == bool(options)
        user = Shell(tmp_path, clean_environment(**variables))
        sent = user.xnovu("send", "-e", str(EXAMPLE), "-w", "welcome", "-r", PERSON, "--wait", "60")
        assert sent.returncode == 0, sent.stdout + sent.stderr
        assert "SENT" in sent.stdout
        ids.append(int(sent.stdout.split()[0]))
        output = stop(dev, signal.SIGINT)
        assert "stopping" in output
    assert ids[1] > ids[0]
    assert environment.stat().st_mode & 0o777 == 0o600
