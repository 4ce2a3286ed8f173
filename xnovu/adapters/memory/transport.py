"""A broker in plain Python: what the port means, without a server."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar

from xnovu.envelope import Envelope
from xnovu.errors import Permanent, XNovuError
from xnovu.events import Event
from xnovu.policy import Dead, Done, Fate, Policy, Retry
from xnovu.ports import Delivery, Features, Handler

log = logging.getLogger(__name__)

AGAIN_AFTER = 0.1
"""Seconds until a batch whose handler raised comes again."""


class MemoryTransport:
    """
    :class:`xnovu.ports.Transport` that forgets everything when the process ends.

    A message of more than ``max_payload`` bytes is refused.
    """

    features: ClassVar[Features] = Features(persistent=False, deduplicates=True, competing=True)

    def __init__(self, max_payload: int = 8_000_000) -> None:
        self._max_payload = max_payload
        self._mailboxes: dict[str, _Mailbox] = {}
        self._seen: set[str] = set()
        self._slots: list[asyncio.Task[None]] = []

    def subscribe(self, name: str, kinds: Sequence[str], policy: Policy, handler: Handler) -> None:
        self._mailboxes[name] = _Mailbox(tuple(kinds), policy, handler)

    async def start(self) -> None:
        self._slots = [
            asyncio.create_task(mailbox.serve(), name=f"slot of {name}")
            for name, mailbox in self._mailboxes.items()
            for _ in range(mailbox.policy.slots)
        ]

    async def stop(self) -> None:
        for mailbox in self._mailboxes.values():
            mailbox.stop()
        await asyncio.gather(*self._slots)

    async def ready(self) -> str | None:
        return None

    async def publish(self, envelopes: Sequence[Envelope[Event]]) -> Sequence[XNovuError | None]:
        return [self._publish(envelope) for envelope in envelopes]

    async def waiting(self, names: Sequence[str]) -> int:
        return sum(box.unsettled for name, box in self._mailboxes.items() if name in names)

    async def pause(self, name: str, seconds: float, reason: str) -> None:
        del reason
        self._mailboxes[name].pause(seconds)

    async def resume(self, name: str) -> None:
        self._mailboxes[name].resume()

    async def paused(self, name: str) -> bool:
        return self._mailboxes[name].paused

    def _publish(self, envelope: Envelope[Event]) -> XNovuError | None:
        headers, body = envelope.encode()
        if len(body) > self._max_payload:
            said = f"the message is too large: {len(body)} bytes of {self._max_payload}"
            return Permanent(said, code="too_large")
        if envelope.id not in self._seen:
            self._seen.add(envelope.id)
            self.deliver(envelope.event.kind, headers, body)
        return None

    def deliver(self, kind: str, headers: dict[str, str], body: bytes) -> None:
        """Put a message into every mailbox of its kind, whatever it is."""
        for mailbox in self._mailboxes.values():
            if kind in mailbox.kinds:
                mailbox.put(Delivery(headers, body, 1))


class _Mailbox:
    """One subscription's queue, and the handler that its slots share."""

    def __init__(self, kinds: tuple[str, ...], policy: Policy, handler: Handler) -> None:
        self.kinds = kinds
        self.policy = policy
        self.unsettled = 0
        self._handler = handler
        self._queue: asyncio.Queue[Delivery | None] = asyncio.Queue()
        self._later: set[asyncio.TimerHandle] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._pause_end: asyncio.TimerHandle | None = None
        self._stopping = False

    @property
    def paused(self) -> bool:
        return not self._flowing.is_set()

    def pause(self, seconds: float) -> None:
        self.resume()
        self._flowing.clear()
        self._pause_end = asyncio.get_running_loop().call_later(seconds, self._flowing.set)

    def resume(self) -> None:
        if self._pause_end:
            self._pause_end.cancel()
        self._flowing.set()

    def put(self, delivery: Delivery) -> None:
        self.unsettled += 1
        self._queue.put_nowait(delivery)

    def stop(self) -> None:
        self._stopping = True
        self.resume()
        for timer in self._later:
            timer.cancel()
        for _ in range(self.policy.slots):
            self._queue.put_nowait(None)

    async def serve(self) -> None:
        """Run one slot: take a batch, have it handled, settle it, until told to stop."""
        while batch := await self._take():
            for delivery, fate in zip(batch, await self._fates(batch), strict=True):
                self._settle(delivery, fate)

    async def _take(self) -> list[Delivery]:
        """A first message, however long it takes, and its company; nothing when stopping."""
        batch: list[Delivery] = []
        with suppress(TimeoutError):
            if first := await self._queue.get():
                await self._flowing.wait()
                batch.append(first)
                async with asyncio.timeout(self.policy.linger):
                    await self._gather(batch)
        return [] if self._stopping else batch

    async def _gather(self, batch: list[Delivery]) -> None:
        while len(batch) < self.policy.batch and (another := await self._queue.get()):
            batch.append(another)

    async def _fates(self, batch: Sequence[Delivery]) -> Sequence[Fate]:
        try:
            return await self._handler(batch)
        except Exception as error:  # noqa: BLE001 - the port's promise: all of it comes again
            log.error("a handler raised %s", type(error).__name__)
            return [Retry(AGAIN_AFTER)] * len(batch)

    def _settle(self, delivery: Delivery, fate: Fate) -> None:
        match fate:
            case Retry(after=after, spent=spent):
                again = replace(delivery, attempt=delivery.attempt + spent, suspect=True)
                self._put_later(again, after)
            case Done() | Dead():
                self.unsettled -= 1

    def _put_later(self, delivery: Delivery, after: float) -> None:
        def due() -> None:
            self._later.discard(timer)
            self._queue.put_nowait(delivery)

        timer = asyncio.get_running_loop().call_later(max(after, 0.0), due)
        self._later.add(timer)
