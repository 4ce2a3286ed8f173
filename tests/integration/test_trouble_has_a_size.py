"""One row's trouble is that row's: the others are sent, and it is, too, once its cause is gone."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import recorded
from tests.conftest import eventually
from tests.integration.pipeline import ACME, GLOBEX, World, stages, world
from xnovu.adapters.postgres.migrations import migrate
from xnovu.adapters.postgres.store import postgres_store
from xnovu.errors import Permanent
from xnovu.events import Locked, Retraction, Status, StatusChanged
from xnovu.sending import SendTimes, Verdict
from xnovu.sql.errors import Complaint, translate
from xnovu.store import Outcome

TABLE = "notify.ent_notification"
HOLDS = 30.0
"""Seconds that a stage has for a batch."""
REFUSING = """
CREATE FUNCTION public.refuses() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
CREATE TRIGGER refuses BEFORE UPDATE ON notify.ent_notification FOR EACH ROW
    WHEN (OLD.name = 'bad') EXECUTE FUNCTION public.refuses()
"""
REFUSALS = {
    "a constraint": "ALTER TABLE notify.ent_notification ADD CONSTRAINT kept"
    " CHECK (name IS DISTINCT FROM 'bad') NOT VALID",
    "a trigger": REFUSING.format(body="RAISE EXCEPTION 'secret';"),
    "a bug in a trigger": REFUSING.format(body="NEW.no_such_column := 1; RETURN NEW;"),
    "a table that a trigger misses": REFUSING.format(body="PERFORM FROM nowhere; RETURN NEW;"),
    "an assertion": REFUSING.format(body="ASSERT false, 'secret'; RETURN NEW;"),
    "a trigger that says nothing": REFUSING.format(body="RETURN NULL;"),
    "a check at the end": """
        CREATE FUNCTION public.refuses() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RAISE EXCEPTION 'secret'; END $$;
        CREATE CONSTRAINT TRIGGER refuses AFTER UPDATE ON notify.ent_notification
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.name = 'bad')
            EXECUTE FUNCTION public.refuses()""",
}
AGAIN = {
    "a constraint": "ALTER TABLE notify.ent_notification DROP CONSTRAINT kept",
}
GO_ON = "DROP TRIGGER IF EXISTS refuses ON notify.ent_notification"
SETTINGS: dict[str, Any] = {"provider": {"settle": 0.5}}


@pytest.fixture
async def here(migrated, nats_server, monkeypatch) -> AsyncIterator[World]:
    async with world(migrated, nats_server, monkeypatch, **SETTINGS) as around:
        around.register()
        around.register(GLOBEX)
        yield around


async def sent(around: World, numbers: Sequence[int]) -> None:
    for number in numbers:
        row = await around.ended(number)
        assert row["notification_status"] == "SENT", row["error_details"]


def status(around: World, number: int) -> str:
    return around.row(number)["notification_status"]


def aside(around: World) -> dict[int, str]:
    return {row["id"]: row["said"] for row in around.execute("SELECT * FROM notify.aside()")}


@pytest.mark.parametrize("cause", REFUSALS)
async def test_a_row_that_nobody_can_change_is_set_aside_and_named(here: World, cause: str) -> None:
    bad = [here.insert(name="bad") for _ in range(3)]
    here.execute(REFUSALS[cause])
    async with stages(here):
        await sent(here, [here.insert(GLOBEX) for _ in range(30)])
        await sent(here, [here.insert() for _ in range(3)])
        await eventually(lambda: aside(here).keys() == set(bad))
        assert {status(here, number) for number in bad} == {"PENDING"}
        assert "secret" not in str(aside(here))
        here.execute(AGAIN.get(cause, GO_ON))
        here.execute("UPDATE notify.xnovu_set_aside SET until = now()")
        await sent(here, bad)
        await eventually(lambda: not aside(here))
    assert here.novu.ledger.doubled() == []


COUNTING = """
CREATE TABLE public.counter (enterprise_id uuid PRIMARY KEY, n int NOT NULL DEFAULT 0);
INSERT INTO public.counter VALUES ('11111111-1111-4111-8111-111111111111'),
    ('22222222-2222-4222-8222-222222222222');
CREATE FUNCTION public.counts() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE public.counter c SET n = n + 1 WHERE c.enterprise_id = NEW.enterprise_id;
    RETURN NEW; END $$;
CREATE TRIGGER counts BEFORE UPDATE ON notify.ent_notification
    FOR EACH ROW EXECUTE FUNCTION public.counts()
"""


async def test_a_lock_that_a_trigger_waits_for_is_its_enterprises_alone(here: World) -> None:
    here.execute(COUNTING)
    with psycopg.connect(here.database) as other:
        other.execute("UPDATE public.counter SET n = 0 WHERE enterprise_id = %s", [ACME])
        waits = [here.insert() for _ in range(6)]
        async with stages(here):
            await sent(here, [here.insert(GLOBEX) for _ in range(10)])
            other.rollback()
            here.execute("UPDATE notify.xnovu_set_aside SET until = now()")
            await sent(here, waits)
    assert here.novu.ledger.doubled() == []


async def test_what_is_retracted_while_it_is_locked_is_waited_for(migrated: str) -> None:
    """For a moment: whoever works on a row has it locked, too."""
    store = postgres_store(migrated)
    await store.open()
    await store.insert([{"enterprise_id": str(ACME)}] * 2)
    first, second = [claim.captured.key for claim in await store.claim(9, 600.0)]
    with psycopg.connect(migrated) as other:
        other.execute(f"SELECT FROM {TABLE} WHERE id = %s FOR UPDATE", [first.notification_id])
        retracting = asyncio.create_task(store.retract([first, second]))
        await eventually(lambda: waiting_for_a_lock(migrated))
        other.rollback()
        assert sorted(key.notification_id for key in await retracting) == [1, 2]
    await store.close()


def waiting_for_a_lock(database: str) -> bool:
    with psycopg.connect(database) as connection:
        asked = "SELECT FROM pg_locks WHERE NOT granted LIMIT 1"
        return connection.execute(asked).rowcount > 0


async def test_a_retraction_that_the_database_refuses_hinders_no_other(migrated: str) -> None:
    store = postgres_store(migrated)
    await store.open()
    await store.insert([{"enterprise_id": str(ACME), "name": name} for name in ("bad", "a", "b")])
    keys = [claim.captured.key for claim in await store.claim(9, 600.0)]
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute(REFUSALS["a constraint"])
    assert sorted(key.notification_id for key in await store.retract(keys)) == [2, 3]
    with pytest.raises(Permanent, match="kept"):
        await store.retract(keys[:1])
    await store.close()


async def test_what_status_cannot_write_is_set_aside_and_sent_once(here: World) -> None:
    """It was sent; nothing can be written of that until the platform lets it."""
    here.execute(
        "ALTER TABLE notify.ent_notification ADD CONSTRAINT kept CHECK"
        " (name IS DISTINCT FROM 'bad' OR notification_status <> 'SENT')"
    )
    bad = here.insert(name="bad")
    async with stages(here):
        await sent(here, [here.insert(GLOBEX) for _ in range(10)])
        await eventually(lambda: bad in aside(here))
        here.execute("ALTER TABLE notify.ent_notification DROP CONSTRAINT kept")
        here.execute("UPDATE notify.xnovu_set_aside SET until = now()")
        here.execute(f"UPDATE {TABLE} SET claimed_until = now() WHERE id = %s", bad)
        await sent(here, [bad])
    assert here.novu.ledger.doubled() == []


async def test_what_a_trigger_keeps_from_being_written_is_set_aside(migrated: str) -> None:
    """It says nothing of that: else its row would be PROCESSING, and nobody would know why."""
    store = postgres_store(migrated)
    await store.open()
    await store.insert([{"enterprise_id": str(ACME), "name": name} for name in ("bad", "good")])
    keys = [claim.captured.key for claim in await store.claim(9, 600.0)]
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute(REFUSALS["a trigger that says nothing"])
    told = await recorded(store, [Outcome(key) for key in keys])
    assert [change.key for change in told] == keys[1:]
    assert [row.notification_id for row in await store.aside()] == [keys[0].notification_id]
    assert await store.refused()
    await store.close()


async def test_a_table_that_is_locked_is_told_as_locked_and_not_waited_for_row_by_row(
    migrated: str,
) -> None:
    store = postgres_store(migrated)
    await store.open()
    await store.insert([{"enterprise_id": str(ACME)}] * 40)
    keys = [claim.captured.key for claim in await store.claim(100, 600.0)]
    await store.begin_send(keys, SendTimes())
    with psycopg.connect(migrated) as other:
        other.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        async with asyncio.timeout(HOLDS):
            told = await store.record([Outcome(key) for key in keys])
        assert told == [Locked(key) for key in keys]
    assert len(await store.record([Outcome(key) for key in keys])) == 40
    await store.close()


async def test_a_claim_too_many_fails_that_row_alone(here: World) -> None:
    bad = here.insert(claims=2**31 - 1)
    async with stages(here):
        await sent(here, [here.insert(GLOBEX) for _ in range(10)])
        row = await here.ended(bad)
    assert (row["notification_status"], row["error_details"]["code"]) == (
        "FAILED",
        "refused_by_database",
    )


async def test_what_ended_within_a_claim_is_told_as_any_other_end_is(here: World) -> None:
    """Also when whoever claimed it has died since: that is told once, by whoever comes next."""
    bad = [here.insert(each, claims=2**31 - 1) for each in (ACME, GLOBEX, ACME)]
    store = postgres_store(here.database)
    await store.open()
    assert await store.claim(10, 60.0) == []
    await store.close()
    async with stages(here, "ingest"):
        await eventually(lambda: here.execute("SELECT FROM notify.xnovu_untold") == [])
    told = await here.events("status.>")
    assert [subject for subject, _ in told].count(f"status.{ACME}") == 2
    events = {event.notification_id: event for _, event in told}
    assert sorted(events) == bad
    for number, event in events.items():
        row = here.row(number)
        assert isinstance(event, StatusChanged)
        assert (event.status, event.at) == (Status.FAILED, row["processed_at"])
        assert event.failure and event.failure.code == "refused_by_database"


async def test_lists_of_lists_fail_alone(here: World) -> None:
    bad = [here.insert(tags=[["a"], ["b"]]) for _ in range(60)]
    async with stages(here):
        await sent(here, [here.insert(GLOBEX) for _ in range(60)])
        rows = [await here.ended(number) for number in bad]
    assert {row["error_details"]["code"] for row in rows} == {"invalid_row"}


async def test_a_list_may_begin_to_count_anywhere(here: World) -> None:
    [made] = here.execute(
        f"INSERT INTO {TABLE} (enterprise_id, notification_workflow_id, recipients)"
        " VALUES (%s, 'welcome', '[5:6]={00000000-0000-4000-8000-000000000001,"
        "00000000-0000-4000-8000-000000000002}') RETURNING id",
        ACME,
    )
    async with stages(here):
        assert (await here.ended(made["id"]))["notification_status"] == "SENT"


async def test_what_is_too_large_is_never_read(here: World) -> None:
    """However small it is as it is stored: 20 MB of one letter take a few hundred kB."""
    large = "jsonb_build_object('text', repeat('x', 20000000))"
    here.execute(
        f"INSERT INTO {TABLE} (enterprise_id, notification_workflow_id, recipients, payload)"
        f" SELECT %s, 'welcome', ARRAY[gen_random_uuid()], {large} FROM generate_series(1, 5)",
        ACME,
    )
    store = postgres_store(here.database)
    await store.open()
    keys = [claim.captured.key for claim in await store.claim(9, 600.0)]
    loaded = await store.load(keys, 524_288)
    assert {getattr(row, "code", row) for row in loaded.values()} == {"too_large"}
    await store.close()


LEAST = st.sampled_from([0, 1, 12, 0.1, "", "a", None, True, [], {}, [0], [[1]], {"": 1}])
"""What jsonb spends the most on, for each character."""


@given(st.lists(LEAST, min_size=1, max_size=9), st.integers(50, 500))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_json_is_shorter_in_text_than_a_quarter_of_what_is_stored(
    migrated: str, pattern: list[Any], times: int
) -> None:
    """So a payload that is nine times too large as jsonb is more than twice so in text."""
    with psycopg.connect(migrated) as connection:
        query = "SELECT pg_column_size(ROW(v)), octet_length(v::text) FROM (SELECT %s::jsonb) t (v)"
        stored, text = connection.execute(query, [json.dumps(pattern * times)]).fetchone()
    assert stored <= 4 * text + 64


async def test_a_row_that_somebody_has_locked_is_left_out(here: World) -> None:
    """Nothing of the others waits for it, wherever it is."""
    with psycopg.connect(here.database) as other:
        waits = [here.insert() for _ in range(3)]
        other.execute(f"SELECT FROM {TABLE} WHERE id = ANY (%s) FOR UPDATE", [waits])
        async with stages(here):
            await sent(here, [here.insert() for _ in range(20)])
            other.rollback()
            await sent(here, waits)
            here.novu.change(latency=0.5)
            under_way = here.insert()
            await eventually(lambda: status(here, under_way) == "PROCESSING")
            other.execute(f"SELECT FROM {TABLE} WHERE id = %s FOR UPDATE", [under_way])
            await sent(here, [here.insert() for _ in range(20)])
            other.rollback()
            await sent(here, [under_way])
    assert here.novu.ledger.doubled() == []


async def test_the_second_of_two_with_one_transaction_id_fails(here: World) -> None:
    first, second = (here.insert(transaction_id="order-1") for _ in range(2))
    empty = [here.insert(transaction_id="") for _ in range(2)]
    async with stages(here):
        await sent(here, [first, *empty])
        assert (await here.ended(second))["error_details"]["code"] == "transaction_id_taken"
    assert here.novu.ledger.totals.accepted == 3


@pytest.mark.parametrize("how", ["TRUNCATE", "DELETE"])
async def test_a_row_under_an_id_that_was_used_before_is_another_row(here: World, how: str) -> None:
    async with stages(here):
        first = here.insert()
        await sent(here, [first])
        here.execute(
            f"TRUNCATE {TABLE} RESTART IDENTITY" if how == "TRUNCATE" else f"DELETE FROM {TABLE}"
        )
        again = here.insert(id=first)
        await sent(here, [again])
        assert here.novu.ledger.totals.accepted == 2


async def test_rows_of_nobody_fail(here: World) -> None:
    here.execute(f"ALTER TABLE {TABLE} ALTER enterprise_id DROP NOT NULL")
    nobodys = here.insert(None)
    async with stages(here):
        await sent(here, [here.insert()])
        row = await here.ended(nobodys)
    assert row["error_details"]["code"] == "unaddressable"


async def test_an_enterprise_that_no_subject_can_name_fails(
    database, nats_server, monkeypatch
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE SCHEMA notify;"
            "CREATE TABLE notify.ent_notification_workflow"
            " (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, workflow_key text NOT NULL,"
            "  enterprise_id text NOT NULL);"
            "CREATE TABLE notify.ent_notification"
            " (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, enterprise_id text,"
            "  notification_status text DEFAULT 'PENDING', recipients text[])"
        )
    migrate(database)
    async with world(database, nats_server, monkeypatch) as around:
        names = ["a\nb", "x" * 600, "good", "a.b c*>"]
        for name in names:
            around.register(name)
        numbers = [around.insert(name, recipients=["somebody"]) for name in names]
        async with stages(around):
            rows = [await around.ended(number) for number in numbers]
    codes = [(row["error_details"] or {}).get("code", "sent") for row in rows]
    assert codes == ["unaddressable", "unaddressable", "sent", "sent"]


PUBLISHED = """
CREATE SCHEMA notify; CREATE SCHEMA platform;
CREATE TYPE platform.publish_status AS ENUM ('NONE', 'DRAFT', 'DISCARD', 'PUBLISH', 'DELETED');
CREATE TABLE notify.ent_notification_workflow (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name text, workflow_key text NOT NULL,
    enterprise_id uuid, publish_status platform.publish_status NOT NULL DEFAULT 'DRAFT',
    deactivated boolean NOT NULL DEFAULT false, UNIQUE (name, enterprise_id));
CREATE TABLE notify.ent_notification (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, enterprise_id uuid,
    notification_status text NOT NULL DEFAULT 'PENDING', recipients uuid[],
    scheduled_for timestamptz,
    notification_workflow_id bigint REFERENCES notify.ent_notification_workflow (id),
    workflow_version integer, made timestamptz GENERATED ALWAYS AS (scheduled_for) STORED,
    publish_status platform.publish_status NOT NULL DEFAULT 'DRAFT',
    deactivated boolean NOT NULL DEFAULT false);
"""


async def test_what_is_not_published_waits_and_says_so(database, nats_server, monkeypatch) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(PUBLISHED)
    migrate(database)
    async with world(database, nats_server, monkeypatch) as around:
        around.register(None, publish_status="PUBLISH")
        around.register(None, key="draft")
        drafts = [
            around.insert(workflow=1),
            around.insert(workflow=1, publish_status="PUBLISH", deactivated=True),
            around.insert(workflow=1, publish_status="DELETED", scheduled_for="2000-01-01"),
        ]
        of_a_draft = around.insert(workflow=2, publish_status="PUBLISH")
        async with stages(around):
            good = [
                around.insert(each, workflow=1, publish_status="PUBLISH") for each in (ACME, GLOBEX)
            ]
            await sent(around, good)
            row = await around.ended(of_a_draft)
            assert row["error_details"]["code"] == "workflow_deactivated"
            assert {status(around, number) for number in drafts} == {"PENDING"}
            store = postgres_store(around.database)
            await store.open()
            assert (await store.waiting(drafts[0]) or {})["for"] == "publication"
            await store.close()
            around.execute(f"UPDATE {TABLE} SET publish_status = 'PUBLISH', deactivated = false")
            await sent(around, drafts)


async def test_what_triggers_make_of_a_draft_counts(database: str) -> None:
    """Whatever their names, and whether a version before named ours otherwise."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(PUBLISHED)
        migrate(database)
        connection.execute(
            "CREATE FUNCTION public.publishes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " NEW.publish_status := CASE NEW.publish_status WHEN 'NONE' THEN 'PUBLISH'"
            " WHEN 'DISCARD' THEN 'DELETED' ELSE NEW.publish_status END; RETURN NEW; END $$;"
            f"CREATE TRIGGER zz_publishes BEFORE INSERT OR UPDATE ON {TABLE}"
            " FOR EACH ROW EXECUTE FUNCTION public.publishes()"
        )
        connection.execute(
            f"INSERT INTO {TABLE} (enterprise_id, publish_status)"
            " SELECT gen_random_uuid(), s::platform.publish_status"
            " FROM unnest('{DRAFT,NONE,DISCARD}'::text[]) AS s"
        )
        store = postgres_store(database)
        await store.open()
        assert [claim.captured.notification_id for claim in await store.claim(9, 60.0)] == [2]
        await store.close()


async def test_drafts_of_before_the_migration_are_no_rows_of_the_queue(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(PUBLISHED)
        connection.execute(
            f"INSERT INTO {TABLE} (enterprise_id, publish_status)"
            " SELECT gen_random_uuid(), s::platform.publish_status"
            " FROM unnest('{DRAFT,PUBLISH,NONE}'::text[]) AS s"
        )
        migrate(database)
        store = postgres_store(database)
        await store.open()
        assert [claim.captured.notification_id for claim in await store.claim(9, 60.0)] == [2]
        await store.close()


async def test_schedules_and_retractions_go_by_turns(database: str) -> None:
    """However many of one enterprise came first."""
    migrate(database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            f"INSERT INTO {TABLE} (enterprise_id, scheduled_for)"
            " SELECT %s, now() - interval '1 hour' FROM generate_series(1, 3000)",
            [ACME],
        )
        connection.execute(
            f"INSERT INTO {TABLE} (enterprise_id, scheduled_for) VALUES (%s, now())", [GLOBEX]
        )
        store = postgres_store(database)
        await store.open()
        claims = await store.claim(100, 600.0)
        assert str(GLOBEX) in {claim.captured.enterprise_id for claim in claims}
        connection.execute(f"UPDATE {TABLE} SET notification_status = 'RETRACTED' WHERE claims > 0")
        connection.execute(
            f"UPDATE {TABLE} SET notification_status = 'PROCESSING', claims = 1 WHERE claims = 0"
        )
        connection.execute(
            f"UPDATE {TABLE} SET notification_status = 'RETRACTED'"
            " WHERE notification_status = 'PROCESSING'"
        )
        events = await store.claim_retractions(100, 600.0)
        assert str(GLOBEX) in {event.enterprise_id for event in events}
        assert await store.record_retractions({events[0].key: Retraction.STOPPED})
        await store.close()


async def test_what_the_provider_may_have_forgotten_is_never_sent_blindly(here: World) -> None:
    number = here.insert()
    store = postgres_store(here.database)
    await store.open()
    [claim] = await store.claim(1, 600.0)
    begun = await store.begin_send([claim.captured.key], SendTimes(1e-6, 0.0))
    assert begun.verdicts[claim.captured.key].verdict is Verdict.SEND
    await store.release([claim.captured.key])
    await store.close()
    here.execute("UPDATE notify.xnovu_sending SET begun_at = now() - interval '21 hours'")
    async with stages(here):
        row = await here.ended(number)
    assert (row["notification_status"], row["error_details"]["code"]) == ("FAILED", "unclear")
    assert here.novu.ledger.totals.accepted == 0


async def test_a_column_that_changes_its_type_loses_no_row(here: World) -> None:
    """A snapshot from before the table was written anew would see none."""
    async with stages(here):
        for width in (200, 300):
            numbers = [here.insert() for _ in range(30)]
            await asyncio.to_thread(
                here.execute, f"ALTER TABLE {TABLE} ALTER name TYPE varchar({width})"
            )
            await sent(here, numbers)


async def test_the_database_and_the_client_agree_on_what_is_nobodys_fault(migrated: str) -> None:
    """But for a lock: inside a function it is that of a row, or of what its triggers touch."""
    raised = {getattr(each, "sqlstate", None) for each in vars(psycopg.errors).values()}
    states = [each for each in raised if isinstance(each, str) and each != "55P03"]
    with psycopg.connect(migrated) as connection:
        found = connection.execute(
            "SELECT s, notify.xnovu_nobodys(s, NULL), notify.xnovu_nobodys(s, 'public.theirs')"
            " FROM unnest(%s::text[]) AS s",
            [states],
        ).fetchall()
    for state, ours, theirs in found:
        assert ours == (not isinstance(translate(Complaint(state)), Permanent)), state
        said = Complaint(state, routine="public.theirs")
        assert theirs == (not isinstance(translate(said), Permanent)), state
