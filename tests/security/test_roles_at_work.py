"""The roles do what they are for, under row-level security, too, and are told what they lack."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from tests.integration.pipeline import World, stages, world
from tests.security.conftest import House
from xnovu.adapters.postgres.store import postgres_store
from xnovu.compose.secrets import DATABASE_URL
from xnovu.errors import Paused
from xnovu.sql.store import SqlStore
from xnovu_local.nats import EmbeddedNats

DOCS = Path(__file__).parents[2] / "docs" / "operations.md"
LONG = 600.0
ACME, GLOBEX = str(uuid4()), str(uuid4())
INSERT = """
INSERT INTO notify.ent_notification
    (enterprise_id, notification_workflow_id, recipients, scheduled_for)
VALUES (%s, 'welcome', ARRAY[gen_random_uuid()], %s) RETURNING id"""
RETRACT = (
    "UPDATE notify.ent_notification SET notification_status = 'RETRACTED'"
    " WHERE id = %s RETURNING id"
)


@pytest.fixture
async def here(
    fresh: House, nats_server: EmbeddedNats, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    async with world(fresh.owner, nats_server, monkeypatch) as around:
        around.register(ACME)
        monkeypatch.setenv(DATABASE_URL, fresh.door("stage"))
        yield around


async def test_the_stages_need_no_more_than_their_role(fresh: House, here: World) -> None:
    (sent,) = fresh.by("sender", INSERT, ACME, None)
    (taken_back,) = fresh.by("sender", INSERT, ACME, "2100-01-01")
    fresh.by("sender", RETRACT, taken_back["id"])
    async with stages(here):
        row = await here.ended(sent["id"])
    assert row["notification_status"] == "SENT"
    assert here.row(taken_back["id"])["retraction_outcome"] == "stopped"
    who = "SELECT DISTINCT actor, login FROM notify.ent_notification_audit ORDER BY actor"
    assert fresh.run(who) == [
        {"actor": "ingest", "login": "stage"},
        {"actor": "sender", "login": "sender"},
        {"actor": "status", "login": "stage"},
    ]


async def test_a_platforms_triggers_of_its_own_are_no_stages_affair(
    fresh: House, here: World
) -> None:
    """What a platform's trigger writes elsewhere needs no right of the stages'."""
    fresh.run("""
        CREATE TABLE public.seen (id bigint);
        CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO public.seen VALUES (NEW.id); RETURN NEW; END $$;
        CREATE TRIGGER note AFTER UPDATE ON notify.ent_notification FOR EACH ROW
            EXECUTE FUNCTION public.note()""")
    (row,) = fresh.by("sender", INSERT, ACME, None)
    async with stages(here):
        assert (await here.ended(row["id"]))["notification_status"] == "SENT"
    assert fresh.run("SELECT DISTINCT id FROM public.seen") == [row]


def of_docs(beginning: str) -> str:
    """The block of SQL in the documentation that begins so."""
    (found,) = [
        block
        for block in re.findall(r"```sql\n(.*?)```", DOCS.read_text(), re.DOTALL)
        if block.startswith(beginning)
    ]
    return found


@pytest.fixture
def guarded(house: House) -> House:
    """Row-level security as the documentation offers it, for one login."""
    house.run(of_docs("CREATE TABLE notify_sender"))
    house.run("INSERT INTO notify_sender VALUES ('sender', %s)", ACME)
    return house


def insert(house: House, login: str, enterprise: str) -> Any:
    query = "INSERT INTO notify.ent_notification (enterprise_id) VALUES (%s) RETURNING id"
    return (house.by(login, query, enterprise) if login else house.run(query, enterprise))[0]["id"]


def test_a_sender_has_its_own_enterprises_rows_where_that_is_wanted(guarded: House) -> None:
    theirs, mine = insert(guarded, "", GLOBEX), insert(guarded, "sender", ACME)
    with pytest.raises(InsufficientPrivilege, match="row-level security"):
        insert(guarded, "sender", GLOBEX)
    with pytest.raises(InsufficientPrivilege, match="row-level security"):
        guarded.by(
            "sender",
            "SELECT notify.enqueue(jsonb_build_array("
            "jsonb_build_object('enterprise_id', %s::text)))",
            GLOBEX,
        )
    ids = "SELECT id FROM notify.ent_notification"
    for setting in ("", "SET row_security = on; ", "SET xnovu.actor = 'ingest'; "):
        assert _last(guarded, setting + ids) == [(mine,)]
    assert guarded.by("sender", RETRACT, theirs) == []
    assert guarded.by("sender", RETRACT, mine) == [{"id": mine}]
    with pytest.raises(InsufficientPrivilege):
        guarded.by("sender", "SET row_security = off; SELECT id FROM notify.ent_notification")
    with pytest.raises(InsufficientPrivilege):
        guarded.by("sender", "UPDATE notify_sender SET enterprise_id = %s", GLOBEX)


def _last(house: House, queries: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(house.door("sender"), autocommit=True) as connection:
        cursor = connection.execute(queries.encode())
        while cursor.nextset():
            pass
        return cursor.fetchall()


async def test_the_stages_see_all_rows_all_the_same(guarded: House) -> None:
    insert(guarded, "sender", ACME)
    insert(guarded, "", GLOBEX)
    store = await opened(guarded, "stage")
    assert await store.ready() is None
    assert len(await store.claim(9, LONG)) == 2
    await store.close()


async def opened(house: House, login: str) -> SqlStore:
    store = postgres_store(house.door(login))
    await store.open()
    return store


@pytest.mark.parametrize(
    ("login", "told"),
    [
        ("stranger", 'denied for function claim: GRANT xnovu_stage TO "stranger"'),
        ("sender", 'denied for function claim: GRANT xnovu_stage TO "sender"'),
    ],
)
async def test_a_role_without_rights_is_told_which_one_it_lacks(
    fresh: House, login: str, told: str
) -> None:
    store = await opened(fresh, login)
    with pytest.raises(Paused) as refused:
        await store.claim(1, LONG)
    await store.close()
    assert (refused.value.code, told in str(refused.value)) == ("store_forbidden", True)
    assert "`xnovu migrate --roles`" in str(refused.value)


async def test_who_runs_stages_is_told_who_inserts(fresh: House) -> None:
    store = await opened(fresh, "stage")
    with pytest.raises(Paused, match='GRANT xnovu_sender TO "stage"') as refused:
        await store.insert([{"enterprise_id": ACME, "payload": {"secret": 1}}])
    await store.close()
    assert "secret" not in str(refused.value)


async def test_who_is_not_let_into_the_schema_is_told_so(fresh: House) -> None:
    fresh.run("REVOKE USAGE ON SCHEMA notify FROM stranger")
    store = await opened(fresh, "stranger")
    told = await store.ready() or ""
    await store.close()
    assert "schema notify" in told and 'GRANT xnovu_stage TO "stranger"' in told
