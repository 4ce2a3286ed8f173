"""What every peer's job does, and where it finds its servers."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

import aiohttp
import asyncpg

DSN = os.environ.get("BENCH_DSN", "")
NATS = os.environ.get("BENCH_NATS", "")
NAME = os.environ.get("BENCH_NAME", "bench")
AT_ONCE = 100
"""Jobs that a worker process has in hand; what this machine gets the highest rates with."""
HEADERS = {"Authorization": "ApiKey local"}
TRIGGER = "/v1/events/trigger"

READ = """
SELECT notification_workflow_id AS name, recipients, payload, transaction_id
FROM notify.ent_notification WHERE id = $1 AND notification_status = 'PENDING'
"""
SENT = """
UPDATE notify.ent_notification SET notification_status = 'SENT', processed_at = now() WHERE id = $1
"""


def novu() -> aiohttp.ClientSession:
    """aiohttp: at a hundred requests at once httpx takes several times its CPU."""
    return aiohttp.ClientSession(os.environ["BENCH_NOVU"], headers=HEADERS)


async def database() -> asyncpg.Pool:
    return cast("asyncpg.Pool", await asyncpg.create_pool(DSN, min_size=10, max_size=10))


async def notify(pool: asyncpg.Pool, client: aiohttp.ClientSession, row: int) -> None:
    """One job."""
    if found := await pool.fetchrow(READ, row):
        body = event(found, json.loads(found["payload"]))
        async with client.post(TRIGGER, json=body) as answer:
            answer.raise_for_status()
            await answer.read()
        await pool.execute(SENT, row)


def event(row: Mapping[str, Any], payload: object) -> dict[str, object]:
    """The request's body."""
    return {
        "name": row["name"],
        "to": [str(recipient) for recipient in row["recipients"]],
        "payload": payload,
        "transactionId": row["transaction_id"],
    }


async def produce(make: Callable[[Sequence[int]], Awaitable[object]]) -> None:
    """Make the jobs of each line that comes in."""
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        await make(json.loads(line))
        print("made", flush=True)
