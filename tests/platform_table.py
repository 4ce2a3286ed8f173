"""What a platform does with its table, as fast as it likes; and what became of all its rows."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from tests.conftest import eventually
from tests.integration.pipeline import ACME
from xnovu_local.novu import LocalNovu

INSERT = """
INSERT INTO notify.ent_notification
    (enterprise_id, notification_workflow_id, recipients, payload)
SELECT (%s::uuid[])[1 + n %% %s], 'welcome', ARRAY[gen_random_uuid()], '{}'
FROM generate_series(0, %s - 1) AS n
"""
UNFINISHED = """
SELECT EXISTS (SELECT FROM notify.ent_notification WHERE notification_status = 'PENDING')
    OR EXISTS (SELECT FROM notify.ent_notification WHERE notification_status = 'PROCESSING')
"""
STATES = "SELECT notification_status::text, count(*) FROM notify.ent_notification GROUP BY 1"
TRANSACTIONS = "SELECT transaction_id::text FROM notify.ent_notification"
AT_ONCE = 50
"""Rows under way while there is load."""


@dataclass(slots=True)
class Platform:
    """A connection of its own to the database, and the book of what Novu was asked."""

    database: psycopg.Connection
    novu: LocalNovu

    def insert(self, count: int = 5, enterprises: Sequence[UUID] = (ACME,)) -> None:
        """So many rows in one statement, shared out among the enterprises."""
        self.database.execute(INSERT, [list(enterprises), len(enterprises), count])

    def states(self) -> dict[str, int]:
        return dict(self.database.execute(STATES).fetchall())

    def sent(self) -> int:
        return self.states().get("SENT", 0)

    async def all_sent(self, within: float) -> None:
        await eventually(lambda: not self._value(UNFINISHED), within)
        assert self.states().keys() == {"SENT"}

    async def goes_on(self, rows: int = 20, within: float = 20.0) -> None:
        """So many more rows are sent."""
        before = self.sent()
        await eventually(lambda: self.sent() >= before + rows, within)

    @asynccontextmanager
    async def under_load(self) -> AsyncIterator[None]:
        """While this lasts rows keep coming, as fast as they are sent."""
        over = asyncio.Event()

        def wanted() -> bool:
            states = self.states()
            return over.is_set() or sum(states.values()) - states.get("SENT", 0) < AT_ONCE

        async def come() -> None:
            while not over.is_set():
                self.insert()
                await eventually(wanted, within=120)

        coming = asyncio.create_task(come())
        try:
            yield
        finally:
            over.set()
            await coming

    def now(self) -> datetime:
        """By the database's clock."""
        return self._value("SELECT clock_timestamp()")

    def last_sent(self) -> datetime:
        return self._value("SELECT max(processed_at) FROM notify.ent_notification")

    def each_exactly_once(self) -> None:
        """All rows are SENT; Novu took each and told its person, and neither of them again."""
        assert self.states().keys() == {"SENT"}
        transactions = [one for (one,) in self.database.execute(TRANSACTIONS)]
        ledger = self.novu.ledger
        entries = [ledger.find(transaction) for transaction in transactions]
        assert {(one.accepted, one.notified) if one else None for one in entries} == {(1, 1)}
        assert ledger.totals.accepted == ledger.totals.notified == len(transactions)
        assert ledger.doubled() == []

    def _value(self, query: str) -> Any:
        [(value,)] = self.database.execute(query.encode()).fetchall()
        return value
