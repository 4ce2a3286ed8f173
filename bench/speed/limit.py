"""
The limit program: the least that can do the work. One process claims, sends in bulks, updates.

It keeps nothing between the steps: killed, it loses or doubles what it has in hand. Nothing that
goes through Postgres and Novu's API can be faster; it tells what durability costs.
"""

import asyncio
import json
import os
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

BATCH = 100
AT_ONCE = 8
IDLE = 0.002

CLAIM = """
WITH due AS (
    SELECT id FROM notify.ent_notification WHERE notification_status = 'PENDING'
    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
UPDATE notify.ent_notification n SET notification_status = 'PROCESSING', claims = 1,
    transaction_id = gen_random_uuid()::text
FROM due WHERE n.id = due.id
RETURNING n.id, n.notification_workflow_id, n.recipients, n.payload, n.transaction_id
"""
SENT = """
UPDATE notify.ent_notification SET notification_status = 'SENT', processed_at = now()
WHERE id = ANY(%s)
"""
LEAN = "ALTER TABLE notify.ent_notification DISABLE TRIGGER USER"
INDEX = """
CREATE INDEX ON notify.ent_notification (id) WHERE notification_status = 'PENDING'
"""


async def main() -> None:
    """Until it is killed."""
    dsn, url = os.environ["BENCH_DSN"], os.environ["BENCH_NOVU"]
    headers = {"Authorization": "ApiKey local"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as novu:
        await asyncio.gather(*(_work(dsn, novu) for _ in range(AT_ONCE)))


async def _work(dsn: str, novu: httpx.AsyncClient) -> None:
    connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True, row_factory=dict_row)
    async with connection:
        while True:
            rows = await (await connection.execute(CLAIM, [BATCH])).fetchall()
            if not rows:
                await asyncio.sleep(IDLE)
                continue
            body = json.dumps({"events": [_event(row) for row in rows]})
            await novu.post("/v1/events/trigger/bulk", content=body, headers=JSON)
            await connection.execute(SENT, [[row["id"] for row in rows]])


JSON = {"Content-Type": "application/json"}


def _event(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": row["notification_workflow_id"],
        "to": [str(recipient) for recipient in row["recipients"]],
        "payload": row["payload"],
        "transactionId": row["transaction_id"],
    }


if __name__ == "__main__":
    asyncio.run(main())
