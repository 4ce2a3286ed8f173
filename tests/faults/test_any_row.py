"""
Whatever stands in one enterprise's rows, another's are sent: rows that nobody would think of.

The stages are a process of their own, on Postgres or on Supabase. ``--exhaustive`` is thousands of
rows and many seeds; a seed is shown in a test's name.
"""

import asyncio
import os
import random
import signal
import sys
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from tests.conftest import eventually
from tests.e2e.conftest import clean_environment
from tests.faults.anything import Anything
from tests.integration.pipeline import ACME, ENDED, GLOBEX, World, world
from xnovu.compose.secrets import DATABASE_URL, NATS_URL, NOVU_KEY, SUPABASE_KEY, SUPABASE_URL
from xnovu_local.nats import EmbeddedNats
from xnovu_local.ports import LOOPBACK, free_port
from xnovu_local.supabase import running_supabase

TABLE = "notify.ent_notification"
LOOSE = f"""
ALTER TABLE {TABLE} ALTER recipients TYPE text[], ALTER recipients DROP NOT NULL,
    ALTER payload DROP NOT NULL, ALTER channels TYPE text[],
    ALTER enterprise_id DROP NOT NULL
"""
REFUSING = """
ALTER TABLE notify.ent_notification ADD CONSTRAINT refuses CHECK (id <> ALL ({0})) NOT VALID;
CREATE FUNCTION public.refuses() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE TRIGGER refuses BEFORE UPDATE ON notify.ent_notification
    FOR EACH ROW WHEN (OLD.id = ANY ({1})) EXECUTE FUNCTION public.refuses()
"""
BATCH = 20
"""Rows of a claim at the most."""
MIB = 1024
MOST_MEMORY = 250 * MIB
"""KiB that the stages' process may ever need; idle it is about 100 MiB."""
STORES = ("postgres", "supabase")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" not in metafunc.fixturenames:
        return
    seeds = range(1, 9) if metafunc.config.getoption("exhaustive") else range(1, 2)
    cases = [(store, seed) for store in STORES for seed in seeds]
    ids = [f"{store}-seed {seed}" for store, seed in cases]
    metafunc.parametrize(("store", "seed"), cases, ids=ids)


@dataclass(frozen=True, slots=True)
class Size:
    """How many rows that are good, and how many others."""

    good: int
    bad: int


@pytest.fixture
def size(pytestconfig: pytest.Config) -> Size:
    return Size(500, 3000) if pytestconfig.getoption("exhaustive") else Size(60, 240)


@pytest.fixture
async def here(
    request: pytest.FixtureRequest,
    store: str,
    nats_server: EmbeddedNats,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    """Two enterprises, and what stages that are to come find in their environment."""
    on_supabase = store == "supabase"
    if on_supabase:
        request.getfixturevalue("postgrest_program")
    database = request.getfixturevalue("project" if on_supabase else "migrated")
    async with world(database, nats_server, monkeypatch) as around:
        for enterprise in (ACME, GLOBEX):
            around.register(enterprise)
        if not on_supabase:
            yield around
            return
        async with running_supabase(database) as supabase:
            monkeypatch.delenv(DATABASE_URL)
            monkeypatch.setenv(SUPABASE_URL, supabase.url)
            monkeypatch.setenv(SUPABASE_KEY, supabase.keys.secret)
            yield around


@dataclass(slots=True)
class Stages:
    """All of them in one process: what memory it has needed, and whether it ever fell silent."""

    process: asyncio.subprocess.Process
    port: int
    asked: int = 0

    async def watch(self) -> None:
        """For as long as they live, from when they first answer."""
        while True:
            await asyncio.to_thread(self.ask)
            self.asked += 1
            await asyncio.sleep(0.1)

    def ask(self) -> None:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.port}/healthz", timeout=10) as answer:
            assert answer.status == 200

    @property
    def memory(self) -> int:
        """Its most, in KiB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        [peak] = [line.split()[1] for line in lines if line.startswith("VmHWM")]
        return int(peak)

    async def answers(self) -> bool:
        assert self.process.returncode is None
        with suppress(OSError):
            await asyncio.to_thread(self.ask)
            return True
        return False


@asynccontextmanager
async def at_work(around: World, store: str, folder: Path) -> AsyncGenerator[Stages]:
    """They answer throughout, stay small, and end well."""
    port, chosen = free_port(), around.settings
    environment = clean_environment(
        XNOVU_STORE__KIND=store,
        XNOVU_WAKEUPS__KIND="sweep",
        XNOVU_TRANSPORT__PREFIX=chosen.transport.prefix,
        XNOVU_PROVIDER__URL=chosen.provider.url,
        XNOVU_PROVIDER__SETTLE="5",
        XNOVU_PROVIDER__TIMEOUT="5",
        XNOVU_STAGES__INGEST__BATCH=str(BATCH),
        XNOVU_HEALTH__PORT=str(port),
        **secrets(),
    )
    command = (sys.executable, "-m", "xnovu", "run", "all")
    log = (folder / "stages.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environment, stdout=log, stderr=log
    )
    stages = Stages(process, port)
    try:
        await eventually(stages.answers, within=60)
        watching = asyncio.create_task(stages.watch())
        yield stages
        assert stages.asked > 0 and not watching.done()
        watching.cancel()
        assert stages.memory < MOST_MEMORY
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        log.close()


def secrets() -> dict[str, str]:
    """As the tests' own environment has them."""
    names = (DATABASE_URL, NATS_URL, NOVU_KEY, SUPABASE_URL, SUPABASE_KEY)
    return {name: os.environ[name] for name in names if name in os.environ}


def inserted(around: World, anything: Anything, whose: UUID, most: int) -> Iterator[int]:
    """Those that Postgres takes."""
    with psycopg.connect(around.database, autocommit=True) as connection:
        for _ in range(most):
            row = {"enterprise_id": whose} | anything.row()
            names = sql.SQL(", ").join(map(sql.Identifier, row))
            values = sql.SQL(", ").join([sql.Placeholder()] * len(row))
            query = sql.SQL("INSERT INTO notify.ent_notification ({}) VALUES ({}) RETURNING id")
            try:
                cursor = connection.execute(query.format(names, values), list(row.values()))
            except (psycopg.DataError, psycopg.IntegrityError):
                continue
            yield (cursor.fetchone() or [0])[0]


def ordinary(around: World, whose: UUID, most: int) -> list[int]:
    """So many rows as they should be."""
    rows = around.execute(
        f"INSERT INTO {TABLE} (enterprise_id, notification_workflow_id, recipients)"
        " SELECT %s, 'welcome', ARRAY[gen_random_uuid()] FROM generate_series(1, %s) RETURNING id",
        whose,
        most,
    )
    return [row["id"] for row in rows]


def states(around: World, numbers: list[int]) -> dict[int, str]:
    rows = around.execute(
        f"SELECT id, notification_status::text AS status FROM {TABLE} WHERE id = ANY (%s)", numbers
    )
    return {row["id"]: row["status"] for row in rows}


async def are_sent(around: World, numbers: list[int]) -> None:
    await eventually(lambda: set(states(around, numbers).values()) == {"SENT"}, within=240)


def waits(around: World) -> set[int]:
    """Rows that nobody needs to end: their time has not come, or they are set aside."""
    rows = around.execute(
        f"SELECT id FROM {TABLE} WHERE greatest(scheduled_for, created_at) > now()"
        " UNION ALL SELECT id FROM notify.aside(100000)"
    )
    return {row["id"] for row in rows}


def took_turns(around: World, good: list[int]) -> None:
    """
    How many claims, and others' rows, come before the last good one does not grow with the others.

    Of each claim the good ones have their half.
    """
    [last] = around.execute(
        "SELECT max(id) AS line FROM notify.ent_notification_audit"
        " WHERE to_status = 'PROCESSING' AND notification_id = ANY (%s)",
        good,
    )
    [before] = around.execute(
        "SELECT count(*) FILTER (WHERE notification_id <> ALL (%s)) AS others,"
        " count(DISTINCT at) AS claims FROM notify.ent_notification_audit"
        " WHERE actor = 'ingest' AND id < %s",
        good,
        last["line"],
    )
    assert before["others"] <= len(good) + 2 * BATCH, before
    assert before["claims"] <= 2 * len(good), before


def listed(numbers: list[int]) -> str:
    return f"'{{{','.join(map(str, numbers))}}}'::bigint[]"


async def test_good_rows_are_sent_and_every_other_ends_or_is_named(
    here: World, store: str, seed: int, size: Size, tmp_path: Path
) -> None:
    here.execute(LOOSE)
    here.register(key="strings", payload_schema={"additionalProperties": {"type": "string"}})
    bad = list(inserted(here, Anything(seed), ACME, size.bad))
    assert len(bad) > size.bad / 2
    good = ordinary(here, GLOBEX, size.good)
    async with at_work(here, store, tmp_path):
        await are_sent(here, good)
        took_turns(here, good)
        await eventually(
            lambda: not {n for n, s in states(here, bad).items() if s not in ENDED} - waits(here),
            within=240,
        )
        await eventually(lambda: here.execute("SELECT FROM notify.xnovu_untold") == [])
    rows = here.execute(
        f"SELECT id, error_details FROM {TABLE} WHERE notification_status = 'FAILED'"
    )
    assert all(row["error_details"]["code"] for row in rows)
    assert "exhausted" not in {row["error_details"]["code"] for row in rows}
    assert here.novu.ledger.doubled() == []


async def test_whatever_refuses_or_locks_some_rows_the_others_are_sent(
    here: World, store: str, seed: int, size: Size, tmp_path: Path
) -> None:
    """And they are, too, when the cause is gone."""
    numbers, good = ordinary(here, ACME, size.bad), ordinary(here, GLOBEX, size.good)
    random.Random(seed).shuffle(numbers)
    part = len(numbers) // 4
    checked, triggered, locked, others = (numbers[n * part : (n + 1) * part] for n in range(4))
    here.execute(REFUSING.format(listed(checked), listed(triggered)))
    with ExitStack() as stack:
        other = stack.enter_context(psycopg.connect(here.database))
        other.execute(f"SELECT FROM {TABLE} WHERE id = ANY (%s) FOR UPDATE", [locked])
        async with at_work(here, store, tmp_path):
            await are_sent(here, [*good, *others])
            took_turns(here, good)
            named = {*checked, *triggered}
            await eventually(lambda: named <= waits(here), within=240)
            other.rollback()
            await are_sent(here, locked)
            here.execute(f"ALTER TABLE {TABLE} DROP CONSTRAINT refuses")
            here.execute(f"DROP TRIGGER refuses ON {TABLE}")
            here.execute("UPDATE notify.xnovu_set_aside SET until = now()")
            await are_sent(here, numbers)
    assert here.execute("SELECT * FROM notify.aside()") == []
    assert here.novu.ledger.doubled() == []
