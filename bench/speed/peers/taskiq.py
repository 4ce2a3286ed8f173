"""taskiq on NATS JetStream, with acknowledgement after the work and durable on disk."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

from taskiq import TaskiqEvents
from taskiq.__main__ import main
from taskiq_nats import PullBasedJetStreamBroker

from bench.speed.peers import work

broker = PullBasedJetStreamBroker(
    [work.NATS],
    subject=f"{work.NAME}.tasks",
    stream_name=f"{work.NAME}_tasks",
    durable=f"{work.NAME}_tasks",
    pull_consume_batch=work.AT_ONCE,
    pull_consume_timeout=0.1,
)
shared: dict[str, Any] = {}


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def start(_: object) -> None:
    shared.update(client=work.novu(), pool=await work.database())


@broker.task(task_name="notify")
async def notify(row: int) -> None:
    await work.notify(shared["pool"], shared["client"], row)


def worker() -> None:
    """The broker's own command, as its users run it: it brings back workers that die."""
    sys.argv[1:] = ["worker", f"{__spec__.name}:broker", "--workers", "2", "--log-level", "ERROR"]
    sys.argv += ["--max-async-tasks", str(work.AT_ONCE), "--ack-type", "when_executed"]
    main()


async def producer() -> None:
    await broker.startup()

    async def make(rows: Sequence[int]) -> None:
        await asyncio.gather(*(notify.kiq(row) for row in rows))

    await work.produce(make)


if __name__ == "__main__":
    worker() if sys.argv[1] == "worker" else asyncio.run(producer())
