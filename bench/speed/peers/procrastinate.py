"""Procrastinate: jobs in Postgres, woken by NOTIFY."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

from procrastinate import App, PsycopgConnector

from bench.speed.peers import work

app = App(connector=PsycopgConnector(conninfo=work.DSN, min_size=2, max_size=10))
shared: dict[str, Any] = {}


@app.task(name="notify")
async def notify(row: int) -> None:
    await work.notify(shared["pool"], shared["client"], row)


async def worker() -> None:
    shared.update(client=work.novu(), pool=await work.database())
    async with app.open_async():
        await app.run_worker_async(concurrency=work.AT_ONCE)


async def producer() -> None:
    async with app.open_async():
        await app.schema_manager.apply_schema_async()

        async def make(rows: Sequence[int]) -> None:
            await notify.batch_defer_async(*({"row": row} for row in rows))

        await work.produce(make)


if __name__ == "__main__":
    asyncio.run({"worker": worker, "producer": producer}[sys.argv[1]]())
