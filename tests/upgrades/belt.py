"""A broker and a provider for the stages of both versions, as bad as they may be."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.upgrades.stage_of_0_1 import OldDelivery
from xnovu.errors import Paused, Retryable
from xnovu.events import Hydrated
from xnovu.policy import Done, Result
from xnovu.ports import Provider


class Killed(BaseException):
    """The worker is gone, at whatever place it was."""


@dataclass
class Mortal:
    """A provider whose worker may die before a request, or when it has been answered."""

    provider: Provider
    chance: random.Random
    often: float = 0.06

    async def trigger(self, calls: Sequence[Any], until: float) -> Sequence[Any]:
        self.dies()
        answers = await self.provider.trigger(calls, until)
        self.dies()
        return answers

    async def cancel(self, calls: Sequence[Any]) -> Sequence[Any]:
        return await self.provider.cancel(calls)

    def dies(self) -> None:
        if self.chance.random() < self.often:
            raise Killed


@dataclass
class Belt:
    """The messages for trigger. Some are given to two workers at once, as a broker may do."""

    chance: random.Random
    waiting: list[tuple[float, OldDelivery]] = field(default_factory=list)
    delivered: Counter[int] = field(default_factory=Counter)
    given_up: list[str] = field(default_factory=list)

    def put(self, event: Hydrated, *, redelivered: bool = False, after: float = 0.0) -> None:
        self.waiting.append((_now() + after, OldDelivery(event, redelivered)))

    def take(self) -> list[OldDelivery]:
        due = [entry for entry in self.waiting if entry[0] <= _now()]
        taken = self.chance.sample(due, min(len(due), self.chance.randint(1, 8)))
        for entry in taken:
            self.waiting.remove(entry)
            self.delivered[entry[1].event.notification_id] += 1
            if self.chance.random() < 0.15:
                self.put(entry[1].event, redelivered=True)
        return [delivery for _, delivery in taken]

    def settle(self, delivery: OldDelivery, result: Result) -> None:
        match result:
            case Done():
                pass
            case Retryable(after=after):
                self.put(delivery.event, redelivered=True, after=min(after or 0.1, 1.0))
            case Paused():
                self.put(delivery.event, redelivered=delivery.redelivered, after=0.05)
            case _:
                self.given_up.append(repr(result))

    def give_back(self, batch: Sequence[OldDelivery]) -> None:
        for delivery in batch:
            self.put(delivery.event, redelivered=True, after=0.3)


def _now() -> float:
    return asyncio.get_running_loop().time()
