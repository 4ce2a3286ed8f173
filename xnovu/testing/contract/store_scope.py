"""What every store promises of who sees what, and when."""

from typing import Any

import pytest

from xnovu.desk import Search
from xnovu.errors import Permanent
from xnovu.events import Key, Retraction
from xnovu.sending import SendTimes
from xnovu.store import Outcome
from xnovu.testing.contract.store_bench import (
    ACME,
    FAILURE,
    GLOBEX,
    LONG,
    Bench,
    claimed,
    from_now,
    insert,
    others,
    recorded,
)

HOUR = 3600.0


class TestRelease:
    async def test_makes_rows_due_at_once(self, bench: Bench) -> None:
        keys = await claimed(bench, 2)
        await bench.store.release([*keys, keys[0]])
        assert await bench.store.next_due() == 0
        again = await bench.store.claim(9, LONG)
        assert [c.captured.key for c in again] == [key._replace(claims=2) for key in keys]

    async def test_refuses_all_but_the_holder(self, bench: Bench) -> None:
        (key,) = await claimed(bench)
        stale = (key._replace(claims=0), key._replace(claims=2), key._replace(generation=1))
        await bench.store.release([others(key), *stale])
        assert list(await bench.store.claim(1, LONG)) == []
        await recorded(bench.store, [Outcome(key)])
        await bench.store.release([key])
        assert list(await bench.store.claim(1, LONG)) == []

    async def test_of_nothing_is_nothing(self, bench: Bench) -> None:
        await bench.store.release([])


class TestNextDue:
    async def test_is_never_where_nothing_waits(self, bench: Bench) -> None:
        assert await bench.store.next_due() is None
        await insert(bench, notification_status="SENT")
        assert await bench.store.next_due() is None

    async def test_is_now_where_rows_are_due(self, bench: Bench) -> None:
        await insert(bench)
        assert await bench.store.next_due() == 0

    async def test_is_the_nearest_schedule(self, bench: Bench) -> None:
        await insert(bench, scheduled_for=from_now(7200))
        await insert(bench, scheduled_for=from_now(3600))
        due = await bench.store.next_due()
        assert due is not None
        assert 3000 < due <= 3600

    async def test_is_when_a_lease_lapses_if_that_is_sooner(self, bench: Bench) -> None:
        await claimed(bench, lease=100.0)
        await insert(bench, scheduled_for=from_now(3600))
        due = await bench.store.next_due()
        assert due is not None
        assert 50 < due <= 100

    async def test_is_when_a_retraction_is_to_be_told(self, bench: Bench) -> None:
        (key,) = await claimed(bench)
        await bench.store.retract([key])
        assert await bench.store.next_due() == 0
        (event,) = await bench.store.claim_retractions(10, LONG)
        bench.store.handed_over([event.key])
        due = await bench.store.next_due()
        assert due is not None
        assert LONG / 2 < due <= LONG
        await bench.store.record_retractions({event.key: Retraction.STOPPED})
        assert await bench.store.next_due() is None


class TestOneEnterprise:
    """A store of one enterprise neither sees nor touches another's rows."""

    async def test_claims_its_own_rows_only(self, bench: Bench) -> None:
        await insert(bench, 2, enterprise_id=GLOBEX)
        mine = await insert(bench, 2)
        await insert(bench, 2, enterprise_id=GLOBEX)
        claims = await bench.only(ACME).claim(10, LONG)
        assert [claim.captured.notification_id for claim in claims] == mine
        assert len(await bench.store.claim(10, LONG)) == 4

    async def test_claims_its_own_lapsed_rows_only(self, bench: Bench) -> None:
        theirs = await claimed(bench, 1, enterprise_id=GLOBEX)
        mine = await claimed(bench)
        await bench.store.release([*theirs, *mine])
        (claim,) = await bench.only(ACME).claim(10, LONG)
        assert claim.captured.notification_id == mine[0].notification_id

    async def test_is_due_when_its_own_rows_are(self, bench: Bench) -> None:
        await insert(bench, enterprise_id=GLOBEX)
        assert await bench.only(ACME).next_due() is None
        await insert(bench)
        assert await bench.only(ACME).next_due() == 0

    async def test_neither_reads_nor_changes_another_s(self, bench: Bench) -> None:
        (key,) = await claimed(bench, enterprise_id=GLOBEX)
        mine = bench.only(ACME)
        assert await mine.load([key]) == {}
        assert (await mine.begin_send([key], SendTimes())).verdicts == {}
        assert list(await recorded(mine, [Outcome(key)])) == []
        assert list(await mine.retract([key])) == []
        assert await mine.history(key.notification_id) is None
        assert await mine.load([others(others(key))]) == {}
        await mine.release([key])
        assert list(await bench.store.claim(10, LONG)) == []

    async def test_neither_inserts_nor_finds_another_s(self, bench: Bench) -> None:
        with pytest.raises(Permanent, match="another enterprise"):
            await bench.only(ACME).insert([{"enterprise_id": GLOBEX, "name": "secret-value"}])
        (key,) = await claimed(bench, enterprise_id=GLOBEX)
        await recorded(bench.store, [Outcome(key, FAILURE)])
        mine = bench.only(ACME)
        assert list(await mine.failed(Search(enterprise_id=GLOBEX), 10)) == []
        assert list(await mine.redrive([key])) == []


class TestFailed:
    async def test_are_found_by_enterprise_code_and_time(self, bench: Bench) -> None:
        first, second = await claimed(bench, 2)
        (theirs,) = await claimed(bench, enterprise_id=GLOBEX)
        other = FAILURE.model_copy(update={"code": "expired"})
        await recorded(bench.store, [Outcome(first, FAILURE)])
        await recorded(bench.store, [Outcome(second, other), Outcome(theirs, FAILURE)])
        assert await found(bench) == [first, second, theirs]
        assert await found(bench, enterprise_id=ACME) == [first, second]
        assert await found(bench, enterprise_id=ACME, code="expired") == [second]
        assert await found(bench, since=from_now(60)) == []
        assert await found(bench, until=from_now(-60)) == []
        assert len(await found(bench, since=from_now(-60), until=from_now(60))) == 3
        assert [each.code for each in await bench.store.failed(Search(), 1)] == [FAILURE.code]

    async def test_are_no_longer_when_sent_again(self, bench: Bench) -> None:
        (key,) = await claimed(bench)
        assert await found(bench) == []
        await recorded(bench.store, [Outcome(key, FAILURE)])
        await bench.store.redrive(await found(bench))
        assert await found(bench) == []


async def found(bench: Bench, **search: Any) -> list[Key]:
    """Which have failed, the first to fail first."""
    failed = await bench.store.failed(Search(**search), 10)
    return sorted((each.key for each in failed), key=lambda key: key.notification_id)


class TestOperations:
    async def test_is_noted_whether_it_concerned_any_row_or_none(self, bench: Bench) -> None:
        await bench.store.note_operation("ada", "replay", 0, {"stage": "trigger"})
