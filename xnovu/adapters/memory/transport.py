"""A broker in plain Python: what the port means, without a server."""

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from xnovu.adapters.memory.ids import Ids
from xnovu.adapters.memory.mailbox import Mailbox
from xnovu.envelope import Envelope
from xnovu.errors import Permanent, XNovuError
from xnovu.events import Event
from xnovu.policy import Policy
from xnovu.ports import Backlog, Delivery, Features, Handler, Start

REMEMBERED = 50_000
"""Ids of messages that are still known, the latest: some 10 MB of them."""


class MemoryTransport:
    """
    :class:`xnovu.ports.Transport` that forgets everything when the process ends.

    A message of more than ``max_payload`` bytes is refused. A repetition is recognised until
    ``remembered`` others have been published.
    """

    features: ClassVar[Features] = Features(persistent=False, deduplicates=True, competing=True)

    def __init__(self, max_payload: int = 8_000_000, remembered: int = REMEMBERED) -> None:
        self._max_payload = max_payload
        self._mailboxes: dict[str, Mailbox] = {}
        self._ids = Ids(remembered)

    @property
    def left(self) -> Sequence[Delivery]:
        """What :meth:`stop` found that nobody had settled."""
        return [each for mailbox in self._mailboxes.values() for each in mailbox.left()]

    def subscribe(
        self,
        name: str,
        kinds: Sequence[str],
        policy: Policy,
        handler: Handler,
        start: Start = "all",
    ) -> None:
        del start
        self._mailboxes[name] = Mailbox(tuple(kinds), policy, handler)

    async def start(self) -> None:
        for name, mailbox in self._mailboxes.items():
            mailbox.start(name)

    def close(self) -> None:
        """Begin no more work, but go on telling what has happened: it was sent, or given up."""
        for mailbox in self._mailboxes.values():
            if not mailbox.past:
                mailbox.close(emptied=False)

    async def stop(self) -> None:
        """
        Take no more, and let batches in hand finish.

        Mailboxes for what has happened are emptied before they stop, in the order of subscription,
        since nothing else could ever tell. If one gives a message back, though, its rest is left.
        """
        self.close()
        for mailbox in sorted(self._mailboxes.values(), key=lambda mailbox: mailbox.past):
            mailbox.close(emptied=True)
            await mailbox.ended()

    async def abort(self) -> None:
        """Stop at once; what is in hand is cancelled."""
        await asyncio.gather(*(mailbox.abort() for mailbox in self._mailboxes.values()))

    async def ready(self) -> str | None:
        return None

    async def publish(self, envelopes: Sequence[Envelope[Event]]) -> Sequence[XNovuError | None]:
        return [self._publish(envelope) for envelope in envelopes]

    async def backlog(self, names: Sequence[str]) -> Backlog:
        return sum((self._mailboxes[name].backlog for name in self._known(names)), Backlog())

    def unsettled(self, names: Sequence[str]) -> int:
        """How much these mailboxes have not settled, told without waiting for it."""
        return sum(self._mailboxes[name].unsettled for name in self._known(names))

    def _known(self, names: Sequence[str]) -> list[str]:
        return [name for name in self._mailboxes if name in names]

    def deliver(self, kind: str, headers: dict[str, str], body: bytes) -> int:
        """Put a message into every mailbox of its kind, whatever it is; tells how many."""
        concerned = [box for box in self._mailboxes.values() if kind in box.kinds]
        for mailbox in concerned:
            mailbox.put(Delivery(headers, body, 1))
        return len(concerned)

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
        if self._ids.is_new(envelope.id):
            self.deliver(envelope.event.kind, headers, body)
        return None
