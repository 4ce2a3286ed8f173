"""
In which company each message of a batch is handled.

A message that kills its worker takes with it whatever else the process has in hand, and all of that
comes again with the same count of deliveries. So nothing but being alone tells who did it.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

from nats.aio.msg import Msg

from xnovu.adapters.nats.arrival import count_of
from xnovu.adapters.nats.later import Copies
from xnovu.adapters.nats.topology import Lane

ONCE, TWICE = 2, 3
"""The counts of a message whose worker vanished as often."""


@dataclass(frozen=True, slots=True)
class Triage:
    """
    Sorts what a slot has pulled.

    First deliveries go together: those that a server only seems to deliver first because it was
    killed, too, or a restart would make the whole backlog slow. After them go those whose worker
    vanished once, in random order and growing company: one, two, four. Those whose worker vanished
    twice are put into the lane of those that are handled alone.
    """

    copies: Copies

    async def groups(self, batch: Sequence[Msg]) -> list[list[Msg]]:
        """Groups to be handled and settled one after the other; the isolated are acknowledged."""
        lane = self.copies.consumer.mailbox.lane
        if lane is Lane.ADVICE:
            return [list(batch)]
        counted = [(count_of(message), message) for message in batch]
        if lane is Lane.ALONE:
            return [[message] for _, message in counted]
        first = [message for count, message in counted if count < ONCE]
        again = [message for count, message in counted if count == ONCE]
        alone = await self._not_isolated([one for count, one in counted if count >= TWICE])
        random.shuffle(again)
        return [group for group in (first, *widening(again), *alone) if group]

    async def _not_isolated(self, messages: Sequence[Msg]) -> list[list[Msg]]:
        """Those for which there is no place in the lane: they are alone in here at least."""
        for message, safe in zip(messages, await self.copies.isolate(messages), strict=True):
            if safe:
                await message.ack()
        return [[message] for message in messages if not message.is_acked]


def widening(messages: Sequence[Msg]) -> Iterator[list[Msg]]:
    """One, then two, then four: who has survived alone makes it likely that the next will."""
    left = iter(messages)
    for power in count():
        if not (group := list(islice(left, 2**power))):
            return
        yield group
