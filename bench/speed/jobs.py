"""The jobs: a backlog, a steady pace, and some enterprises' rows beside another's backlog."""

import asyncio
import gc
import itertools
import statistics
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg

from bench.speed.contenders import Contender
from bench.speed.ground import Ground, ballast, enterprise, insert, register
from bench.speed.processes import at_rest, cpu_seconds, freeze, peak_memory, thaw

PATIENCE = 200.0
WARM_UP = 200
BURST = 0.1
"""Seconds between two inserts of a steady pace; the rows of one have one time."""
LIGHT = 10
"""Enterprises with one row a second each: so many rows a second, and no one's before the last's."""

# As the indexes have it: with a large table, looking is not to cost more than what is measured.
OPEN = """
SELECT (SELECT count(*) FROM notify.ent_notification WHERE notification_status = 'PENDING'
        AND (scheduled_for IS NULL OR armed_for = scheduled_for))
     + (SELECT count(*) FROM notify.ent_notification WHERE notification_status = 'PROCESSING')
"""
LATENCIES = """
SELECT extract(epoch FROM processed_at - created_at)::float FROM notify.ent_notification
WHERE notification_status = 'SENT' AND id > %(before)s
  AND enterprise_id IS DISTINCT FROM %(other)s::uuid
"""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Rows/s from the insert's commit to the last end; CPU seconds per 1,000 rows; MB at most."""

    rate: float
    cpu: float
    memory: float


@dataclass(frozen=True, slots=True)
class Latency:
    """From insert to SENT, in milliseconds."""

    p50: float
    p99: float


class Unfinished(Exception):
    """The work was not done, or not as it should be."""


async def backlog(
    ground: Ground, contender: Contender, rows: int, enterprises: int = 6, settled: int = 0
) -> Backlog:
    """All rows are there, beside so many that are SENT; then the workers are let go."""
    async with at_work(contender, enterprises) as connection:
        ballast(connection, settled)
        workers = contender.processes()
        used, known = cpu_seconds(workers), ground.novu.ledger.totals.accepted
        freeze(workers)
        await contender.inserted(insert(connection, rows, enterprises))
        [(began,)] = connection.execute("SELECT clock_timestamp()").fetchall()
        thaw({*workers, *contender.processes()})
        await until(lambda: waiting(connection) == 0)
        took = ended(connection, began)
        used, memory = cpu_seconds(workers) - used, peak_memory(workers)
        check(ground, rows, known)
    return Backlog(rows / took, used / rows * 1000, memory)


async def paced(ground: Ground, contender: Contender, rate: int, seconds: float) -> Latency:
    """So many rows a second, a tenth of a second's at a time."""
    async with at_work(contender, 6) as connection:
        known, rows = ground.novu.ledger.totals.accepted, round(rate * BURST)
        before = last(connection)

        async def some() -> None:
            await contender.inserted(await asyncio.to_thread(insert, connection, rows, 6))

        await at_intervals(bursts := int(seconds / BURST), some)
        await until(lambda: waiting(connection) == 0)
        check(ground, bursts * rows, known)
        return latency(latencies(connection, before))


async def beside(contender: Contender, rows: int, seconds: float, burst: int = 0) -> Latency:
    """
    Ten enterprises' rows, one a second each, while another has so many rows waiting.

    So many of these go out first, as fast as can be: what a rate limit lets through at once.
    """
    async with at_work(contender, 1 + LIGHT) as connection:
        before = last(connection)
        if rows:
            insert(connection, rows, 1, first=0)
            await until(lambda: waiting(connection) < rows - burst)

        turns = itertools.cycle(range(1, 1 + LIGHT))

        async def one() -> None:
            await asyncio.to_thread(insert, connection, 1, 1, next(turns))

        await at_intervals(wanted := int(seconds / BURST), one)
        if rows and not waiting(connection):
            raise Unfinished("the backlog was done before the other's rows: take more of it")
        await until(lambda: len(latencies(connection, before, enterprise(0))) == wanted)
        return latency(latencies(connection, before, enterprise(0)))


@asynccontextmanager
async def at_work(contender: Contender, enterprises: int) -> AsyncGenerator[psycopg.Connection]:
    """Its workers have done some rows and wait for more."""
    register(contender.dsn, enterprises)
    try:
        await contender.start()
        with psycopg.connect(contender.dsn, autocommit=True) as connection:
            await contender.inserted(insert(connection, WARM_UP, enterprises))
            await until(lambda: waiting(connection) == 0)
            connection.execute("VACUUM ANALYZE")
            await at_rest(contender.processes())
            gc.collect()
            gc.freeze()  # the local Novu answers from here, and is not to stop for that
            yield connection
    finally:
        contender.stop()


async def at_intervals(times: int, act: Callable[[], Awaitable[None]]) -> None:
    began = time.perf_counter()
    for number in range(times):
        await asyncio.sleep(max(0.0, began + number * BURST - time.perf_counter()))
        await act()


def ended(connection: psycopg.Connection, began: datetime) -> float:
    """Seconds until the last row was SENT, by the database's own clock."""
    query = "SELECT max(processed_at) FROM notify.ent_notification"
    [(ended,)] = connection.execute(query).fetchall()
    return (ended - began).total_seconds()


def last(connection: psycopg.Connection) -> int:
    [(last,)] = connection.execute("SELECT max(id) FROM notify.ent_notification").fetchall()
    return last


async def until(done: Callable[[], bool]) -> None:
    """Looks so seldom that it is no work for Postgres."""
    until = time.perf_counter() + PATIENCE
    while (began := time.perf_counter()) < until:
        if await asyncio.to_thread(done):
            return
        await asyncio.sleep(max(0.05, 30 * (time.perf_counter() - began)))
    raise Unfinished(f"not done within {PATIENCE:g} s")


def waiting(connection: psycopg.Connection) -> int:
    [(count,)] = connection.execute(OPEN).fetchall()
    return count


def latencies(
    connection: psycopg.Connection, before: int, other: UUID | None = None
) -> Sequence[float]:
    """How long each row after that one took, in seconds; of all enterprises but that one."""
    rows = connection.execute(LATENCIES, {"other": other, "before": before}).fetchall()
    return [seconds for (seconds,) in rows]


def check(ground: Ground, rows: int, known: int) -> None:
    """Each row was accepted by Novu once."""
    accepted = ground.novu.ledger.totals.accepted - known
    if accepted != rows or ground.novu.ledger.doubled():
        raise Unfinished(f"Novu has accepted {accepted} calls for {rows} rows")


def latency(seconds: Sequence[float]) -> Latency:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")  # none beyond the slowest
    return Latency(cuts[49] * 1000, cuts[98] * 1000)
