"""Workers die of a message. It alone is given up, and nobody else is lost or given up with it."""

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.builders import captured, namespace
from tests.conftest import eventually
from tests.faults.worker import Job
from tests.integration.test_pull_loop import publish_all, publishing
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.envelope import decode
from xnovu.events import Rejected
from xnovu.policy import Done, Fate, Policy
from xnovu.ports import Delivery
from xnovu_local.nats import EmbeddedNats

ROOT = Path(__file__).parents[2]
PIPELINE = {"hydrate": ["ingest"], "trigger": ["ingest"]}
LEASE = 1.0


@dataclass
class Crew:
    """Workers that are started again whenever they die, and what each call was given."""

    job: Job
    calls: list[list[str]] = field(default_factory=list[list[str]])
    deaths: int = 0

    async def serve(self) -> None:
        while True:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.faults.worker", self.job.model_dump_json()),
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
            )
            try:
                await self._watch(process)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
            self.deaths += 1

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout
        while line := await process.stdout.readline():
            self.calls.append(line.decode().split())

    def handled(self, mailbox: str) -> Counter[int]:
        return Counter(int(n) for name, *numbers in self.calls for n in numbers if name == mailbox)


@asynccontextmanager
async def at_work(job: Job, processes: int = 1) -> AsyncIterator[Crew]:
    crew = Crew(job)
    tasks = [asyncio.create_task(crew.serve()) for _ in range(processes)]
    try:
        yield crew
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Graveyard:
    """Reads the dead letters."""

    def __init__(self) -> None:
        self.letters: list[Rejected] = []

    async def __call__(self, deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        for one in deliveries:
            event = decode(one.headers, one.body).event
            assert isinstance(event, Rejected)
            self.letters.append(event)
        return [Done()] * len(deliveries)

    @property
    def dead(self) -> list[tuple[int, str, str]]:
        return sorted(
            (each.notification_id, each.failure.stage, each.failure.code) for each in self.letters
        )


@pytest.fixture
def options(nats_server: EmbeddedNats) -> NatsOptions:
    return NatsOptions(url=nats_server.url, lease=LEASE, **namespace())


async def prepared(job: Job, count: int) -> None:
    await provision(
        job.options.url, job.options, {n: (k, job.policy) for n, k in job.mailboxes.items()}
    )
    async with publishing(job.options) as publisher:
        await publish_all(publisher, [captured(n) for n in range(count)])


@asynccontextmanager
async def watching(options: NatsOptions) -> AsyncIterator[tuple[NatsTransport, Graveyard]]:
    transport, graveyard = NatsTransport(options), Graveyard()
    transport.subscribe("grave", ["dead"], Policy(slots=1), graveyard)
    await transport.start()
    try:
        yield transport, graveyard
    finally:
        await transport.stop()


async def settled(transport: NatsTransport, mailboxes: Sequence[str], within: float) -> None:
    async def none_waiting() -> bool:
        return (await transport.backlog(mailboxes)).unsettled == 0

    await eventually(none_waiting, within=within)


async def test_of_those_in_hand_only_the_killers_are_given_up(options: NatsOptions):
    """Two stages in one process, several slots each: all of that dies together, again and again."""
    poison = [3, 7, 50]
    job = Job(options=options, mailboxes=PIPELINE, poison=poison, batch=20, slots=3)
    await prepared(job, 100)
    async with watching(options) as (transport, graveyard), at_work(job) as crew:
        await settled(transport, list(PIPELINE), within=240)
        await eventually(lambda: len(graveyard.letters) == len(poison))
    assert graveyard.dead == [(n, "hydrate", "crashed") for n in poison]
    assert set(crew.handled("hydrate")) == set(crew.handled("trigger")) == set(range(100))
