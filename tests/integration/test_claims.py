"""Claiming on a real table: many at once, and a crowd of rows that do not matter."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import RFC_4122, UUID, uuid4

import psycopg
import pytest

from tests.builders import recorded
from tests.contract.store_fixtures import PLATFORM
from xnovu.adapters.memory.store import MemoryStore
from xnovu.adapters.postgres.migrations import migrate
from xnovu.adapters.postgres.store import PostgresOptions, postgres_store
from xnovu.events import Key, Locked
from xnovu.sending import SendTimes, Verdict
from xnovu.sql.store import SqlStore
from xnovu.store import Outcome

ACME, GLOBEX = str(uuid4()), str(uuid4())
LONG = 600.0
# Pages that a claim of 10 rows may touch, however many rows there are: two index descents, the
# rows and their index entries, the audit. A scan of the 60,000 would be over 700.
FEW_PAGES = 550
MANY = """
INSERT INTO notify.ent_notification
    (enterprise_id, notification_status, scheduled_for, claimed_until)
SELECT %s, %s, %s::timestamptz, %s::timestamptz FROM generate_series(1, 60000)"""


@asynccontextmanager
async def opened(dsn: str, **options: Any) -> AsyncIterator[SqlStore]:
    store = postgres_store(dsn, PostgresOptions(**options))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def insert(store: SqlStore, count: int) -> list[int]:
    return list(await store.insert([{"enterprise_id": ACME}] * count))


async def claim(store: SqlStore, count: int = 1, lease: float = LONG) -> list[Key]:
    return [claim.captured.key for claim in await store.claim(count, lease)]


async def test_an_id_is_only_an_enterprises_own(database: str) -> None:
    """A platform may count each enterprise's rows by itself."""
    globex = str(uuid4())
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(PLATFORM)
        connection.execute(
            "ALTER TABLE notify.ent_notification DROP CONSTRAINT ent_notification_pkey,"
            " ADD PRIMARY KEY (enterprise_id, id)"
        )
        migrate(database)
        row = {"id": 1, "notification_status": "SENT"}
        async with opened(database) as store:
            await store.insert([{**row, "enterprise_id": globex}])
            await store.insert([{**row, "enterprise_id": ACME, "notification_status": "PENDING"}])
            [key] = await claim(store, 5)
            assert key.enterprise_id == ACME
            await recorded(store, [Outcome(key)])
            await store.retract([key])
        rows = "SELECT notification_status, claims FROM notify.ent_notification ORDER BY claims"
        assert connection.execute(rows).fetchall() == [("SENT", 0), ("RETRACTED", 1)]
        trail = "SELECT DISTINCT enterprise_id::text FROM notify.ent_notification_audit"
        assert connection.execute(trail).fetchall() == [(ACME,)]


async def test_no_row_is_given_to_two_of_many_processes(migrated: str) -> None:
    """Each with connections of its own; leases lapse meanwhile, and rows keep coming."""
    async with opened(migrated) as first, opened(migrated) as second, opened(migrated) as third:
        await insert(first, 300)

        async def worker(store: SqlStore) -> list[Key]:
            taken: list[Key] = []
            while keys := await claim(store, 7):
                taken += keys
            return taken

        workers = [worker(store) for store in (first, second, third) for _ in range(4)]
        *rounds, added = await asyncio.gather(*workers, insert(first, 100))
        rest = await worker(first)
        keys = [key for taken in [*rounds, rest] for key in taken]
        assert len(added) == 100
        assert len({key.notification_id for key in keys}) == len(keys) == 400


async def test_a_claim_skips_what_others_are_taking(migrated: str) -> None:
    async with opened(migrated) as store:
        first, second = await insert(store, 2)
        with psycopg.connect(migrated) as other:
            other.execute("SELECT FROM notify.ent_notification WHERE id = %s FOR UPDATE", [first])
            assert [key.notification_id for key in await claim(store, 9)] == [second]
        assert [key.notification_id for key in await claim(store, 9)] == [first]


async def test_a_retraction_is_not_undone_by_a_record_that_came_while_it_was_made(
    migrated: str,
) -> None:
    async with opened(migrated) as store:
        await insert(store, 1)
        (key,) = await claim(store)
        with psycopg.connect(migrated) as operator:
            retract = "SELECT previous FROM notify.retract(%s::jsonb, 'a mistake')"
            fields = {"id": key.notification_id, "enterprise_id": ACME}
            operator.execute(retract, [json.dumps([fields])])
            (locked,) = await recorded(store, [Outcome(key)])
            assert isinstance(locked, Locked)
            operator.commit()
        assert list(await recorded(store, [Outcome(key)])) == []
        history = await store.history(key.notification_id)
        assert history
        assert history["notification"]["notification_status"] == "RETRACTED"


@pytest.mark.parametrize(
    ("status", "scheduled_for", "claimed_until"),
    [
        ("SENT", None, None),
        ("PENDING", "2999-01-01", None),
        ("PROCESSING", None, "2999-01-01"),
        ("PENDING", None, None),
    ],
    ids=["finished", "scheduled", "claimed", "waiting"],
)
@pytest.mark.parametrize("analyzed", [True, False])
def test_claiming_is_as_cheap_in_a_crowd(
    migrated: str, status: str, scheduled_for: str, claimed_until: str, *, analyzed: bool
) -> None:
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute(MANY, [ACME, status, scheduled_for, claimed_until])
        connection.execute(
            "INSERT INTO notify.ent_notification (enterprise_id, scheduled_for)"
            " SELECT %s, '2020-01-01' FROM generate_series(1, 11)",
            [ACME],
        )
        if analyzed:
            connection.execute("ANALYZE notify.ent_notification")
        connection.execute("SELECT * FROM notify.claim(1, 600), notify.next_due()")  # to warm up
        assert pages(connection, "SELECT * FROM notify.next_due()") < FEW_PAGES
        assert pages(connection, "SELECT * FROM notify.claim(10, 600)", rows=10) < FEW_PAGES
        assert pages(connection, "SELECT * FROM notify.next_due()") < FEW_PAGES
        if status != "PENDING" or scheduled_for:
            assert pages(connection, "SELECT * FROM notify.claim(10, 600)", rows=0) < FEW_PAGES


@pytest.mark.parametrize("analyzed", [True, False])
def test_a_claim_costs_the_same_among_thousands_of_enterprises(
    migrated: str, *, analyzed: bool
) -> None:
    """Each has a row that is ready, and one that is not."""
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO notify.ent_notification (enterprise_id, scheduled_for)"
            " SELECT gen_random_uuid(), s FROM generate_series(1, 10000),"
            " unnest(ARRAY[NULL, '2999-01-01'::timestamptz]) AS s"
        )
        if analyzed:
            connection.execute("ANALYZE notify.ent_notification")
        connection.execute("SELECT * FROM notify.claim(1, 600)")  # to warm up
        assert pages(connection, "SELECT * FROM notify.claim(10, 600)", rows=10) < FEW_PAGES
        assert pages(connection, "SELECT * FROM notify.next_due()") < FEW_PAGES


@pytest.mark.parametrize("analyzed", [True, False])
@pytest.mark.parametrize("enterprises", [50, 5000])
def test_a_claim_of_retractions_costs_the_same_among_thousands_of_enterprises(
    migrated: str, enterprises: int, *, analyzed: bool
) -> None:
    """Each has one that is open."""
    take = "SELECT * FROM notify.claim_retractions({}, 600, gen_random_uuid(), after => {!r})"
    middle = "80000000-0000-0000-0000-000000000000"
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO notify.ent_notification (enterprise_id)"
            " SELECT gen_random_uuid() FROM generate_series(1, %s)",
            [enterprises],
        )
        connection.execute("UPDATE notify.ent_notification SET notification_status = 'RETRACTED'")
        if analyzed:
            connection.execute("ANALYZE notify.ent_notification")
        connection.execute(take.format(1, middle).encode())  # to warm up
        connection.execute("SELECT notify.next_due()")
        assert pages(connection, take.format(10, middle), rows=10) < FEW_PAGES
        assert pages(connection, "SELECT * FROM notify.next_due()") < FEW_PAGES


async def test_retractions_go_by_turns_however_many_enterprises_there_are(migrated: str) -> None:
    """Those of whom one is locked or set aside are passed by."""
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO notify.ent_notification (enterprise_id)"
            " SELECT gen_random_uuid() FROM generate_series(1, 40)"
        )
        connection.execute(
            "INSERT INTO notify.ent_notification (enterprise_id)"
            " SELECT n.enterprise_id FROM notify.ent_notification n, generate_series(1, 20)"
        )
        connection.execute("UPDATE notify.ent_notification SET notification_status = 'RETRACTED'")
        whose = [
            str(one)
            for (one,) in connection.execute(
                "SELECT DISTINCT enterprise_id FROM notify.ent_notification ORDER BY 1"
            ).fetchall()
        ]
        connection.execute(
            "SELECT notify.set_aside(id, enterprise_id::text, 'no') FROM notify.ent_notification"
            " WHERE enterprise_id = ANY (%s::uuid[])",
            [whose[:5]],
        )
        connection.execute("UPDATE notify.xnovu_set_aside SET until = 'infinity'")
        with psycopg.connect(migrated) as other:
            other.execute(
                "SELECT FROM notify.ent_notification"
                " WHERE enterprise_id = ANY (%s::uuid[]) FOR UPDATE",
                [whose[5:10]],
            )
            async with opened(migrated) as store:
                turns = [
                    [event.enterprise_id for event in await store.claim_retractions(10, LONG)]
                    for _ in range(4)
                ]
    assert turns == [whose[10:20], whose[20:30], whose[30:40], whose[10:20]]


async def test_shares_are_as_the_weights(migrated: str) -> None:
    weights = {str(uuid4()): weight for weight in (1, 2, 4)}
    with psycopg.connect(migrated, autocommit=True) as connection:
        for each, weight in weights.items():
            connection.execute(
                "INSERT INTO notify.xnovu_enterprise VALUES (%s, %s)", [each, weight]
            )
            connection.execute(
                "INSERT INTO notify.ent_notification (enterprise_id)"
                " SELECT %s FROM generate_series(1, 500)",
                [each],
            )
    async with opened(migrated) as store:
        keys = [key for _ in range(7) for key in await claim(store, 100)]
    counts = Counter(key.enterprise_id for key in keys)
    assert len(keys) > 650
    for each, weight in weights.items():
        assert counts[each] == len(keys) * weight / sum(weights.values())


async def test_a_row_has_the_priority_of_its_workflow_unless_it_states_one(migrated: str) -> None:
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO notify.ent_notification_workflow (workflow_key, enterprise_id, priority)"
            " VALUES ('alarm', %s, 1), ('digest', %s, -1)",
            [ACME, ACME],
        )
    async with opened(migrated) as store:
        flows = ("digest", None, "alarm", "alarm")
        stated = (None, None, None, -2)
        ids = await store.insert(
            [
                {"enterprise_id": ACME, "notification_workflow_id": flow, "priority": priority}
                for flow, priority in zip(flows, stated, strict=True)
            ]
        )
        keys = await claim(store, 9)
    assert [ids.index(key.notification_id) for key in keys] == [2, 1, 0, 3]


async def test_claimers_at_the_same_time_keep_to_limits(migrated: str) -> None:
    """Each asks whenever it may; what they have together is counted after every round."""
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO notify.ent_notification_workflow"
            " (workflow_key, enterprise_id, concurrency) VALUES ('digest', %s, 5)",
            [GLOBEX],
        )
        connection.execute(
            "INSERT INTO notify.xnovu_enterprise (enterprise_id, concurrency) VALUES (%s, 7)",
            [ACME],
        )
        for each, flow in ((ACME, None), (GLOBEX, "digest")):
            connection.execute(
                "INSERT INTO notify.ent_notification (enterprise_id, notification_workflow_id)"
                " SELECT %s, %s FROM generate_series(1, 60)",
                [each, flow],
            )
        async with asyncio.timeout(60), AsyncExitStack() as stack:
            stores = [await stack.enter_async_context(opened(migrated)) for _ in range(4)]
            ended = 0
            while ended < 120:
                rounds = await asyncio.gather(*(claim(store, 4) for store in stores * 3))
                query = (
                    "SELECT enterprise_id::text, count(*) FROM notify.ent_notification"
                    " WHERE notification_status = 'PROCESSING' GROUP BY 1"
                )
                counts = dict(connection.execute(query).fetchall())
                assert counts.get(ACME, 0) <= 7
                assert counts.get(GLOBEX, 0) <= 5
                keys = [key for found in rounds for key in found]
                await recorded(stores[0], [Outcome(key) for key in keys])
                ended += len(keys)
    assert ended == 120


def test_claiming_is_as_cheap_on_a_platforms_table(database: str) -> None:
    """Where a row may be of no enterprise, and the index knows it."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(PLATFORM)
        connection.execute(MANY.replace(", claimed_until)", ", processed_at)"), CROWD)
        migrate(database)
        connection.execute("SELECT * FROM notify.claim(1, 600), notify.next_due()")  # to warm up
        assert pages(connection, "SELECT * FROM notify.next_due()") < FEW_PAGES
        assert pages(connection, "SELECT * FROM notify.claim(10, 600)", rows=10) < FEW_PAGES


async def test_names_a_notification_as_every_store_does(migrated: str) -> None:
    memory = MemoryStore()
    await memory.insert([{"enterprise_id": ACME, "id": 1}])
    (expected,) = await memory.claim(1, LONG)
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute(
            "ALTER TABLE notify.ent_notification ALTER COLUMN generation SET DEFAULT 0"
        )
    async with opened(migrated) as store:
        await insert(store, 1)
        (claimed,) = await store.claim(1, LONG)
    assert claimed == expected
    name = UUID(claimed.captured.transaction_id)
    assert (name.version, name.variant) == (8, RFC_4122)


def test_rows_in_hand_are_reached_by_id_even_with_plans_made_when_the_table_was_empty(
    migrated: str,
) -> None:
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute("ALTER TABLE notify.ent_notification SET (autovacuum_enabled = off)")
        said = {"transaction_id": "x", "workflow_key": "w", "recipients": ["a"], "overridden": []}
        key = [{"id": 1, "enterprise_id": ACME, "generation": 0, "claims": 1, **said}]
        calls = [f"SELECT * FROM notify.{name}('{json.dumps(key)}'{more})" for name, more in KEYED]
        for call in calls * 10:
            connection.execute(call.encode())
        connection.execute(MANY, [ACME, "SENT", None, None])
        for call in calls:
            connection.execute(call.encode())  # to warm up
            assert pages(connection, call) < 50, call


CROWD = [ACME, "PENDING", None, None]
KEYED = (
    *((name, "") for name in ("load", "record", "release", "redrive", "retract")),
    ("begin_send", ", gen_random_uuid(), 10, 30, 80"),
    ("end_send", ", gen_random_uuid()"),
    ("record", ", patience => '1s'"),
)


def pages(connection: psycopg.Connection[Any], query: str, rows: int | None = None) -> int:
    """How many pages it touches; the function's inner statements are counted with it."""
    explain = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {query}"
    found = connection.execute(explain.encode()).fetchone()
    assert found
    plan = found[0][0]["Plan"]
    if rows is not None:
        assert plan["Actual Rows"] == rows
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


async def test_a_row_of_no_enterprise_is_nobodys(migrated: str) -> None:
    with psycopg.connect(migrated, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.NotNullViolation):
            connection.execute("INSERT INTO notify.ent_notification DEFAULT VALUES")
        connection.execute(
            "ALTER TABLE notify.ent_notification ALTER COLUMN enterprise_id DROP NOT NULL"
        )
        connection.execute("INSERT INTO notify.ent_notification DEFAULT VALUES")
    async with opened(migrated) as store:
        assert await claim(store) == []
        assert await store.next_due() is None


async def test_a_recipient_that_is_null_is_not_dropped_in_silence(database: str) -> None:
    migrate(database)
    store = postgres_store(database)
    await store.open()
    try:
        await store.insert([{"enterprise_id": ACME, "recipients": [str(ACME), None]}])
        [claim] = await store.claim(1, 60)
        rows = await store.load([claim.captured.key])
        assert rows[claim.captured.key].notification.recipients == (str(ACME), "")
    finally:
        await store.close()


@pytest.mark.parametrize("expires", ["infinity", "-infinity", "20000-01-01T00:00:00Z"])
async def test_a_deadline_out_of_reach_stops_nobody(migrated: str, expires: str) -> None:
    """Python has no year 10000: such a row must not make the whole claim fail."""
    async with opened(migrated) as store:
        await store.insert(
            [{"enterprise_id": ACME, "expires_at": expires}, {"enterprise_id": ACME}]
        )
        claims = await store.claim(5, LONG)
        assert len(claims) == 2
        keys = [claim.captured.key for claim in claims]
        verdicts = (await store.begin_send(keys, SendTimes())).verdicts
        late = Verdict.LATE if expires == "-infinity" else Verdict.SEND
        assert {begun.verdict for begun in verdicts.values()} == {late, Verdict.SEND}
        assert len(await store.load([c.captured.key for c in claims])) == 2
