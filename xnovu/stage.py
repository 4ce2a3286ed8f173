"""
A stage, and the actor that runs it.

Read :meth:`Actor.__call__` first: it is the whole life of a batch.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from xnovu.envelope import Envelope, about, dead_letter, decode, is_dead_letter, row_of
from xnovu.errors import Paused, Permanent, Retryable, XNovuError, describe
from xnovu.events import Event, Key
from xnovu.observer import Observer, Report, Unobserved
from xnovu.policy import Dead, Done, Fate, Hold, Policy, Result, Retry
from xnovu.ports import Delivery, Publisher


class Stage(Protocol):
    """One step of the pipeline: envelopes in, one result for each, in order."""

    @property
    def name(self) -> str: ...

    @property
    def accepts(self) -> Sequence[type[Event]]: ...

    async def handle(self, batch: Sequence[Envelope[Any]]) -> Sequence[Result]: ...


@dataclass(slots=True)
class _Slip:
    """One delivery's way through the batch: decided once it has a ``fate``, then ``told``."""

    delivery: Delivery
    envelope: Envelope[Event] | None = None
    fate: Fate | None = None
    hold: Hold | None = None
    told: bool = False

    @property
    def key(self) -> Key | None:
        if self.envelope:
            return row_of(self.envelope.event)
        return about(self.delivery.headers, self.delivery.body, self.delivery.address)

    def settled(self) -> Fate:
        """What the source is to do; what is not done, or done and not told, comes again."""
        if self.fate and self.told:
            return self.fate
        return Retry(0.0, "given back", "stopping", spent=False)


def utc_now() -> datetime:
    """Tell the time; tests tell it otherwise."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Actor:
    """
    A stage bound to its policy and its publisher; hand it to ``Source.subscribe``.

    Once ``stopping`` is set, held work is given back at once instead of waited for.
    """

    stage: Stage
    policy: Policy
    publisher: Publisher
    observer: Observer = field(default_factory=Unobserved)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    now: Callable[[], datetime] = utc_now

    async def __call__(self, deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        self.observer.began(self.stage.name, len(deliveries))
        began = time.perf_counter()
        slips = [self._open(delivery) for delivery in deliveries]
        await self._attempt(slips)
        holds = 0
        while held := [slip for slip in slips if slip.hold]:
            holds += 1
            await self._wait(held, holds)
        fates = [slip.settled() for slip in slips]
        pairs = [(slip.key, fate) for slip, fate in zip(slips, fates, strict=True)]
        self.observer.finished(Report(self.stage.name, pairs, time.perf_counter() - began))
        return fates

    def _open(self, delivery: Delivery) -> _Slip:
        slip = _Slip(delivery)
        try:
            slip.envelope = decode(delivery.headers, delivery.body, delivery.address)
        except Permanent as error:
            self._decide([slip], error)
        return slip

    async def _attempt(self, slips: Sequence[_Slip]) -> None:
        """Work on what is undecided, under one deadline, and publish what it caused."""
        try:
            async with asyncio.timeout(self.policy.timeout):
                await self._work([slip for slip in slips if not slip.fate])
        except TimeoutError:
            error = Retryable(f"took longer than {self.policy.timeout:g} s", code="timeout")
            self._decide([slip for slip in slips if not (slip.fate or slip.hold)], error)
        await self._emit([slip for slip in slips if slip.fate and not slip.told])

    async def _wait(self, held: Sequence[_Slip], nth: int) -> None:
        """Keep held work in hand while the other side is away; no attempt is spent."""
        longest = max((slip.hold for slip in held if slip.hold), key=lambda hold: hold.after)
        hold = replace(longest, after=longest.after or self.policy.pause(nth))
        self.observer.held(self.stage.name, len(held), hold)
        for slip in held:
            slip.hold = None
        try:
            async with asyncio.timeout(hold.after):
                await self.stopping.wait()
        except TimeoutError:
            await self._attempt(held)

    async def _work(self, slips: Sequence[_Slip]) -> None:
        if not slips:
            return
        try:
            envelopes = [slip.envelope for slip in slips if slip.envelope]
            results = await self.stage.handle(envelopes)
            for slip, result in zip(slips, results, strict=True):
                self._decide([slip], result)
        except Exception as error:  # noqa: BLE001 - whatever a stage raises is contained here
            await self._contain(slips, error)

    async def _contain(self, slips: Sequence[_Slip], error: Exception) -> None:
        """If the world is down, all of them wait; if one is rotten, halve until it is found."""
        if len(slips) == 1 or isinstance(error, Retryable | Paused):
            self._decide(slips, error)
        else:
            middle = len(slips) // 2
            await self._work(slips[:middle])
            await self._work(slips[middle:])

    def _decide(self, slips: Sequence[_Slip], result: Result) -> None:
        for slip in slips:
            match self._judged(slip, result):
                case Hold() as hold:
                    slip.fate, slip.hold = None, hold
                case fate:
                    slip.fate, slip.hold = fate, None

    def _judged(self, slip: _Slip, result: Result) -> Fate | Hold:
        if isinstance(result, Exception):
            return self.policy.judge(result, slip.delivery.attempt)
        return result

    async def _emit(self, slips: Sequence[_Slip]) -> None:
        """Publish what was caused before anything is acknowledged."""
        caused = [(slip, envelope) for slip in slips for envelope in self._caused(slip)]
        for slip in slips:
            slip.told = True
        errors = await self._publish([envelope for _, envelope in caused])
        for (slip, _), error in zip(caused, errors, strict=True):
            if error:
                await self._untold(slip, error)

    async def _publish(self, envelopes: Sequence[Envelope[Event]]) -> Sequence[XNovuError | None]:
        """A publisher that raises has told nothing; halving tells whose fault that is."""
        if not envelopes:
            return ()
        try:
            return await self.publisher.publish(envelopes)
        except Exception as error:  # noqa: BLE001 - whatever a publisher raises is contained here
            if len(envelopes) == 1:
                return [Retryable(f"could not publish: {describe(error)}", code="publish")]
        middle = len(envelopes) // 2
        first = await self._publish(envelopes[:middle])
        return [*first, *await self._publish(envelopes[middle:])]

    async def _untold(self, slip: _Slip, error: XNovuError) -> None:
        """
        What can never be published kills its cause; anything else is published again.

        The work itself is never repeated for it: it may have sent something.
        """
        match slip.fate:
            case Done() if isinstance(error, Permanent):
                self._decide([slip], error)
                await self._emit([slip])
            case Dead() as fate if isinstance(error, Permanent):
                [again] = await self._publish([self._letter(slip, fate, whole=False)])
                if again and not isinstance(again, Permanent):  # else nobody can ever be told
                    slip.told, slip.hold = False, Hold(0.0, str(again), again.code)
            case _:
                slip.told, slip.hold = False, Hold(0.0, str(error), error.code)

    def _caused(self, slip: _Slip) -> Sequence[Envelope[Event]]:
        match slip.fate:
            case Done(events) if slip.envelope:
                return [slip.envelope.then(event) for event in events]
            case Dead() as fate if not is_dead_letter(slip.delivery.headers):
                return [self._letter(slip, fate)]
            case _:
                return ()

    def _letter(self, slip: _Slip, fate: Dead, *, whole: bool = True) -> Envelope[Event]:
        delivery = slip.delivery
        failure = fate.failure(self.stage.name, delivery.attempt, self.now())
        headers, body, address = delivery.headers, delivery.body, delivery.address
        return dead_letter(headers, body, failure, whole=whole, address=address)
