"""Limits as an operator sets them, and what `show` says of a row that waits for one."""

import json
import sys

import psycopg
import pytest

from tests.conftest import eventually
from tests.e2e.conftest import Shell, stop
from tests.e2e.test_stages import an_enterprise, states
from xnovu.compose.secrets import DATABASE_URL

ROWS = """
INSERT INTO notify.ent_notification (enterprise_id, notification_workflow_id, recipients, payload)
SELECT %s, 'welcome', ARRAY[gen_random_uuid()], '{"name": "Ada"}' FROM generate_series(1, 3)
RETURNING id
"""


async def test_what_waits_for_a_limit_says_so_and_goes_when_it_is_lifted(at_work: Shell, started):
    enterprise = an_enterprise(at_work)
    done = at_work.xnovu("limits", "set", str(enterprise), "--rate", "0.001", "--as", "eve")
    assert done.returncode == 0, done.stderr
    listed = json.loads(at_work.xnovu("limits", "list", "-e", str(enterprise), "--json").stdout)
    assert [(line["enterprise_id"], line["rate"]) for line in listed] == [(str(enterprise), 0.001)]
    with psycopg.connect(at_work.environment[DATABASE_URL], autocommit=True) as database:
        *_, last = [row for (row,) in database.execute(ROWS, [enterprise])]
        query = "SELECT details ->> 'operation' FROM notify.ent_notification_audit WHERE actor = %s"
        assert database.execute(query, ["eve"]).fetchall() == [("limits",)]
    at_work.environment["XNOVU_HEALTH__PORT"] = "0"
    process = started(at_work.start(sys.executable, "-m", "xnovu", "run", "all"))
    await eventually(lambda: states(at_work, enterprise) == {"PENDING": 2, "SENT": 1}, within=60)
    shown = at_work.xnovu("show", str(last)).stdout
    assert "waits for its enterprise's rate of 0.001 per second, 1 of its own before it" in shown
    told = json.loads(at_work.xnovu("show", str(last), "--json").stdout)
    assert told["waiting"]["for"] == "rate"
    at_work.xnovu("limits", "set", str(enterprise), "--rate", "none")
    await eventually(lambda: states(at_work, enterprise) == {"SENT": 3}, within=60)
    assert "waits for" not in at_work.xnovu("show", str(last)).stdout
    assert "no limits" in at_work.xnovu("limits", "list", "-e", str(enterprise)).stdout
    stop(process)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((), "name what is to change"),
        (("--weight", "much"), "--weight takes a number, or none"),
        (("--weight", "1001"), "--weight is 1000 at the most"),
        (("--rate", "0"), "--rate must be above 0"),
        (("--rate", "nan"), "--rate must be above 0"),
        (("--concurrency", "-1"), "--concurrency must be above 0"),
        (("--priority", "1"), "name it with --workflow"),
        (("--workflow", "welcome", "--rate", "1"), "no weight, rate or restriction of its own"),
    ],
)
def test_what_cannot_be_a_limit_is_named(shell: Shell, options: tuple[str, ...], complaint: str):
    done = shell.xnovu("limits", "set", "acme", *options)
    assert done.returncode == 2
    assert complaint in done.stderr


def test_a_workflow_that_is_not_there_is_named(at_work: Shell):
    whose = str(an_enterprise(at_work))
    done = at_work.xnovu("limits", "set", whose, "--workflow", "nothing", "--concurrency", "1")
    assert done.returncode == 1
    assert "has no workflow nothing" in done.stderr
