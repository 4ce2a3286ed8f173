"""What every store promises of its queue."""

import asyncio
from collections import Counter

import pytest

from xnovu.errors import Permanent
from xnovu.events import Key
from xnovu.testing.contract.store_bench import (
    ACME,
    GLOBEX,
    LONG,
    Bench,
    claimed,
    enterprise,
    from_now,
    insert,
)

HOUR = 3600.0


class TestInsert:
    async def test_returns_ids_in_order_and_fills_in_defaults(self, bench: Bench) -> None:
        plain, rich = {"enterprise_id": ACME}, {"enterprise_id": ACME, "name": "b", "tags": ["x"]}
        ids = await bench.store.insert([plain, rich, plain, rich])
        assert list(ids) == sorted(set(ids))
        rows = [await bench.row(each) for each in ids]
        assert [row["name"] for row in rows] == [None, "b", None, "b"]
        assert all(row["created_at"] and row["claims"] == 0 for row in rows)
        assert {str(row["notification_status"]) for row in rows} == {"PENDING"}

    async def test_of_nothing_is_nothing(self, bench: Bench) -> None:
        assert list(await bench.store.insert([])) == []

    async def test_names_a_column_that_does_not_exist(self, bench: Bench) -> None:
        with pytest.raises(Permanent, match=r'no column "colour".*recipients') as refused:
            await insert(bench, colour="secret-value")
        assert "secret-value" not in str(refused.value)

    @pytest.mark.parametrize("column", ["scheduled_for", "recipients", "generation"])
    async def test_names_the_column_of_a_bad_value_but_not_the_value(
        self, bench: Bench, column: str
    ) -> None:
        with pytest.raises(Permanent, match=f'"{column}"') as refused:
            await bench.store.insert([{"enterprise_id": ACME, column: "secret-value"}])
        assert "secret-value" not in str(refused.value)

    async def test_is_all_or_nothing(self, bench: Bench) -> None:
        good, bad = {"enterprise_id": ACME}, {"enterprise_id": ACME, "expires_at": "never"}
        with pytest.raises(Permanent):
            await bench.store.insert([good, bad])
        assert await bench.store.next_due() is None


class TestClaim:
    async def test_takes_the_first_come_up_to_the_limit(self, bench: Bench) -> None:
        ids = await insert(bench, 5)
        claims = await bench.store.claim(3, LONG)
        assert [claim.captured.notification_id for claim in claims] == ids[:3]
        rest = await bench.store.claim(10, LONG)
        assert [claim.captured.notification_id for claim in rest] == ids[3:]
        assert list(await bench.store.claim(10, LONG)) == []

    async def test_marks_the_row_before_anything_is_sent(self, bench: Bench) -> None:
        (key,) = await claimed(bench)
        row = await bench.row(key.notification_id)
        assert str(row["notification_status"]) == "PROCESSING"
        assert row["claims"] == key.claims == 1
        assert row["claimed_until"] > from_now(LONG / 2)
        assert row["transaction_id"]

    async def test_says_all_that_ingest_needs(self, bench: Bench) -> None:
        (row_id,) = await insert(bench)
        (claim,) = await bench.store.claim(1, LONG)
        assert claim.captured.key == Key(ACME, row_id, 0, 1)
        assert claim.captured.claims == 1
        assert claim.captured.transaction_id == str((await bench.row(row_id))["transaction_id"])

    async def test_leaves_what_is_scheduled_until_its_time(self, bench: Bench) -> None:
        (later,) = await insert(bench, scheduled_for=from_now(3600))
        (now,) = await insert(bench, scheduled_for=from_now(-1))
        assert [c.captured.notification_id for c in await bench.store.claim(9, LONG)] == [now]
        await bench.change(later, scheduled_for=from_now(-1))
        assert [c.captured.notification_id for c in await bench.store.claim(9, LONG)] == [later]

    async def test_serves_first_who_came_first(self, bench: Bench) -> None:
        (second,) = await insert(bench, created_at=from_now(-100))
        (third,) = await insert(bench)
        (first,) = await insert(bench, created_at=from_now(-7200))
        assert await in_order(bench) == [first, second, third]

    async def test_takes_a_row_again_when_its_lease_has_lapsed(self, bench: Bench) -> None:
        (row_id,) = await insert(bench)
        (first,) = await bench.store.claim(1, 0.0)
        (second,) = await bench.store.claim(1, LONG)
        assert second.captured.key == Key(ACME, row_id, 0, 2)
        assert second.captured.claims == 2
        assert second.captured.transaction_id == first.captured.transaction_id
        assert list(await bench.store.claim(1, LONG)) == []

    async def test_serves_a_lapsed_lease_before_new_rows(self, bench: Bench) -> None:
        (old,) = await claimed(bench, lease=0.0)
        await insert(bench)
        (claim,) = await bench.store.claim(1, LONG)
        assert claim.captured.notification_id == old.notification_id

    async def test_keeps_the_transaction_id_that_the_platform_chose(self, bench: Bench) -> None:
        chosen = enterprise()
        await insert(bench, transaction_id=chosen)
        (claim,) = await bench.store.claim(1, LONG)
        assert claim.captured.transaction_id == chosen

    @pytest.mark.parametrize("status", ["SENT", "FAILED", "RETRACTED"])
    async def test_leaves_finished_rows_alone(self, bench: Bench, status: str) -> None:
        await insert(bench, notification_status=status)
        assert list(await bench.store.claim(1, LONG)) == []

    async def test_gives_no_row_to_two(self, bench: Bench) -> None:
        ids = await insert(bench, 200)
        rounds = await asyncio.gather(*(bench.store.claim(7, LONG) for _ in range(40)))
        taken = [claim.captured.notification_id for claims in rounds for claim in claims]
        assert len(taken) == len(set(taken))
        rest = [claim.captured.notification_id for claim in await bench.store.claim(200, LONG)]
        assert sorted(taken + rest) == ids


class TestOrder:
    """Within an enterprise."""

    async def test_is_by_priority(self, bench: Bench) -> None:
        (low,) = await insert(bench, priority=-1)
        normal = await insert(bench, 3)
        (high,) = await insert(bench, priority=1)
        (highest,) = await insert(bench, priority=1_000_000)
        assert await in_order(bench) == [highest, high, *normal, low]

    async def test_overtakes_nobody_for_ever(self, bench: Bench) -> None:
        (low,) = await insert(bench, priority=-1, created_at=from_now(-5 * HOUR))
        (normal,) = await insert(bench)
        (high,) = await insert(bench, priority=1)
        assert await in_order(bench) == [low, high, normal]

    async def test_is_then_by_deadline_and_then_first_come(self, bench: Bench) -> None:
        rows = [await insert(bench, expires_at=until) for until in (None, None, from_now(90))]
        (first,) = await insert(bench, expires_at=from_now(60))
        assert await in_order(bench) == [first, *rows[2], *rows[0], *rows[1]]

    async def test_is_not_changed_by_a_schedule_in_the_past(self, bench: Bench) -> None:
        (first,) = await insert(bench)
        (second,) = await insert(bench, scheduled_for=from_now(-48 * HOUR))
        assert await in_order(bench) == [first, second]

    async def test_a_row_that_was_ready_waits_when_it_is_put_off(self, bench: Bench) -> None:
        (first,) = await insert(bench, priority=1)
        (second,) = await insert(bench, scheduled_for=from_now(-1))
        assert [c.captured.notification_id for c in await bench.store.claim(1, LONG)] == [first]
        await bench.change(second, scheduled_for=from_now(HOUR))
        assert await in_order(bench) == []
        assert (await bench.store.next_due() or 0) > 1
        await bench.change(second, scheduled_for=None)
        assert await bench.store.next_due() == 0
        assert await in_order(bench) == [second]


class TestTurns:
    """Among enterprises."""

    async def test_a_backlog_of_one_keeps_no_other_waiting(self, bench: Bench) -> None:
        await insert(bench, 50)
        (theirs,) = await insert(bench, enterprise_id=GLOBEX)
        found = [c.captured.notification_id for c in await bench.store.claim(8, LONG)]
        assert theirs in found
        assert len(found) == 8

    async def test_all_get_as_much(self, bench: Bench) -> None:
        everybody = [ACME, GLOBEX, enterprise()]
        for each in everybody:
            await insert(bench, 30, enterprise_id=each)
        claimed = [await bench.store.claim(12, LONG) for _ in range(5)]
        counts = Counter(c.captured.enterprise_id for claims in claimed for c in claims)
        assert counts == dict.fromkeys(everybody, 20)

    async def test_there_are_more_than_one_claim_has_room_for(self, bench: Bench) -> None:
        everybody = [enterprise() for _ in range(20)]
        for each in everybody:
            await insert(bench, 8, enterprise_id=each)
        claimed = [await bench.store.claim(10, LONG) for _ in range(10)]
        counts = Counter(c.captured.enterprise_id for claims in claimed for c in claims)
        assert counts.keys() == set(everybody)
        assert max(counts.values()) <= 8

    async def test_nobody_waits_for_who_has_nothing(self, bench: Bench) -> None:
        await insert(bench, 20)
        await insert(bench, enterprise_id=GLOBEX)
        found: list[int] = []
        while claims := await bench.store.claim(10, LONG):
            found += [claim.captured.notification_id for claim in claims]
        assert len(found) == len(set(found)) == 21

    async def test_lapsed_claims_do_not_keep_the_others_waiting(self, bench: Bench) -> None:
        await claimed(bench, 20, lease=0.0)
        (new,) = await insert(bench, enterprise_id=GLOBEX)
        claims = await bench.store.claim(10, LONG)
        assert new in [claim.captured.notification_id for claim in claims]
        assert sum(claim.captured.claims > 1 for claim in claims) == 5


async def in_order(bench: Bench) -> list[int]:
    return [claim.captured.notification_id for claim in await bench.store.claim(9, LONG)]
