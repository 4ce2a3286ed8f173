"""
Realtime fails in every way it knows, while rows come: each of them is sent, once, and in time.

A lost hint costs nothing but time: the sweep looks at the table at least every 0.75 s
(``ingest.sweep_idle``), by another way than Realtime. So no row waits for the end of a fault, and
after it all that came are SENT within WITHIN: a pause between two sweeps, the lingers of four
stages (0.02 s each), and the rest for a slow machine. Whatever else would bring a row round in the
end takes longer: the broker's redelivery 30 s, a claim that lapses 300 s.

The connection is told to be up only while hints can come through. It is up again within WITHIN of
the fault's end, too: the longest pause between two attempts (0.05 s here, 30 s by default) and one
join.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.conftest import eventually
from tests.faults.realtime_faults import (
    BRIEF,
    DEAF,
    LASTING,
    TEXT_OVER_1_MIB,
    UNAUTHORIZED,
    Closed,
    RealtimeFault,
)
from tests.supabase_pipeline import AtWork, Installation, here
from xnovu.connection import Link

__all__ = ["here"]

WITHIN = 20.0
BOUND = timedelta(seconds=WITHIN)
OUTAGE = 20.0
"""Seconds. The client of Supabase gives up after about 15, for ever."""


async def all_is_well(here: Installation, at_work: AtWork) -> None:
    """The fault is over: rows end in time, hints come through, and both are true."""
    over = here.now()
    here.insert()
    await here.all_sent(WITHIN)
    assert here.last_sent() - over < BOUND
    await at_work.told.connected(2, WITHIN)
    assert (at_work.status["state"], at_work.status["reason"]) == (Link.CONNECTED, "")
    assert at_work.status["since"] - over < BOUND
    await told_of_rows(here, at_work)
    await here.all_sent(WITHIN)
    here.each_exactly_once()


async def told_of_rows(here: Installation, at_work: AtWork) -> None:
    """Not of each: one that comes while the connection is made anew is found by a look."""
    heard = at_work.status["last_event"]

    async def told() -> bool:
        here.insert()
        await here.all_sent(WITHIN)
        return at_work.status["last_event"] != heard

    await eventually(told)


async def found_by_the_sweep(
    here: Installation, at_work: AtWork, is_over: Callable[[], bool] = lambda: False
) -> None:
    """Rows come, are sent all the same, and are counted as unannounced, unless it ``is_over``."""
    missed = at_work.status["missed_wakeups"]

    async def more_missed() -> bool:
        here.insert(3)
        await here.all_sent(WITHIN)
        return is_over() or at_work.status["missed_wakeups"] > missed

    await eventually(more_missed)


@pytest.mark.parametrize("fault", BRIEF, ids=str)
async def test_a_connection_that_ends(here: Installation, fault: RealtimeFault) -> None:
    async with here.at_work(**fault.patience) as at_work:
        here.insert()
        fault.strike(here.realtime)
        here.insert()
        await at_work.told.lost(fault.says, WITHIN)
        await all_is_well(here, at_work)


@pytest.mark.parametrize("fault", LASTING, ids=str)
async def test_a_server_that_lets_nobody_in(here: Installation, fault: Closed) -> None:
    async with here.at_work(**fault.patience) as at_work:
        here.insert()
        tried = fault.tried(here.realtime)
        fault.strike(here.realtime)
        await at_work.told.down(fault.says, WITHIN)
        await found_by_the_sweep(here, at_work)
        await eventually(tried)
        assert (at_work.status["state"], at_work.status["reconnects"]) == (Link.RECONNECTING, 1)
        assert fault.says in at_work.status["reason"]
        here.insert()
        fault.mend(here.realtime)
        await all_is_well(here, at_work)


@pytest.mark.parametrize("fault", DEAF, ids=str)
async def test_a_server_that_tells_nothing(here: Installation, fault: RealtimeFault) -> None:
    async with here.at_work(**fault.patience) as at_work:
        here.insert()

        async def lost() -> bool:
            await found_by_the_sweep(here, at_work)
            return fault.says in at_work.told.diary.losses

        fault.strike(here.realtime)
        await eventually(lost)
        here.insert()
        fault.mend(here.realtime)
        await all_is_well(here, at_work)


async def test_a_server_that_may_not_show_rows(here: Installation) -> None:
    """Each of them costs a connection, so that it is told; and each connection is a hint."""
    async with here.at_work() as at_work:
        here.insert()
        UNAUTHORIZED.strike(here.realtime)
        for times in (1, 2):
            here.insert()
            await eventually(lambda n=times: len(at_work.told.diary.losses) >= n)
            await here.all_sent(WITHIN)
        here.insert()
        UNAUTHORIZED.mend(here.realtime)
        await all_is_well(here, at_work)
        assert set(at_work.told.diary.losses) == {UNAUTHORIZED.says}


async def test_rows_over_1_mib(here: Installation) -> None:
    """In a column of the platform's own: Novu takes half a MiB at the most."""
    here.database.execute("ALTER TABLE notify.ent_notification ADD COLUMN remark text")
    default = "ALTER TABLE notify.ent_notification ALTER COLUMN remark SET DEFAULT repeat('x', %d)"
    async with here.at_work() as at_work:
        here.insert()
        here.database.execute(default % len(TEXT_OVER_1_MIB))
        await told_of_rows(here, at_work)
        here.database.execute(default % 0)
        await told_of_rows(here, at_work)
        await here.all_sent(WITHIN)
        here.each_exactly_once()
        assert (at_work.status["state"], at_work.told.diary.losses) == (Link.CONNECTED, [])


async def test_an_outage_of_20_seconds(here: Installation) -> None:
    """It is up again within a pause of two seconds and a join; the sweep goes on meanwhile."""
    async with here.at_work(backoff=0.5, backoff_max=2.0) as at_work:
        here.insert()
        here.realtime.outage(OUTAGE)
        await at_work.told.down("cannot connect", WITHIN)
        while here.realtime.away:
            assert at_work.status["state"] is Link.RECONNECTING
            await found_by_the_sweep(here, at_work, lambda: not here.realtime.away)
        assert at_work.status["missed_wakeups"]
        here.insert()
        await all_is_well(here, at_work)
        assert at_work.status["reconnects"] == 1
