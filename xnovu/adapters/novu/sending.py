"""One round of sending: a batch of calls from look-up to verdict."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import httpx

from xnovu.adapters.novu.answers import (
    bulk_verdicts,
    is_replay_of_error,
    obstacle,
    single_verdict,
    too_large,
    too_large_index,
    unclear,
)
from xnovu.adapters.novu.link import Link
from xnovu.adapters.novu.pace import Rank
from xnovu.adapters.novu.requests import (
    BULK,
    TRIGGER,
    Event,
    bulk_body,
    bulk_key,
    parts,
    single_key,
)
from xnovu.errors import Missing, Permanent, XNovuError
from xnovu.sending import slept
from xnovu.together import all_of

Verdicts = dict[str, XNovuError | None]
"""By transaction id: None is accepted."""

_GENERATIONS = 10
"""Replayed errors followed in one round; each attempt of a notification adds at most one."""


@dataclass(frozen=True, slots=True)
class Round:
    """
    A batch under way.

    No request begins after ``until`` (loop time): what is left over by then is Paused, and what
    was accepted is known in time.
    """

    link: Link
    until: float
    _slept: float = field(default_factory=slept)
    _looked_up: set[str] = field(default_factory=set[str])

    async def run(self, events: Sequence[Event]) -> Verdicts:
        """What became of each event. Those that are looked up never hold the others up."""
        fresh = [event for event in events if event.call.send and not event.call.look_up]
        doubtful = [event for event in events if event.call.look_up or not event.call.send]
        runs = (self._send(fresh), self._look_up_and_send(doubtful))
        return _merged(await all_of(runs))

    async def _send(self, events: Sequence[Event]) -> Verdicts:
        requests = parts(events, self.link.pays)
        return _merged(await all_of(map(self._part, requests)))

    async def _part(self, events: list[Event], generation: int = 0) -> Verdicts:
        try:
            if len(events) == 1:
                return await self._single(events[0], generation)
            return await self._bulk(events)
        except Exception as error:  # noqa: BLE001 - it may be sent: a raise would send it again
            return self._all(events, unclear(type(error).__name__))

    async def _look_up_and_send(self, events: Sequence[Event], generation: int = 0) -> Verdicts:
        """
        Send what Novu does not have, each as soon as that is known.

        Were all of them looked up first, slow look-ups took the time of every round, and nothing
        was ever sent. One by one they cost no more tokens than in bulks.
        """
        return _merged(await all_of(self._unless_there(event, generation) for event in events))

    async def _unless_there(self, event: Event, generation: int) -> Verdicts:
        if known := await self._look_up(event):
            return known
        if not event.call.send:
            return {event.id: Missing("Novu does not have it")}
        return await self._part([event], generation)

    async def _look_up(self, event: Event) -> Verdicts:
        """Accepted if Novu has it, nothing if it has not; once a round is enough."""
        if event.id in self._looked_up:
            return {}
        async with self.link.place(self.link.look_ups, self.until) as late:
            found = late or await self.link.wire.look_up(event.id)
        if isinstance(found, XNovuError):
            return {event.id: found}
        self._looked_up.add(event.id)
        return {event.id: None} if found else {}

    async def _single(self, event: Event, generation: int) -> Verdicts:
        key = single_key(self.link.options.environment, event, generation)
        match await self._post(TRIGGER, event.body, key, 1, [event]):
            case XNovuError() as error:
                return {event.id: error}
            case response if is_replay_of_error(response):
                return await self._replayed([event], generation)
            case response:
                return {event.id: single_verdict(response, event)}

    async def _bulk(self, events: list[Event]) -> Verdicts:
        body = bulk_body(events)
        key = bulk_key(self.link.options.environment, body)
        match await self._post(BULK, body, key, self.link.options.bulk_cost, events):
            case Permanent():  # of one of them: only that one may fail
                return await self._one_by_one(events)
            case XNovuError() as error:
                return self._all(events, error)
            case response if is_replay_of_error(response):
                return await self._replayed(events, 0)
            case response if response.is_client_error:
                return await self._sift(events, response)
            case response:
                found = bulk_verdicts(response, events)
                return dict(zip((event.id for event in events), found, strict=True))

    async def _sift(self, events: list[Event], response: httpx.Response) -> Verdicts:
        """A bulk was refused as a whole: find the bad ones, send the others."""
        if response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            index = too_large_index(response, len(events))
            if index is not None:
                rest = await self._send([*events[:index], *events[index + 1 :]])
                return {events[index].id: too_large()} | rest
        return await self._one_by_one(events)

    async def _one_by_one(self, events: Sequence[Event]) -> Verdicts:
        return _merged(await all_of(self._part([event]) for event in events))

    async def _replayed(self, events: Sequence[Event], generation: int) -> Verdicts:
        """The key only repeats an old error: look up what that request did, then a new key."""
        if generation >= _GENERATIONS:
            error = unclear("Novu repeats an old error")
            return self._all(events, error)
        return await self._look_up_and_send(events, generation + 1)

    async def _post(
        self, path: str, body: bytes, key: str, cost: int, events: Sequence[Event]
    ) -> httpx.Response | XNovuError:
        """One request in its turn: an answer about the events (or a replay), or an error."""
        express = all(event.call.express for event in events)
        async with self.link.turn(
            cost, self.until, Rank.EXPRESS if express else Rank.USUAL
        ) as late:
            if late:
                return late
            response = await self.link.wire.post(path, body, key, self.until + self._slept)
            return response if isinstance(response, XNovuError) else self._noted(response)

    def _noted(self, response: httpx.Response) -> httpx.Response | XNovuError:
        if is_replay_of_error(response):
            return response
        error = obstacle(response)
        self.link.heed(error)
        return error or response

    @staticmethod
    def _all(events: Iterable[Event], error: XNovuError) -> Verdicts:
        return {event.id: error for event in events}


def _merged(verdicts: Iterable[Verdicts]) -> Verdicts:
    return {key: verdict for each in verdicts for key, verdict in each.items()}
