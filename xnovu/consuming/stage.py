"""The stage around a consumer's function: each event's result, and nobody else's trouble."""

import asyncio
import inspect
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faststream import apply_types
from faststream.context import ContextRepo

from xnovu.consuming.consumer import Declared
from xnovu.envelope import Envelope
from xnovu.errors import Permanent, Retryable, XNovuError
from xnovu.events import Event, Key
from xnovu.policy import Done, Result
from xnovu.together import all_of

log = logging.getLogger(__name__)

SHARE = 0.9
"""The part of a batch's time that the function may take: the rest is for saying what became."""

Call = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Consuming:
    """
    A consumer at work. ``patience`` is how long its function may take (seconds).

    One event at a time means of one notification: those of others are worked on beside it.
    ``context`` holds what its parameters may ask for, and ``own`` what only this one may.
    """

    consumer: Declared[...]
    context: ContextRepo
    patience: float
    own: Mapping[str, object] = field(default_factory=dict[str, object])
    _called: Call = field(init=False)

    def __post_init__(self) -> None:
        called = apply_types(self.consumer.function, cast=False, context__=self.context)
        object.__setattr__(self, "_called", called)

    @property
    def name(self) -> str:
        return self.consumer.name

    @property
    def accepts(self) -> Sequence[type[Event]]:
        return self.consumer.events

    async def handle(self, batch: Sequence[Envelope[Any]]) -> Sequence[Result]:
        known = [envelope for envelope in batch if isinstance(envelope.event, self._types)]
        work = self._at_once if self.consumer.batched else self._one_by_one
        results = iter(await work(known))
        return [
            next(results) if isinstance(envelope.event, self._types) else self._unread(envelope)
            for envelope in batch
        ]

    @property
    def _types(self) -> tuple[type[Event], ...]:
        return self.consumer.events

    def _unread(self, envelope: Envelope[Any]) -> Permanent:
        return Permanent(f"{self.name} does not read {envelope.event.kind!r}", code="unread")

    async def _at_once(self, batch: Sequence[Envelope[Any]]) -> Sequence[Result]:
        """Raises what the function raises: the batch is then halved until the culprit is alone."""
        if batch:
            await self._call([envelope.event for envelope in batch], envelopes=batch)
        return [Done()] * len(batch)

    async def _one_by_one(self, batch: Sequence[Envelope[Any]]) -> Sequence[Result]:
        until = asyncio.get_running_loop().time() + self.patience
        rows: dict[Key, list[int]] = {}
        for place, envelope in enumerate(batch):
            rows.setdefault(envelope.event.key._replace(claims=0), []).append(place)
        results: list[Result] = [Done()] * len(batch)

        async def in_turn(places: Sequence[int]) -> None:
            for place in places:
                results[place] = await self._result_of(batch[place], until)

        await all_of(map(in_turn, rows.values()))
        return results

    async def _result_of(self, envelope: Envelope[Any], until: float) -> Result:
        if asyncio.get_running_loop().time() >= until:
            return Retryable("not begun: one before it took all the time", after=0, bounded=False)
        try:
            async with asyncio.timeout_at(until):
                returned = await self._call(self._given(envelope), envelope=envelope)
            return self._done(envelope, returned)
        except XNovuError as error:
            return error
        except TimeoutError:  # the limit's own: the function's comes as a fault
            return Retryable(f"took longer than {self.patience:g} s", code="timeout")

    def _given(self, envelope: Envelope[Any]) -> object:
        return envelope.event

    def _done(self, envelope: Envelope[Any], returned: object) -> Result:
        """What is caused by what the function returned; raises XNovuError."""
        del envelope, returned
        return Done()

    async def _call(self, given: object, **scope: object) -> object:
        """Raises XNovuError: what else the function raises is told by its place."""
        try:
            with self.context.scopes([*self.own.items(), *scope.items()]):
                return await self._called(given)
        except XNovuError:
            raise
        except Exception as error:  # whatever other people's code raises
            raise self._fault(error) from error

    def _fault(self, error: Exception) -> XNovuError:
        """What is said of an error nobody meant: its type and line, for its text may be private."""
        said = f"{type(error).__qualname__}{_place(error, self.consumer.function)}"
        log.warning("%s: %s", self.name, said)
        return XNovuError(said, code="unexpected")


def _place(error: Exception, function: Call) -> str:
    """The last line of the function's own file that it came through, else where it comes from."""
    frames = traceback.extract_tb(error.__traceback__)
    here = inspect.getsourcefile(inspect.unwrap(function))
    own = [frame for frame in frames if frame.filename == here] or frames
    return f" at {Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
