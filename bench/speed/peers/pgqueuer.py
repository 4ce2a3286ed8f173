"""PgQueuer: jobs in Postgres, woken by NOTIFY."""

import asyncio
import sys
from collections.abc import Sequence

from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from bench.speed.peers import work


async def worker() -> None:
    client, pool = work.novu(), await work.database()
    queue = PgQueuer.from_asyncpg_pool(pool)

    @queue.entrypoint("notify")
    async def notify(job: Job) -> None:
        await work.notify(pool, client, int(job.payload or 0))

    await queue.run(batch_size=work.AT_ONCE)


async def producer() -> None:
    queries = Queries(AsyncpgPoolDriver(await work.database()))
    await queries.install()

    async def make(rows: Sequence[int]) -> None:
        payloads: list[bytes | None] = [str(row).encode() for row in rows]
        await queries.enqueue(["notify"] * len(rows), payloads, [0] * len(rows))

    await work.produce(make)


if __name__ == "__main__":
    asyncio.run({"worker": worker, "producer": producer}[sys.argv[1]]())
