"""All workers killed at once in the middle of a backlog, as it comes with every bad deployment."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from bench.chaos.plan import STAGES
from bench.chaos.verdict import ROWS, Ledger, ledger
from bench.chaos.world import World, servers, world

DEFAULTS = Path(__file__).parents[1] / "configs" / "xnovu.toml"
SHARE = 0.3
"""Of the backlog that is sent when they are killed."""
AWAY = 2.0
"""Seconds until they are started again."""
PATIENCE = 600.0
"""Seconds until whatever has not ended is stuck."""

INSERT = """
INSERT INTO notify.ent_notification (enterprise_id, notification_workflow_id, recipients, payload)
SELECT format('00000000-0000-4000-8000-%%s', lpad((n %% 3)::text, 12, '0'))::uuid, 'welcome',
       ARRAY[gen_random_uuid()], jsonb_build_object('n', n)
FROM generate_series(1, %s) AS n RETURNING id
"""
REGISTER = """
INSERT INTO notify.ent_notification_workflow (workflow_key, enterprise_id)
SELECT DISTINCT 'welcome', enterprise_id FROM notify.ent_notification
"""
ENDED = """
SELECT percentile_disc(0.9) WITHIN GROUP (ORDER BY processed_at), max(processed_at)
FROM notify.ent_notification WHERE processed_at > %s
"""
SENT = "SELECT count(*) FROM notify.ent_notification WHERE notification_status = 'SENT'"


@dataclass(frozen=True, slots=True)
class Killed:
    """How it went: ``seconds`` from the kill to the last row's end, ``most`` to nine in ten."""

    rows: int
    sent_before: int
    seconds: float
    most: float
    found: Ledger
    repeats: int

    def told(self) -> str:
        counts = {
            "notified twice": self.found.doubled,
            "lost": self.found.lost,
            "stuck": self.found.stuck,
            "wrong end": self.found.wrong,
        }
        told = ", ".join(f"{len(each)} {name}" for name, each in counts.items())
        return (
            f"{self.rows} rows, all workers killed when {self.sent_before} were SENT and started"
            f" again after {AWAY:g} s: {told}; nine of ten of the rest ended {self.most:.1f} s"
            f" after the kill, the last {self.seconds:.1f} s"
        )


async def run(rows: int) -> Killed:
    """Each stage in a process of its own, trigger in two, with the settings as they are shipped."""
    stages = tuple((stage,) for stage in (*STAGES, "trigger"))
    async with servers() as shared, world(shared, "killed", stages, DEFAULTS) as around:
        wanted = dict.fromkeys(_insert(around, rows), "welcome")
        await asyncio.to_thread(around.fleet.provision)
        around.fleet.start()
        sent = await _until(around, lambda sent: sent >= SHARE * rows)
        around.fleet.stop()
        killed = datetime.now(UTC)
        await asyncio.sleep(AWAY)
        around.fleet.start()
        await _until(around, lambda sent: sent == rows)
        with psycopg.connect(around.dsn) as connection:
            found = ledger(connection.execute(ROWS).fetchall(), wanted, around.novu)
            [(most, last)] = connection.execute(ENDED, [killed]).fetchall()
        around.fleet.stop()
    since = [(each - killed).total_seconds() for each in (last, most)]
    return Killed(rows, sent, *since, found, len(found.repeats))


def _insert(around: World, rows: int) -> list[int]:
    with psycopg.connect(around.dsn, autocommit=True) as connection:
        numbers = [number for (number,) in connection.execute(INSERT, [rows]).fetchall()]
        connection.execute(REGISTER)
    return numbers


async def _until(around: World, reached: Callable[[int], bool]) -> int:
    """How many were sent by then, or when patience was at its end."""
    sent, until = 0, time.monotonic() + PATIENCE
    connection = await psycopg.AsyncConnection.connect(around.dsn, autocommit=True)
    async with connection:
        while not reached(sent) and time.monotonic() < until:
            await asyncio.sleep(0.1)
            cursor = await connection.execute(SENT)
            [(sent,)] = await cursor.fetchall()
    return sent
