"""What every store promises of rows that end within a claim: each is returned until it is told."""

from xnovu.events import Key, Status, StatusChanged
from xnovu.testing.contract.store_bench import ACME, GLOBEX, LONG, Bench, enterprise, insert


async def ended(bench: Bench, *whose: str) -> list[Key]:
    """Rows that the database refuses to let claim, claimed in vain; none where nothing refuses."""
    if not await bench.refuse_claims("bad"):
        return []
    numbers = [(await insert(bench, enterprise_id=each, name="bad"))[0] for each in whose]
    await insert(bench, name="good")
    assert len(await bench.store.claim(100, LONG)) == 1
    return [Key(each, number, 0, 0) for each, number in zip(whose, numbers, strict=True)]


class TestUntold:
    async def test_is_told_whole_and_by_the_same_name_again_and_again(self, bench: Bench) -> None:
        for key in await ended(bench, ACME):
            assert await bench.store.next_due() == 0
            (event,) = await bench.store.untold(10)
            assert await bench.store.untold(10) == [event]
            assert (event.key, event.identity) == (key, f"{key}/FAILED")
            assert (event.status, event.previous) == (Status.FAILED, Status.PENDING)
            assert event.failure and event.failure.code == "refused_by_database"
            row = await bench.row(key.notification_id)
            assert event.at.replace(tzinfo=None) == row["processed_at"].replace(tzinfo=None)
            assert event.transaction_id == (row["transaction_id"] and str(row["transaction_id"]))

    async def test_is_no_more_once_it_is_told(self, bench: Bench) -> None:
        keys = await ended(bench, ACME, ACME)
        await bench.store.told(keys[:1])
        assert [event.key for event in await bench.store.untold(10)] == keys[1:]
        await bench.store.told(keys)
        assert list(await bench.store.untold(10)) == []
        assert await bench.store.next_due() != 0

    async def test_is_told_as_it_ended_whatever_the_row_is_now(self, bench: Bench) -> None:
        keys = await ended(bench, ACME, ACME, ACME)
        if keys:
            assert await bench.store.redrive(keys[:1])
            assert await bench.store.retract(keys[1:2])
            await bench.remove(keys[2].notification_id)
        assert [event.key for event in await bench.store.untold(10)] == keys

    async def test_every_enterprise_has_its_turn(self, bench: Bench) -> None:
        some = sorted(enterprise() for _ in range(3))
        if await ended(bench, *[some[0]] * 5, some[1], some[2]):
            turns = [[e.enterprise_id for e in await bench.store.untold(2)] for _ in range(2)]
            assert turns == [some[:2], [some[2], some[0]]]
            assert len(await bench.store.untold(20)) == 7

    async def test_of_one_enterprise_its_own_only(self, bench: Bench) -> None:
        keys = await ended(bench, ACME, GLOBEX)
        own = bench.only(GLOBEX)
        assert [event.key for event in await own.untold(10)] == keys[1:]
        await own.told(keys)
        untold: list[StatusChanged] = list(await bench.store.untold(10))
        assert [event.key for event in untold] == keys[:1]
