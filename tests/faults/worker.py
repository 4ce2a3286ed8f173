"""
A process that some messages kill: ``python -m tests.faults.worker`` with a Job as JSON.

Every line of its output is one call of a handler: its mailbox and the numbers it was given. What
kills the process does so at once, with everything else that it has in hand.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.envelope import Envelope
from xnovu.events import KINDS
from xnovu.policy import Done, Policy, Result
from xnovu.stage import Actor


class Job(BaseModel):
    """Which mailboxes to serve (name: kinds), how, and what kills the process."""

    options: NatsOptions
    mailboxes: dict[str, list[str]]
    batch: int = 20
    slots: int = 2
    attempts: int = 8
    poison: list[int] = []
    mailbox: str = "hydrate"

    @property
    def policy(self) -> Policy:
        return Policy(batch=self.batch, slots=self.slots, linger=0.01, attempts=self.attempts)


class Fragile:
    """A stage in which nothing happens, except to those who meet poison."""

    def __init__(self, job: Job, name: str) -> None:
        self.name = name
        self.accepts = tuple(KINDS[kind] for kind in job.mailboxes[name])
        self._poison = set(job.poison) if name == job.mailbox else set[int]()

    async def handle(self, batch: Sequence[Envelope[Any]]) -> Sequence[Result]:
        numbers = [envelope.event.notification_id for envelope in batch]
        sys.stdout.write(f"{self.name} {' '.join(map(str, numbers))}\n")
        sys.stdout.flush()
        if self._poison.intersection(numbers):
            os._exit(9)
        await asyncio.sleep(0.005)
        return [Done()] * len(batch)


async def work(job: Job) -> None:
    transport = NatsTransport(job.options)
    for name, kinds in job.mailboxes.items():
        actor = Actor(Fragile(job, name), job.policy, transport)
        transport.subscribe(name, kinds, job.policy, actor)
    await transport.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(Job.model_validate_json(sys.argv[1])))
