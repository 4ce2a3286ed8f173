"""Every stage in a process of its own, as containers run them."""

import asyncio
import json
import sys
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.conftest import eventually
from tests.e2e.conftest import Shell, stop
from xnovu.cli.demo.novu import ledger
from xnovu.compose.secrets import DATABASE_URL

STAGES = ("ingest", "hydrate", "trigger", "status", "retract")
INSERT = """
INSERT INTO notify.ent_notification
    (name, enterprise_id, notification_workflow_id, recipients, payload)
SELECT 'row ' || n, %s, 'welcome', ARRAY[gen_random_uuid()], %s FROM generate_series(1, %s) n
"""
RETRACT = """
UPDATE notify.ent_notification SET notification_status = 'RETRACTED'
WHERE id = (SELECT min(id) FROM notify.ent_notification WHERE enterprise_id = %s)
RETURNING retraction_outcome
"""
STATES = """
SELECT notification_status::text, count(*) FROM notify.ent_notification
WHERE enterprise_id = %s GROUP BY 1
"""


def faststream(stage: str) -> tuple[str, ...]:
    program = str(Path(sys.executable).with_name("faststream"))
    return (program, "run", "--factory", f"pipelines.{stage}:app")


def an_enterprise(shell: Shell):
    enterprise = uuid4()
    with psycopg.connect(shell.environment[DATABASE_URL]) as database:
        database.execute(
            "INSERT INTO notify.ent_notification_workflow (workflow_key, enterprise_id)"
            " VALUES ('welcome', %s)",
            [enterprise],
        )
    return enterprise


def insert(shell: Shell, enterprise, rows: int) -> None:
    with psycopg.connect(shell.environment[DATABASE_URL]) as database:
        database.execute(INSERT, [enterprise, Jsonb({"n": 1}), rows])


def retracted(shell: Shell, enterprise) -> str | None:
    """What has come of taking the first of them back."""
    with psycopg.connect(shell.environment[DATABASE_URL]) as database:
        found = database.execute(RETRACT, [enterprise]).fetchone()
        return found[0] if found else None


def states(shell: Shell, enterprise) -> dict[str, int]:
    with psycopg.connect(shell.environment[DATABASE_URL]) as database:
        return dict(database.execute(STATES, [enterprise]).fetchall())


@pytest.mark.parametrize("how", ["xnovu", "faststream"])
async def test_each_stage_as_a_process_of_its_own(at_work: Shell, servers, started, how):
    enterprise = an_enterprise(at_work)
    at_work.environment["XNOVU_HEALTH__PORT"] = "0"
    before = ledger(servers.novu_url)["totals"]["accepted"]
    commands = {
        "xnovu": lambda stage: (sys.executable, "-m", "xnovu", "run", stage),
        "faststream": faststream,
    }
    processes = [started(at_work.start(*commands[how](stage))) for stage in STAGES]
    insert(at_work, enterprise, 300)
    await eventually(lambda: states(at_work, enterprise) == {"SENT": 300}, within=90)
    await eventually(lambda: retracted(at_work, enterprise) == "cancelled", within=90)
    outputs = await asyncio.gather(*(asyncio.to_thread(stop, process) for process in processes))
    assert ledger(servers.novu_url)["totals"]["accepted"] == before + 300
    assert ledger(servers.novu_url)["doubled"] == []
    for output in outputs:
        lines = [json.loads(line) for line in output.splitlines()]
        assert lines[-1]["event"] == "stopped"
        assert {"batch"} & {line["event"] for line in lines}


async def test_two_of_each_share_the_work(at_work: Shell, servers, started):
    enterprise = an_enterprise(at_work)
    at_work.environment["XNOVU_HEALTH__PORT"] = "0"
    before = ledger(servers.novu_url)["totals"]["accepted"]
    command = (sys.executable, "-m", "xnovu", "run", "all")
    processes = [started(at_work.start(*command)) for _ in range(2)]
    for _ in range(10):
        insert(at_work, enterprise, 100)
    await eventually(lambda: states(at_work, enterprise) == {"SENT": 1000}, within=90)
    for process in processes:
        stop(process)
    assert ledger(servers.novu_url)["totals"]["accepted"] == before + 1000


def test_a_stage_that_does_not_exist_is_named(at_work: Shell):
    done = at_work.xnovu("run", "triger")
    assert done.returncode == 1
    assert "triger" in done.stderr
    assert "hydrate" in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("XNOVU_PROVIDER__RATE", "fast"),
        ("XNOVU_STAGES__TRIGGER__BACH", "3"),
        ("XNOVU_NOVU_KYE", ""),
    ],
)
def test_a_wrong_setting_stops_the_process_and_is_named(at_work: Shell, name, value):
    at_work.environment[name] = value
    for command in ((sys.executable, "-m", "xnovu", "run", "trigger"), faststream("trigger")):
        done = at_work.run(*command)
        assert done.returncode != 0
        assert name.split("__")[-1].lower() in (done.stdout + done.stderr).lower()


@pytest.mark.parametrize("name", ["XNOVU_DATABASE_URL", "XNOVU_NOVU_KEY"])
def test_a_missing_secret_stops_the_process_and_is_named(at_work: Shell, name):
    del at_work.environment[name]
    for command in ((sys.executable, "-m", "xnovu", "run", "trigger"), faststream("trigger")):
        done = at_work.run(*command)
        assert done.returncode != 0
        assert f"{name} is not set" in done.stderr
