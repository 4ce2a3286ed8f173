"""
Realtime fails in every way it knows. The wake-ups say so, and recover by themselves.

However long it lasts, they are connected again within WITHIN seconds of its end: the longest pause
between two attempts (0.05 s here, 30 s by default) and one join. Nothing private is ever logged.
"""

import logging
import math
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg
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
from tests.realtime_fixtures import Listening, Text, listening
from tests.realtime_project import PRIVATE, Project, project, supabase_realtime
from xnovu.adapters.metrics import Metrics
from xnovu.adapters.table import TableOptions, TableSource
from xnovu.connection import Connection, Link
from xnovu.policy import Done, Policy
from xnovu.ports import Backlog, Delivery
from xnovu.testing.contract.store_bench import ACME

__all__ = ["project", "supabase_realtime"]

WITHIN = 10.0
SERVERS = ("asyncio", "uvicorn", "websockets.server")
SECRETS = (PRIVATE, "sb_secret_", "sb_publishable_", "eyJ")


@pytest.fixture(autouse=True)
def discreet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever happens, at whatever level: no row, no key, no token is logged by the client."""
    caplog.set_level(logging.DEBUG)
    yield
    records = [each for each in caplog.get_records("call") if not each.name.startswith(SERVERS)]
    lines = [logging.Formatter().format(each) for each in records]
    assert [line for line in lines if any(secret in line for secret in SECRETS)] == []


@asynccontextmanager
async def up(
    project: Project, *, key: Text | None = None, token: Text | None = None, **patience: float
) -> AsyncIterator[Listening]:
    """Connected, and woken by inserts; in the end the server has no connection of it left."""
    known = key or (lambda: project.keys.secret)
    async with listening(lambda: project.url, known, (ACME,), token=token, **patience) as told:
        await told.connected(within=WITHIN)
        await woken(project, told)
        yield told
    await eventually(lambda: project.realtime.connections == 0)


async def woken(project: Project, told: Listening) -> None:
    before = told.now.last_event
    await project.insert()
    await eventually(lambda: told.now.last_event != before)


@dataclass
class PassedOn:
    """Wake-ups that were started already, for a table to listen to as well."""

    told: Listening

    @property
    def connection(self) -> Connection:
        return self.told.now

    async def start(self, wake: Callable[[], None]) -> None:
        self.told.ear.others.append(wake)

    def missed(self, rows: int) -> None:
        self.told.wakeups.missed(rows)

    async def stop(self) -> None:
        self.told.ear.others.clear()


@asynccontextmanager
async def sweeping(project: Project, **patience: float) -> AsyncIterator[Listening]:
    """Connected, and a table that is swept so often that hints hardly come before."""

    async def nothing() -> Backlog:
        return Backlog()

    async def done(batch: Sequence[Delivery]) -> Sequence[Done]:
        return [Done() for _ in batch]

    async with up(project, **patience) as told:
        often = TableOptions(sweep_busy=0.02, sweep_idle=0.02)
        source = TableSource(project.store, PassedOn(told), nothing, nothing, often, Metrics())
        source.subscribe("ingest", ["ingest"], Policy(), done)
        await source.start()
        await eventually(lambda: not source._expected)  # all there was has been claimed
        yield told
        await source.stop()


async def recovered(project: Project, told: Listening, times: int = 2) -> None:
    """Connected again in time, looked at the table, and told of what comes."""
    await told.connected(times, WITHIN)
    await woken(project, told)


@pytest.mark.parametrize("fault", BRIEF, ids=str)
async def test_a_connection_that_ends(supabase_realtime: Project, fault: RealtimeFault) -> None:
    async with up(supabase_realtime, **fault.patience) as told:
        fault.strike(supabase_realtime.realtime)
        await supabase_realtime.insert()
        await told.lost(fault.says, within=5)
        await recovered(supabase_realtime, told)


@pytest.mark.parametrize("fault", LASTING, ids=str)
async def test_a_server_that_lets_nobody_in(supabase_realtime: Project, fault: Closed) -> None:
    async with up(supabase_realtime, **fault.patience) as told:
        tried = fault.tried(supabase_realtime.realtime)
        fault.strike(supabase_realtime.realtime)
        await eventually(tried)
        await told.down(fault.says)
        assert (told.now.state, told.now.reconnects) == (Link.RECONNECTING, 1)
        await supabase_realtime.insert()
        fault.mend(supabase_realtime.realtime)
        await recovered(supabase_realtime, told)
        assert told.now.reconnects == 1


async def test_a_server_that_answers_and_tells_nothing(supabase_realtime: Project) -> None:
    realtime = supabase_realtime.realtime
    async with up(supabase_realtime, mute=0.1) as told:
        realtime.faults.mute = True
        for times in (2, 3):
            await supabase_realtime.insert(3)
            told.wakeups.missed(2)
            assert told.now.state is Link.CONNECTED
            told.wakeups.missed(1)
            await told.connected(times, WITHIN)
        realtime.faults.mute = False
        assert told.diary.losses == ["rows came and nothing was told of them for 0.1 s"] * 2
        await woken(supabase_realtime, told)


@pytest.mark.parametrize("fault", DEAF, ids=str)
async def test_the_sweep_finds_out_that_nothing_is_told(
    supabase_realtime: Project, fault: RealtimeFault
) -> None:
    async with sweeping(supabase_realtime, **fault.patience) as told:

        async def lost() -> bool:
            """It finds rows, if not always before it reckons with them."""
            await supabase_realtime.insert(3)
            return bool(told.diary.losses)

        fault.strike(supabase_realtime.realtime)
        await eventually(lost)
        assert told.diary.losses[0] == fault.says
        fault.mend(supabase_realtime.realtime)
        await recovered(supabase_realtime, told)


async def test_silence_for_too_long(supabase_realtime: Project) -> None:
    async with up(supabase_realtime, silence=0.5) as told:
        await eventually(lambda: len(told.diary.losses) > 1)
        await told.connected(within=WITHIN)
        assert all("nothing was told for" in loss for loss in told.diary.losses)
        assert told.now.reconnects == 0


async def test_a_token_that_ends_and_is_not_replaced(supabase_realtime: Project) -> None:
    realtime = supabase_realtime.realtime
    tokens = [supabase_realtime.token()]
    key = supabase_realtime.keys.publishable
    async with up(supabase_realtime, key=lambda: key, token=lambda: tokens[-1]) as told:
        tokens.append(supabase_realtime.token(lives=-60))
        realtime.expire()
        await told.lost("the server refuses: Token has expired")
        await told.down("… Token has expired …")
        refused = realtime.log.count("join_refused")
        await eventually(lambda: realtime.log.count("join_refused") > refused + 2)
        assert told.now.reconnects == 1
        tokens.append(supabase_realtime.token())
        await recovered(supabase_realtime, told)


async def test_a_token_that_is_replaced_in_time_costs_no_connection(
    supabase_realtime: Project,
) -> None:
    realtime = supabase_realtime.realtime
    tokens = [supabase_realtime.token(lives=120), supabase_realtime.token()]
    key, asked = supabase_realtime.keys.publishable, 0

    def token() -> str:
        nonlocal asked
        asked += 1
        return tokens[min(asked, len(tokens)) - 1]

    async with up(supabase_realtime, key=lambda: key, token=token, renewal=300) as told:
        await eventually(lambda: realtime.log.count("access_token") == 1)
        await eventually(lambda: realtime.log.count("subscribed") == 2)
        await woken(supabase_realtime, told)
        assert (asked, told.diary.losses) == (2, [])


async def test_rows_that_are_too_large(supabase_realtime: Project) -> None:
    async with up(supabase_realtime) as told:
        heard = told.ear.heard
        await supabase_realtime.insert(payload={"to": PRIVATE, "text": TEXT_OVER_1_MIB})
        await eventually(lambda: told.ear.heard > heard)
        await woken(supabase_realtime, told)
        assert told.diary.losses == []


async def test_rows_that_it_may_not_see(supabase_realtime: Project) -> None:
    realtime = supabase_realtime.realtime
    async with up(supabase_realtime) as told:
        UNAUTHORIZED.strike(realtime)
        for times in (2, 3):
            await supabase_realtime.insert()
            await told.connected(times, WITHIN)
        UNAUTHORIZED.mend(realtime)
        assert told.diary.losses == [UNAUTHORIZED.says] * 2
        await woken(supabase_realtime, told)


async def test_a_key_that_is_revoked_and_replaced(supabase_realtime: Project) -> None:
    realtime, keys = supabase_realtime.realtime, supabase_realtime.keys
    known = [keys.add("service_role")]
    async with up(supabase_realtime, key=lambda: known[-1]) as told:
        keys.revoke(known[-1])
        realtime.drop()
        await told.down("the server refuses the key (HTTP 401)")
        refused = realtime.log.count("refused")
        await eventually(lambda: realtime.log.count("refused") > refused + 6)
        assert (told.now.state, told.now.reconnects) == (Link.RECONNECTING, 1)
        known.append(keys.add("service_role"))
        await recovered(supabase_realtime, told)


async def test_a_key_that_is_replaced_before_it_is_revoked(supabase_realtime: Project) -> None:
    realtime, keys = supabase_realtime.realtime, supabase_realtime.keys
    known = [keys.add("service_role")]
    async with up(supabase_realtime, key=lambda: known[-1]) as told:
        known.append(keys.add("service_role"))
        await told.lost("key has changed")
        await recovered(supabase_realtime, told)
        keys.revoke(known[0])
        assert realtime.log.count("refused") == 0


async def test_a_database_that_leaves_its_realtime(supabase_realtime: Project) -> None:
    """Changes are lost, and the channel goes on as if nothing had been."""
    realtime = supabase_realtime.realtime
    async with up(supabase_realtime) as told:
        subscribed, heard = realtime.log.count("subscribed"), told.ear.heard
        with psycopg.connect(supabase_realtime.dsn, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
                " WHERE database = current_database()"
            )
        await eventually(lambda: realtime.log.count("subscribed") > subscribed)
        await eventually(lambda: told.ear.heard > heard)
        await woken(supabase_realtime, told)
        assert told.diary.losses == []


async def test_stopped_while_it_is_away(supabase_realtime: Project) -> None:
    async with up(supabase_realtime) as told:
        supabase_realtime.realtime.outage(math.inf)
        await told.down("cannot connect")


async def test_stopped_while_the_other_end_is_gone(supabase_realtime: Project) -> None:
    async with up(supabase_realtime):
        supabase_realtime.realtime.fall_silent()
