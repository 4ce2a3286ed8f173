"""What operators do when things went wrong."""

import json
import sys
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.conftest import eventually
from tests.e2e.conftest import Shell, stop
from tests.e2e.test_stages import an_enterprise, insert, states
from xnovu.cli.demo.novu import ledger
from xnovu.compose.secrets import DATABASE_URL

INSERT = """
INSERT INTO notify.ent_notification (enterprise_id, notification_workflow_id, recipients, payload)
SELECT %s, 'later', ARRAY[gen_random_uuid()], %s FROM generate_series(1, %s) RETURNING id
"""
REGISTER = """
INSERT INTO notify.ent_notification_workflow (workflow_key, enterprise_id, payload_schema)
VALUES ('later', %s, '{"required": ["name"]}')
"""


@pytest.fixture
def database(at_work: Shell) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(at_work.environment[DATABASE_URL], autocommit=True) as database:
        yield database


@pytest.fixture
def running(at_work: Shell, started) -> Iterator[None]:
    at_work.environment["XNOVU_HEALTH__PORT"] = "0"
    process = started(at_work.start(sys.executable, "-m", "xnovu", "run", "all"))
    yield
    stop(process)


async def some_failed(at_work: Shell, database, rows: int = 3) -> tuple[UUID, list[int]]:
    """An enterprise whose notifications have all failed: their workflow is not registered."""
    enterprise = an_enterprise(at_work)
    inserted = database.execute(INSERT, [enterprise, Jsonb({"secret": "value"}), rows])
    await eventually(lambda: states(at_work, enterprise) == {"FAILED": rows}, within=90)
    return enterprise, sorted(row[0] for row in inserted)


def told(at_work: Shell, *arguments: str) -> Any:
    done = at_work.xnovu("dead", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout else None


def operations(database, who: str) -> list[tuple[str, int]]:
    query = """
        SELECT details ->> 'operation', (details ->> 'count')::int
        FROM notify.ent_notification_audit
        WHERE notification_id IS NULL AND actor = %s ORDER BY id"""
    return database.execute(query, [who]).fetchall()


async def test_dead_letters_are_listed_shown_and_sent_again(at_work, database, running):
    enterprise, ids = await some_failed(at_work, database)
    only = ("-e", str(enterprise))
    grouped = at_work.xnovu("dead", "list", *only).stdout
    assert "workflow_not_found" in grouped
    assert " 3 " in grouped
    letters = told(at_work, "list", *only)
    assert sorted(letter["notification_id"] for letter in letters) == ids
    assert told(at_work, "list", *only, "--code", "expired") == []
    assert told(at_work, "list", *only, "--until", "1h") == []

    number = str(letters[0]["number"])
    shown = told(at_work, "show", number)
    assert shown["failure"]["stage"] == "hydrate"
    assert "secret" not in json.dumps(told(at_work, "list", *only)) + json.dumps(shown)
    assert told(at_work, "show", number, "--payload")["original"]["notification_id"] in ids

    dry = at_work.xnovu("dead", "redrive", *only)
    assert "dry run" in dry.stderr
    assert states(at_work, enterprise) == {"FAILED": 3}

    database.execute(REGISTER, [enterprise])
    edited = ("--payload", '{"name": "Ada"}', "--yes", "--as", "ada")
    done = at_work.xnovu("dead", "redrive", number, *edited)
    assert "sent again: 1" in done.stdout, done.stderr
    await eventually(lambda: states(at_work, enterprise) == {"FAILED": 2, "SENT": 1}, within=60)
    assert "no dead letter" in at_work.xnovu("dead", "redrive", number, "--yes").stdout
    assert operations(database, "ada") == [("dead redrive", 1)]


async def test_a_dead_letter_of_what_was_sent_again_otherwise_changes_nothing(
    at_work, database, running
):
    enterprise, _ = await some_failed(at_work, database, rows=1)
    ask = "SELECT generation FROM notify.ent_notification WHERE enterprise_id = %s"
    (first,) = database.execute(ask, [enterprise]).fetchone()
    retried = at_work.xnovu("retry", "--failed", "-e", str(enterprise), "--yes", "--as", "bob")
    assert "sent again: 1" in retried.stdout, retried.stderr

    def failed_again() -> bool:
        query = "SELECT generation, notification_status::text FROM notify.ent_notification"
        found = database.execute(f"{query} WHERE enterprise_id = %s", [enterprise]).fetchone()
        return found == (first + 1, "FAILED")

    await eventually(failed_again, within=60)
    letters = told(at_work, "list", "-e", str(enterprise))
    assert [letter["generation"] for letter in letters] == [first, first + 1]
    done = at_work.xnovu("dead", "redrive", str(letters[0]["number"]), "--yes")
    assert "sent again: 0; no longer failed, so left alone: 1" in done.stdout
    assert operations(database, "bob") == [("retry", 1)]


async def test_dead_letters_are_thrown_away_and_their_rows_stay(at_work, database, running):
    enterprise, _ = await some_failed(at_work, database, rows=2)
    only = ("-e", str(enterprise), "--reason", "sent by hand")
    assert "dry run" in at_work.xnovu("dead", "discard", *only).stderr
    done = at_work.xnovu("dead", "discard", *only, "--yes", "--as", "eve")
    assert "thrown away: 2" in done.stdout, done.stderr
    assert told(at_work, "list", "-e", str(enterprise)) == []
    assert states(at_work, enterprise) == {"FAILED": 2}
    assert operations(database, "eve") == [("dead discard", 2)]


async def test_notifications_are_taken_back_and_the_outcome_is_told(at_work, database, running):
    enterprise = an_enterprise(at_work)
    later = "UPDATE notify.ent_notification SET scheduled_for = '2999-01-01' WHERE id = %s"
    waiting, sent = _inserted(database, enterprise, "welcome", later)
    await eventually(lambda: states(at_work, enterprise) == {"PENDING": 1, "SENT": 1}, within=60)
    back = ("--reason", "a mistake", "--as", "dan")
    done = at_work.xnovu("retract", str(waiting), *back, "--wait", "60")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"{waiting} retracted", f"{waiting} stopped"]
    shown = at_work.xnovu("show", str(waiting)).stdout
    assert "stopped: a mistake" in shown

    done = at_work.xnovu("retract", str(sent), str(waiting), "99999999", *back, "--wait", "90")
    assert done.returncode == 1
    assert f"{waiting} was retracted before" in done.stdout
    assert f"{sent} cancelled" in done.stdout, "it was taken out of the inbox"
    assert "no notification 99999999" in done.stderr
    assert operations(database, "dan") == [("retract", 1), ("retract", 1)]


def _inserted(database, enterprise: UUID, workflow: str, later: str) -> tuple[int, int]:
    """Two notifications, the first of which waits for its time."""
    query = INSERT.replace("'later'", f"'{workflow}'")
    with database.transaction():
        first, second = [row[0] for row in database.execute(query, [enterprise, Jsonb({}), 2])]
        database.execute(later, [first])
    return first, second


@pytest.mark.parametrize("option", ["--since", "--until"])
def test_a_time_that_is_none_is_refused_with_examples(at_work: Shell, option):
    done = at_work.xnovu("dead", "list", option, "yesterday")
    assert done.returncode == 1
    assert f"{option} takes a time such as" in done.stderr


def test_a_payload_that_is_none_is_refused_without_showing_it(at_work: Shell):
    for payload in ("secret-value", '["secret-value"]', "@/nowhere"):
        done = at_work.xnovu("dead", "redrive", "1", "--payload", payload)
        assert done.returncode != 0
        assert "secret-value" not in done.stdout + done.stderr


async def test_a_replay_of_what_was_sent_sends_nothing_twice(at_work, servers, database, running):
    enterprise = an_enterprise(at_work)
    insert(at_work, enterprise, 20)
    await eventually(lambda: states(at_work, enterprise) == {"SENT": 20}, within=90)
    accepted = ledger(servers.novu_url)["totals"]["accepted"]
    only = ("replay", "hydrate", "-e", str(enterprise))
    assert "dry run" in at_work.xnovu(*only).stderr
    done = at_work.xnovu(*only, "--yes", "--as", "zoe")
    assert "20 messages of xnovu.hydrate for stage trigger" in done.stdout, done.stderr
    assert "replayed: 20" in done.stdout
    nobodys = at_work.xnovu("replay", "status", "-e", str(enterprise), "--to", "mine.own", "--yes")
    assert "nobody listens at mine.own" in nobodys.stderr
    assert states(at_work, enterprise) == {"SENT": 20}
    assert ledger(servers.novu_url)["totals"]["accepted"] == accepted
    assert operations(database, "zoe") == [("replay", 20)]


def test_a_subject_that_no_stage_consumes_needs_a_target(at_work: Shell):
    done = at_work.xnovu("replay", "status", "--yes")
    assert done.returncode == 1
    assert "--to SUBJECT" in done.stderr
