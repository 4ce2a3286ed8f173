"""What all wake-ups promise: a hint for what is new, none for XNovu's own work, for ever."""

import psycopg

from tests.builders import recorded
from tests.conftest import eventually
from tests.contract import wakeups_fixtures
from tests.contract.wakeups_fixtures import Bench, Ear
from xnovu.connection import Link
from xnovu.sending import SendTimes
from xnovu.sql.store import SqlStore
from xnovu.store import Outcome
from xnovu.testing.contract.store_bench import ACME, FAILURE

bench, ear, store = wakeups_fixtures.bench, wakeups_fixtures.ear, wakeups_fixtures.store


async def test_inserts_wake(bench: Bench, store: SqlStore, ear: Ear) -> None:
    await store.insert([{"enterprise_id": ACME}])
    await eventually(lambda: ear.heard == 1)
    await store.insert([{"enterprise_id": ACME}] * 100)
    await eventually(lambda: ear.heard > 1)


async def test_nothing_wakes_before_it_is_committed(bench: Bench, ear: Ear) -> None:
    with psycopg.connect(bench.database) as connection:
        query = "INSERT INTO notify.ent_notification (enterprise_id) VALUES (%s)"
        connection.execute(query, [ACME])
        assert await bench.settled(ear) == 0
        connection.commit()
        await eventually(lambda: ear.heard == 2)
        connection.execute(query, [ACME])
        connection.rollback()
    assert await bench.settled(ear) == 2


async def test_what_people_change_wakes(bench: Bench, store: SqlStore, ear: Ear) -> None:
    await store.insert([{"enterprise_id": ACME}])
    (claim,) = await store.claim(1, 60.0)
    await store.record([Outcome(claim.captured.key, FAILURE)])
    await eventually(lambda: ear.heard == 1)
    (key,) = await store.redrive([claim.captured.key])
    await eventually(lambda: ear.heard == 2)
    await store.retract([key])
    await eventually(lambda: ear.heard == 3)
    bench.execute("UPDATE notify.ent_notification SET notification_status = 'PENDING'")
    await eventually(lambda: ear.heard == 4)


async def test_a_new_schedule_wakes(bench: Bench, store: SqlStore, ear: Ear) -> None:
    await store.insert([{"enterprise_id": ACME, "scheduled_for": "2999-01-01T00:00:00Z"}])
    await eventually(lambda: ear.heard == 1)
    bench.execute("UPDATE notify.ent_notification SET scheduled_for = now()")
    await eventually(lambda: ear.heard == 2)


async def test_its_own_work_wakes_nobody(bench: Bench, store: SqlStore, ear: Ear) -> None:
    await store.insert([{"enterprise_id": ACME}])
    await store.insert([{"enterprise_id": ACME}])
    await eventually(lambda: ear.heard == 2)
    first, second = [claim.captured.key for claim in await store.claim(9, 60.0)]
    await store.release([first])
    (again,) = [claim.captured.key for claim in await store.claim(9, 60.0)]
    await store.begin_send([again, second], SendTimes())
    await recorded(store, [Outcome(again), Outcome(second, FAILURE)])
    assert await bench.settled(ear) == 2


async def test_tells_how_it_fares(bench: Bench) -> None:
    assert bench.wakeups.connection.state is Link.CONNECTING
    async with bench.listening() as ear:
        now = bench.wakeups.connection
        assert (now.state, now.reason, now.reconnects) == (Link.CONNECTED, "", 0)
        await bench.settled(ear)
        heard = bench.wakeups.connection.last_event
        assert heard is not None
        await bench.settled(ear)
        assert (bench.wakeups.connection.last_event or heard) > heard
    assert bench.wakeups.connection.state is Link.STOPPED


async def test_reconnects_for_ever_and_wakes_each_time(bench: Bench) -> None:
    async with bench.listening() as ear:
        for times in (1, 2, 3):
            bench.cut()
            await eventually(lambda: bench.wakeups.connection.state is Link.RECONNECTING)
            assert bench.wakeups.connection.reason
            assert bench.wakeups.connection.reconnects == times
            ear.heard = 0
            bench.mend()
            await eventually(lambda: ear.heard)
            assert bench.wakeups.connection.state is Link.CONNECTED
            assert bench.wakeups.connection.reason == ""
            assert await bench.settled(ear) == 1


async def test_starts_while_nothing_is_there_and_connects_when_it_comes(bench: Bench) -> None:
    bench.cut()
    ear = Ear()
    await bench.wakeups.start(ear)
    await eventually(lambda: bench.wakeups.connection.reason)
    assert bench.wakeups.connection.state is Link.CONNECTING
    assert ear.heard == 0
    bench.mend()
    await eventually(lambda: ear.heard == 1)
    assert bench.wakeups.connection.state is Link.CONNECTED
    await bench.wakeups.stop()


async def test_stops_while_nothing_is_there_and_more_than_once(bench: Bench) -> None:
    bench.cut()
    ear = Ear()
    await bench.wakeups.start(ear)
    await eventually(lambda: bench.wakeups.connection.reason)
    await bench.wakeups.stop()
    await bench.wakeups.stop()
    assert bench.wakeups.connection.state is Link.STOPPED
    assert ear.heard == 0


async def test_stopped_it_hears_no_more(bench: Bench, store: SqlStore) -> None:
    async with bench.listening() as ear:
        pass
    await store.insert([{"enterprise_id": ACME}])
    async with bench.listening() as another:
        await bench.settled(another)
    assert ear.heard == 0
