"""What a transport is tested with."""

import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from xnovu.envelope import decode
from xnovu.policy import Done, Fate, Policy
from xnovu.ports import Delivery, Handler, Transport
from xnovu.testing.builders import captured
from xnovu.testing.waiting import eventually

LEASE = 1.0
"""Seconds: short, so that what outlives a lease can be seen to."""


POLICY = Policy(batch=10, linger=0.02, slots=1, timeout=5.0, attempts=20)
MARKER = 999
"""A message published last: once it is there, what was to come before it has come."""

Answer = Callable[[int, int], Fate]


class Recorder:
    """A handler that answers what the test tells it to, and remembers (number, attempt)."""

    def __init__(self, answer: Answer = lambda number, attempt: Done()) -> None:
        self.seen: list[tuple[int, int]] = []
        self.batches: list[int] = []
        self._answer = answer

    async def __call__(self, deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        arrived = [(number(delivery), delivery.attempt) for delivery in deliveries]
        self.seen += arrived
        self.batches.append(len(deliveries))
        return [self._answer(*one) for one in arrived]

    @property
    def marked(self) -> bool:
        return any(number == MARKER for number, _ in self.seen)

    @property
    def counts(self) -> dict[int, int]:
        return dict(Counter(number for number, _ in self.seen if number != MARKER))


def number(delivery: Delivery) -> int:
    """Of which notification it is."""
    return decode(delivery.headers, delivery.body).event.notification_id


@asynccontextmanager
async def running(
    transport: Transport, mailbox: str, handler: Handler, policy: Policy = POLICY
) -> AsyncGenerator[None]:
    """Have the transport at work, with one mailbox."""
    transport.subscribe(mailbox, ["ingest"], policy, handler)
    await transport.start()
    try:
        yield
    finally:
        await transport.stop()


async def published(transport: Transport, *numbers: int) -> None:
    """Publish what ingest says of these rows; each must be safe."""
    answers = await transport.publish([captured(n) for n in numbers])
    assert answers == [None] * len(numbers)


async def settled(transport: Transport, *mailboxes: str) -> None:
    """Wait until nothing in these mailboxes is open."""

    async def none_waiting() -> bool:
        return (await transport.backlog(mailboxes)).unsettled == 0

    await eventually(none_waiting)


@dataclass(frozen=True)
class Bench:
    """A transport to test, and what only its maker can do to it."""

    transport: Transport
    foreign: Callable[[str, bytes], Awaitable[None]]
    """Put bytes on a kind's subject that no XNovu has written."""
    another: Callable[[], Transport]
    """A second process on the same subjects."""
    large: int
    """More bytes than it takes."""


class Benched:
    """Subclass the suite in a test module, with a fixture ``bench`` of your transport's."""

    @pytest.fixture
    def transport(self, bench: Bench) -> Transport:
        return bench.transport

    @pytest.fixture
    def mailbox(self) -> str:
        return f"box-{uuid.uuid4().hex[:8]}"
