"""Celery with Postgres as its broker, which is what it has where there is no Redis or RabbitMQ."""

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Any

import httpx
import psycopg
from celery import Celery
from celery.signals import worker_process_init
from psycopg.rows import dict_row

from bench.speed.peers import work

PROCESSES = 16
URL = work.DSN.replace("postgresql://", "sqla+postgresql+psycopg://", 1)

app = Celery("bench", broker=URL)
app.conf.update(task_acks_late=True, task_ignore_result=True, worker_prefetch_multiplier=4)
shared: dict[str, Any] = {}


@worker_process_init.connect
def start(**_: object) -> None:
    shared["database"] = psycopg.connect(work.DSN, autocommit=True, row_factory=dict_row)
    shared["client"] = httpx.Client(base_url=os.environ["BENCH_NOVU"], headers=work.HEADERS)


@app.task(name="notify")
def notify(row: int) -> None:
    database = shared["database"]
    if found := database.execute(work.READ.replace("$1", "%s"), [row]).fetchone():
        answer = shared["client"].post(work.TRIGGER, json=work.event(found, found["payload"]))
        answer.raise_for_status()
        database.execute(work.SENT.replace("$1", "%s"), [row])


def worker() -> None:
    app.worker_main(["worker", f"--concurrency={PROCESSES}", "--loglevel=ERROR"])


def producer() -> None:
    async def make(rows: Sequence[int]) -> None:
        with app.producer_pool.acquire(block=True) as its:
            for row in rows:
                notify.apply_async((row,), producer=its)

    asyncio.run(work.produce(make))


if __name__ == "__main__":
    {"worker": worker, "producer": producer}[sys.argv[1]]()
