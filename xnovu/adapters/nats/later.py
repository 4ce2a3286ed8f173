"""
Messages that are to come again, kept as copies in the mailbox's own stream until their time comes.

Left with its consumer (``nak`` with a delay), a message that waits counts as unacknowledged: many
of them would stop the others, and every wait would cost a delivery. So the original is acknowledged
once its copy is safe. The server itself delivers the copy in time (ADR-51 of
nats-io/nats-architecture-and-design; nats-server 2.12), and to no other stream: so nobody can have
it put something into another mailbox's.

A copy is named after the original's place in its consumer, and the server is asked to take no
second one. So where a worker dies between copying and acknowledging, the original comes once more,
and does not multiply.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from nats.aio.msg import Msg
from nats.js.errors import APIError

from xnovu.adapters.nats.arrival import ATTEMPTS, attempts_before, count_of, number_of, plain
from xnovu.adapters.nats.clock import NEVER, ServerClock
from xnovu.adapters.nats.connection import Broker
from xnovu.adapters.nats.consumer import Consumer
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.send import Answer, Parcel, Sender
from xnovu.adapters.nats.topology import DAY, RETRY, Lane
from xnovu.errors import Paused
from xnovu.policy import Retry

THERE_ALREADY = 10071
"""JetStream's error code where the last message of a subject is not the expected one."""


@dataclass(frozen=True, slots=True)
class Copies:
    """What one consumer has put off."""

    broker: Broker
    consumer: Consumer
    sender: Sender
    options: NatsOptions
    clock: ServerClock

    async def keep(self, retries: Sequence[tuple[Msg, Retry]]) -> list[bool]:
        """Put each off for as long as it says; False for one whose copy may not be there."""
        try:
            scheduled = any(retry.after > 0 for _, retry in retries)
            now = await self.clock.now() if scheduled else NEVER
        except Paused:  # then the consumer itself puts them off
            return [False] * len(retries)
        parcels = [self._parcel(message, retry, now) for message, retry in retries]
        return [_is_there(answer) for answer in await self.sender.send(parcels)]

    async def isolate(self, messages: Sequence[Msg]) -> list[bool]:
        """Have each come again alone; False for one whose copy may not be there."""
        parcels = [self._copy(Lane.ALONE, message, Retry(0.0, spent=False)) for message in messages]
        return [_is_there(answer) for answer in await self.sender.send(parcels)]

    def _parcel(self, message: Msg, retry: Retry, now: datetime) -> Parcel:
        due = self._copy(Lane.DUE, message, retry)
        if retry.after <= 0:
            return due
        time = f"@at {(now + self._delay(retry.after)).isoformat()}"
        scheduled = {"Nats-Schedule": time, "Nats-Schedule-Target": due.subject}
        return Parcel(self._subject(Lane.AT, message), due.body, {**due.headers, **scheduled})

    def _copy(self, lane: Lane, message: Msg, retry: Retry) -> Parcel:
        headers = plain(message.headers)
        attempts = attempts_before(headers) + count_of(message) - (not retry.spent)
        headers |= {ATTEMPTS: str(attempts)} | self._only_once(message)
        return Parcel(self._subject(lane, message), message.data, headers)

    def _only_once(self, message: Msg) -> dict[str, str]:
        """The server is to refuse it if there is a copy already, waiting, due or done with."""
        header = "Nats-Expected-Last-Subject-Sequence"
        return {header: "0", f"{header}-Subject": self._subject("*", message)}

    def _delay(self, after: float) -> timedelta:
        """So many seconds, within what the stream keeps."""
        most = self.options.retention_days * DAY / 2
        return timedelta(seconds=min(after, most))

    def _subject(self, lane: str, message: Msg) -> str:
        box = self.consumer.mailbox
        words = message.subject.split(".")
        enterprise = words[-1] if box.lane is Lane.KIND else words[-2]
        kind = box.kind.partition(".")[0]
        origin = f"{box.lane}{kind}-{self.consumer.made}-{number_of(message)}"
        return ".".join([self.options.prefix, RETRY, box.name, lane, enterprise, origin])


def _is_there(answer: Answer) -> bool:
    return answer is None or (isinstance(answer, APIError) and answer.err_code == THERE_ALREADY)
