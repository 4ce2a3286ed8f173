"""
Whatever several workers and people do to a row, in whatever order, its life stays lawful.

The store in memory is the model; Postgres has to agree with it after every step.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any

import psycopg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from xnovu.adapters.memory.store import MemoryStore
from xnovu.adapters.postgres.store import postgres_store
from xnovu.events import Key, Retraction, RetractRequested
from xnovu.sending import Begun, Sending, SendTimes, Verdict
from xnovu.sql.store import SqlStore
from xnovu.store import Outcome
from xnovu.testing.contract.store_bench import ACME, FAILURE, GLOBEX, LONG

LAWFUL = {
    ("PENDING", "PROCESSING"),
    ("PROCESSING", "PROCESSING"),  # claimed again after its claim had lapsed
    ("PROCESSING", "SENT"),
    ("PROCESSING", "FAILED"),
    ("FAILED", "PENDING"),
    *((status, "RETRACTED") for status in ("PENDING", "PROCESSING", "SENT", "FAILED")),
    ("RETRACTED", "RETRACTED"),  # its outcome is known
}
ROWS = 4
STATE = """
SELECT id, notification_status::text, generation, claims, transaction_id,
       claimed_until IS NOT NULL AS held, retraction_outcome
FROM notify.ent_notification ORDER BY id
"""
TRAIL = """
SELECT notification_id, from_status, to_status, generation, claims
FROM notify.ent_notification_audit WHERE notification_id IS NOT NULL ORDER BY id
"""
RECORDS = """
SELECT id, generation, sends, doubt IS NOT NULL, until > now() FROM notify.xnovu_sending
"""
TIMES = [SendTimes(LONG, LONG), SendTimes(1e-6, LONG), SendTimes(1e-6, 0.0)]
rows = st.integers(0, ROWS - 1)
any_of_them = st.integers(0, 99)


class Life(RuleBasedStateMachine):
    """Workers remember every claim they ever had, and act on any of them, however stale."""

    dsn = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.database = psycopg.connect(self.dsn, autocommit=True)
        # As in memory; by default it is random.
        self.database.execute("ALTER TABLE notify.ent_notification ALTER generation SET DEFAULT 0")
        self.database.execute(
            "TRUNCATE notify.ent_notification, notify.xnovu_sending RESTART IDENTITY"
        )
        self.audited = self._last_line()
        self.memory, self.postgres = MemoryStore(), postgres_store(self.dsn)
        self.run(self.postgres.open())
        batch = [{"enterprise_id": ACME}, {"enterprise_id": GLOBEX}] * (ROWS // 2)
        for store in (self.memory, self.postgres):
            self.run(store.insert(batch))
        self.keys: list[Key] = []
        self.out: set[tuple[int, int, int]] = set()
        self.names: dict[tuple[int, int], str] = {}
        self.sendings: list[tuple[Key, Sending, Sending]] = []
        self.unaccounted: dict[tuple[int, int], set[int]] = {}
        """By row and generation, the calls that may have sent it; empty: all are accounted for."""

    def teardown(self) -> None:
        self.run(self.postgres.close())
        self.database.close()
        self.runner.close()

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def both(self, ask: Any) -> Any:
        """Ask both stores; they have to say the same."""
        expected, said = (self.run(ask(store)) for store in (self.memory, self.postgres))
        assert sorted(map(str, said)) == sorted(map(str, expected))
        return said

    @rule(limit=st.integers(1, ROWS))
    def claim(self, limit: int) -> None:
        async def claimed(store: MemoryStore | SqlStore) -> list[Key]:
            return [claim.captured.key for claim in await store.claim(limit, LONG)]

        for key in self.both(claimed):
            once = (key.notification_id, key.generation, key.claims)
            assert once not in self.out, "given out twice"
            self.out.add(once)
            self.keys.append(key)

    @rule(limit=st.integers(1, ROWS))
    def claim_retractions(self, limit: int) -> None:
        async def claimed(store: MemoryStore | SqlStore) -> list[RetractRequested]:
            return list(await store.claim_retractions(limit, LONG))

        for event in self.both(claimed):
            key = event.key
            once = (key.notification_id, key.generation, key.claims)
            assert once not in self.out, "given out twice"
            self.out.add(once)
            self.keys.append(key)

    @rule(which=any_of_them, outcome=st.sampled_from(Retraction), stranger=st.booleans())
    def record_retraction(self, which: int, outcome: Retraction, stranger: bool) -> None:
        if key := self._chosen(which, stranger):

            async def recorded(store: MemoryStore | SqlStore) -> list[tuple[Any, ...]]:
                changes = await store.record_retractions({key: outcome})
                return [(c.key, c.status, c.previous, c.retraction) for c in changes]

            assert not (self.both(recorded) and stranger)

    @rule(which=any_of_them, stranger=st.booleans())
    def ask_where_a_retraction_stands(self, which: int, stranger: bool) -> None:
        if key := self._chosen(which, stranger):

            async def standing(store: MemoryStore | SqlStore) -> list[tuple[Any, ...]]:
                found = await store.begin_retraction([key], TIMES[0])
                return [(key, row.previous, row.outcome) for key, row in found.items()]

            assert not (self.both(standing) and stranger)

    @rule(row=rows)
    def lapse(self, row: int) -> None:
        """The worker that had it is gone."""
        record = self.memory.records[row + 1]
        if record.claimed_until:
            record.claimed_until = record.created_at
            self.database.execute(
                "UPDATE notify.ent_notification SET claimed_until = created_at WHERE id = %s",
                [row + 1],
            )

    @rule(which=any_of_them, failed=st.booleans(), stranger=st.booleans())
    def record(self, which: int, failed: bool, stranger: bool) -> None:
        if key := self._chosen(which, stranger):
            outcome = Outcome(key, FAILURE if failed else None)

            async def recorded(store: MemoryStore | SqlStore) -> list[tuple[Key, str]]:
                told = await store.record([outcome])
                return [(change.key, getattr(change, "status", None)) for change in told]

            assert not (self.both(recorded) and stranger)

    @rule(which=any_of_them, stranger=st.booleans(), times=st.sampled_from(TIMES))
    def begin_send(self, which: int, stranger: bool, times: SendTimes) -> None:
        if key := self._chosen(which, stranger):
            of_memory, of_postgres = (
                self.run(store.begin_send([key], times)) for store in (self.memory, self.postgres)
            )
            assert _plain(of_memory) == _plain(of_postgres)
            if begun := of_memory.verdicts.get(key):
                assert not stranger
                self._was_given(key, begun, len(self.sendings))
            self.sendings.append((key, of_memory, of_postgres))

    def _was_given(self, key: Key, begun: Begun, call: int) -> None:
        """What may be sent now was surely not sent before, or was looked up."""
        row = (key.notification_id, key.generation)
        if begun.verdict is Verdict.SEND:
            assert not self.unaccounted.get(row), "sent without a look-up"
        elif begun.looks_up:
            assert row in self.unaccounted, "looked up, though nobody had ever begun"
        if begun.sends:
            self.unaccounted.setdefault(row, set()).add(call)

    @rule(which=any_of_them, unclear=st.booleans())
    def end_send(self, which: int, unclear: bool) -> None:
        """However late: what somebody else has begun meanwhile is not ended by it."""
        if not self.sendings:
            return
        call = which % len(self.sendings)
        key, of_memory, of_postgres = self.sendings[call]
        ends = ([], [key]) if unclear else ([key], [])
        self.run(self.memory.end_send(of_memory, *ends))
        self.run(self.postgres.end_send(of_postgres, *ends))
        if not unclear:
            self.unaccounted.get((key.notification_id, key.generation), set()).discard(call)

    @rule(which=any_of_them, stranger=st.booleans())
    def retract(self, which: int, stranger: bool) -> None:
        if key := self._chosen(which, stranger):
            assert not (self.both(lambda store: store.retract([key], "why")) and stranger)

    @rule(which=any_of_them, stranger=st.booleans())
    def redrive(self, which: int, stranger: bool) -> None:
        if key := self._chosen(which, stranger):
            assert not (self.both(lambda store: store.redrive([key])) and stranger)

    @rule(which=any_of_them)
    def release(self, which: int) -> None:
        if key := self._chosen(which, stranger=False):
            self.run(self.memory.release([key]))
            self.run(self.postgres.release([key]))

    @invariant()
    def both_have_the_same_records(self) -> None:
        now = datetime.now(UTC)
        expected = {
            (number, held.generation, held.sends, held.doubt is not None, held.until > now)
            for number, held in self.memory.sends.of.items()
        }
        assert set(self.database.execute(RECORDS)) == expected

    @invariant()
    def both_agree(self) -> None:
        found = self.database.execute(STATE).fetchall()
        records = sorted(self.memory.records.values(), key=lambda record: record.id)
        assert found == [
            (
                r.id,
                r.notification_status.value,
                r.generation,
                r.claims,
                r.transaction_id,
                r.claimed_until is not None,
                r.retraction_outcome,
            )
            for r in records
        ]

    @invariant()
    def one_generation_has_one_name_at_the_provider(self) -> None:
        for number, _, generation, _, name, *_ in self.database.execute(STATE):
            if name:
                assert self.names.setdefault((number, generation), name) == name
        assert len(set(self.names.values())) == len(self.names)

    @invariant()
    def each_step_is_lawful_and_audited_once(self) -> None:
        now = {row[0]: row[1:4] for row in self.database.execute(STATE)}
        then = dict.fromkeys(now, ("PENDING", 0, 0))
        new = f"{TRAIL.split('ORDER')[0]} AND id > %s ORDER BY id"
        for number, before, after, generation, claims in self.database.execute(new, [self.audited]):
            assert (before, after) in LAWFUL
            assert before == then[number][0]
            assert (generation, claims) > then[number][1:] or after != "PROCESSING"
            then[number] = (after, generation, claims)
        assert _moved(then) == _moved(now)

    def _chosen(self, which: int, stranger: bool) -> Key | None:
        if not self.keys:
            return None
        key = self.keys[which % len(self.keys)]
        other = GLOBEX if key.enterprise_id == ACME else ACME
        return key._replace(enterprise_id=other) if stranger else key

    def _last_line(self) -> int:
        query = "SELECT coalesce(max(id), 0) FROM notify.ent_notification_audit"
        found = self.database.execute(query).fetchone()
        return found[0] if found else 0


State = tuple[str, int, int]


def _plain(sending: Sending) -> dict[Key, tuple[Verdict, bool]]:
    return {key: (begun.verdict, begun.seconds > 0) for key, begun in sending.verdicts.items()}


def _moved(rows: dict[int, State]) -> dict[int, State]:
    """Rows that something has happened to. That a retraction was claimed is no step."""
    moved = {number: state for number, state in rows.items() if state[0] != "PENDING"}
    return {n: (*s[:2], 0) if s[0] == "RETRACTED" else s for n, s in moved.items()}


def test_no_interleaving_breaks_the_life_of_a_row(migrated: str) -> None:
    machine = type("Life", (Life,), {"dsn": migrated})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
