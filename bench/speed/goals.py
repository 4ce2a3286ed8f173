"""What else is promised: shares, priorities, limits, scaling, memory, and what idling costs."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg

from bench.speed.contenders import STAGES, Contender, XNovu
from bench.speed.ground import Ground, enterprise, insert
from bench.speed.jobs import (
    BURST,
    Latency,
    Unfinished,
    at_intervals,
    at_work,
    last,
    latencies,
    latency,
    until,
    waiting,
)
from bench.speed.processes import cpu_seconds, named, peak_memory

PLAIN = """
DROP INDEX notify.ent_notification_xnovu_ready;
CREATE INDEX ON notify.ent_notification (id)
    WHERE notification_status = 'PENDING' AND (scheduled_for IS NULL OR armed_for = scheduled_for);
CREATE OR REPLACE FUNCTION notify.claim(
    max_rows int, lease_seconds double precision, token uuid DEFAULT NULL,
    of_enterprise text DEFAULT NULL, after text DEFAULT NULL, idle_only boolean DEFAULT false)
RETURNS TABLE (id bigint, enterprise_id text, generation int, claims int, transaction_id text,
               expires_at timestamptz, claimed_before boolean, express boolean)
LANGUAGE sql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    UPDATE notify.ent_notification n
    SET notification_status = 'PROCESSING', claims = n.claims + 1, claim_token = claim.token,
        claimed_until = now() + make_interval(secs => claim.lease_seconds),
        transaction_id = notify.xnovu_transaction_id(n), updated_at = now()
    FROM (SELECT r.id FROM notify.ent_notification r
          WHERE r.notification_status = 'PENDING' AND NOT claim.idle_only
            AND (r.scheduled_for IS NULL OR r.armed_for = r.scheduled_for)
          ORDER BY r.id LIMIT claim.max_rows FOR UPDATE SKIP LOCKED) AS due
    WHERE n.id = due.id
    RETURNING n.id, n.enterprise_id::text, n.generation, n.claims, n.transaction_id,
              n.expires_at, false, false
$$;
"""
"""A claim in one order of all rows: what there is without fairness."""

SENT = """
SELECT enterprise_id FROM notify.ent_notification
WHERE id > %s AND processed_at IS NOT NULL ORDER BY processed_at OFFSET %s LIMIT %s
"""


class Unfair(XNovu):
    """As it is shipped, but first come, first served among all rows."""

    async def start(self) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(PLAIN)
        await super().start()


@dataclass(frozen=True, slots=True)
class Idle:
    """Percent of a core that the workers, Postgres and NATS use while there is nothing to do."""

    workers: float
    postgres: float
    nats: float


async def idle(contender: Contender, seconds: float) -> Idle:
    """An installation that waits, ``seconds`` long."""
    async with at_work(contender, 1):
        each = (contender.processes(), named("postgres"), named("nats-server"))
        before = [cpu_seconds(processes) for processes in each]
        await asyncio.sleep(seconds)
        used = [cpu_seconds(processes) for processes in each]
    return Idle(*(100 * max(b - a, 0) / seconds for a, b in zip(before, used, strict=True)))


async def memory(contender: Contender, rows: int, until_sent: int) -> Sequence[float]:
    """MB at most of each stage, with so many rows waiting, once some of them are sent."""
    async with at_work(contender, 6) as connection:
        insert(connection, rows, 6)
        await until(lambda: waiting(connection) < rows - until_sent)
        return [peak_memory([each]) for each in contender.processes()]


async def shares(contender: Contender, weights: Sequence[int], rows: int) -> Sequence[float]:
    """Which part of what was sent is whose, while all have a backlog."""
    async with at_work(contender, len(weights)) as connection:
        for number, weight in enumerate(weights):
            connection.execute(
                "SELECT notify.limit_enterprise(%s, jsonb_build_object('weight', %s::int))",
                [str(enterprise(number)), weight],
            )
        before = last(connection)
        insert(connection, rows, len(weights))
        some = rows // len(weights)  # nobody's is used up by then
        await until(lambda: waiting(connection) < rows - some)
        found = connection.execute(SENT, [before, some // 10, some - some // 10]).fetchall()
    counted = Counter(whose for (whose,) in found)
    return [counted[enterprise(number)] / len(found) for number in range(len(weights))]


async def overtaking(contender: Contender, rows: int, seconds: float, burst: int = 0) -> Latency:
    """Ten rows a second of high priority, in front of a backlog of their own enterprise."""
    async with at_work(contender, 1) as connection:
        insert(connection, rows)
        await until(lambda: waiting(connection) < rows - burst)
        before = last(connection)
        ids: list[int] = []

        async def one() -> None:
            ids.extend(await asyncio.to_thread(insert, connection, 1, 1, 0, 1))

        await at_intervals(int(seconds / BURST), one)
        await until(lambda: len(latencies(connection, before)) == len(ids))
        if not waiting(connection):
            raise Unfinished("the backlog was done before them: take more rows")
        return latency(latencies(connection, before))


def triggers(ground: Ground, count: int, settings: Mapping[str, str] | None = None) -> XNovu:
    """The stages, so many of them trigger's."""
    others = [stage for stage in STAGES if stage != ("trigger",)]
    return XNovu(ground, [*others, *[("trigger",)] * count], settings)


async def scaled(ground: Ground, count: int, rows: int) -> float:
    """Rows a second through so many trigger processes, without bulk."""
    contender = triggers(ground, count, {"XNOVU_PROVIDER__BULK": "never"})
    async with at_work(contender, 6) as connection:
        insert(connection, rows, 6)
        began = time.perf_counter()
        await until(lambda: waiting(connection) == 0)
        return rows / (time.perf_counter() - began)


@dataclass(frozen=True, slots=True)
class Used:
    """Which part of the limit's tokens was used in a steady run; how often Novu said 429."""

    part: float
    refused: int


async def limited(ground: Ground, count: int, rate: float, seconds: float) -> Used:
    """So many trigger processes with a backlog, at Novu's limit (tokens a second)."""
    totals = ground.novu.ledger.totals
    burst = round(rate * 7.5)  # and what comes while it goes out
    rows = burst + round(rate * seconds)
    async with at_work(triggers(ground, count), 6) as connection:
        accepted, refused = totals.accepted, totals.asked - totals.accepted
        insert(connection, rows + round(10 * rate), 6)  # so that nobody runs out of them
        await until(lambda: totals.accepted - accepted >= burst)
        began, start = time.perf_counter(), totals.accepted
        await until(lambda: totals.accepted - start >= rate * seconds)  # from bulk to bulk
        part = (totals.accepted - start) / (time.perf_counter() - began) / rate
        await until(lambda: waiting(connection) == 0)
        return Used(part, totals.asked - totals.accepted - refused)
