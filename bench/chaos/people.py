"""What goes on meanwhile: rows are inserted, taken back, and sent again."""

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID, uuid5

import psycopg
from psycopg.types.json import Jsonb

from bench.chaos.plan import SECONDS, Plan
from bench.chaos.world import World

ENTERPRISES = tuple(UUID(int=n, version=4) for n in (1, 2, 3))
BURSTS = 15
MANY = 130
"""Recipients of a row that is sent in parts."""

INSERT = """
INSERT INTO notify.ent_notification
    (name, enterprise_id, notification_workflow_id, recipients, payload, scheduled_for, expires_at)
VALUES (%s, %s, %s, %s, %s, now() + make_interval(secs => %s), now() + make_interval(secs => %s))
RETURNING id
"""
REGISTER = """
INSERT INTO notify.ent_notification_workflow (workflow_key, enterprise_id) VALUES (%s, %s)
"""
RETRACT = """
UPDATE notify.ent_notification SET notification_status = 'RETRACTED', retraction_reason = 'chaos'
WHERE id = %s AND notification_status <> 'RETRACTED'
"""
REDRIVE = """
SELECT count(*) FROM notify.redrive((
    SELECT jsonb_agg(jsonb_build_object(
        'id', id, 'enterprise_id', enterprise_id, 'generation', generation))
    FROM notify.ent_notification
    WHERE notification_status = 'FAILED' AND notification_workflow_id = 'later'))
"""


@dataclass(slots=True)
class People:
    """The platform, its users and an operator; what they wanted is in ``wanted``, by row."""

    world: World
    plan: Plan
    chance: Random
    wanted: dict[int, str] = field(default_factory=dict[int, str])
    retracted: int = 0
    redriven: int = 0
    _connection: psycopg.AsyncConnection[Any] | None = None

    async def prepare(self) -> None:
        """The workflow `later` is not registered before all is over: its rows fail till then."""
        for enterprise in ENTERPRISES:
            await self.do(REGISTER, "welcome", enterprise)

    async def insert_all(self) -> None:
        """Burst by burst, as long as things go wrong."""
        rows = [self._row(n) for n in range(self.plan.rows)]
        size = -(-len(rows) // BURSTS)
        clock = asyncio.get_running_loop()
        began = clock.time()
        for burst in range(BURSTS):
            for name, values in rows[burst * size : (burst + 1) * size]:
                [(number,)] = await self.do(INSERT, name, *values)
                self.wanted[number] = name
            await self._retract_some()
            await asyncio.sleep(began + (burst + 1) * SECONDS / BURSTS - clock.time())

    async def send_again(self) -> None:
        """The operator has registered the missing workflow, and sends again what failed for it."""
        for enterprise in ENTERPRISES:
            await self.do(REGISTER, "later", enterprise)

    async def redrive(self) -> None:
        [(count,)] = await self.do(REDRIVE)
        self.redriven += count

    async def do(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """One statement in a transaction of its own, again and again until the database has it."""
        while True:
            try:
                async with asyncio.timeout(5):
                    return await self._once(query, values)
            except (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction, TimeoutError):
                await self.leave()
                await asyncio.sleep(0.05)

    async def leave(self) -> None:
        """Hang up; the next statement connects anew."""
        connection, self._connection = self._connection, None
        if connection:
            await connection.close()

    async def _once(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        self._connection = self._connection or await psycopg.AsyncConnection.connect(
            self.world.dsn, autocommit=True, connect_timeout=5
        )
        cursor = await self._connection.execute(query, values)
        return await cursor.fetchall() if cursor.description else []

    async def _retract_some(self) -> None:
        for number in self.chance.sample(sorted(self.wanted), k=min(2, len(self.wanted))):
            if self.wanted[number] == "welcome" and self.chance.random() < 0.5:
                await self.do(RETRACT, number)
                self.wanted[number] = "retracted"
                self.retracted += 1

    def _row(self, number: int) -> tuple[str, tuple[Any, ...]]:
        name = self.chance.choices(
            ("welcome", "later", "many", "scheduled", "expiring", "bad"), (85, 5, 1, 3, 3, 3)
        )[0]
        enterprise = self.chance.choice(ENTERPRISES)
        recipients = [
            uuid5(enterprise, f"{self.plan.seed}/{number}/{n}")
            for n in range(MANY if name == "many" else 1)
        ]
        workflow = "later" if name == "later" else "welcome"
        later = self.chance.uniform(0.5, 3.0) if name == "scheduled" else None
        until = self.chance.uniform(0.5, 3.0) if name == "expiring" else None
        payload = Jsonb([number] if name == "bad" else {"n": number})
        return name, (enterprise, workflow, recipients, payload, later, until)
