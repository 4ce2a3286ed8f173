"""Retract: take back what was sent of a notification, and write down what that has achieved."""

from collections.abc import Iterator, Mapping, Sequence

from faststream import FastStream

from xnovu.compose import Kit, Part, serve
from xnovu.envelope import Envelope
from xnovu.errors import Paused, Retryable, XNovuError
from xnovu.events import Key, Retraction, RetractRequested, StatusChanged
from xnovu.policy import Done, Result
from xnovu.ports import Provider, Store
from xnovu.retraction import Recall, Recalled, Retracted, came_to, parts

Answers = Sequence[Recalled | XNovuError]


class Retract:
    """
    Cancels at the provider until nothing more can come of a notification.

    That is as soon as all of its people are known there, and for good ``quiet`` seconds after a
    stage last had it in hand: whatever was sent has shown by then. The database tells how long
    that is; what waits comes back by the policy.
    """

    name = "retract"
    accepts = (RetractRequested,)

    def __init__(self, store: Store, provider: Provider, quiet: float) -> None:
        self._store, self._provider, self._quiet = store, provider, quiet

    async def handle(self, batch: Sequence[Envelope[RetractRequested]]) -> Sequence[Result]:
        events = {envelope.event.key: envelope.event for envelope in batch}
        standing = await self._store.retracted(list(events))
        found = await self._taken_back([events[key] for key, row in standing.items() if _open(row)])
        verdicts = {key: self._verdict(row, found.get(key, ())) for key, row in standing.items()}
        told = await self._told(verdicts)
        return [_result(verdicts.get(e.event.key), told.get(e.event.key)) for e in batch]

    async def _taken_back(self, events: Sequence[RetractRequested]) -> Mapping[Key, Answers]:
        calls = [list(_calls(event)) for event in events]
        answers = iter(await self._provider.cancel([call for each in calls for call in each]))
        return {
            event.key: [next(answers) for _ in each]
            for event, each in zip(events, calls, strict=True)
        }

    def _verdict(self, row: Retracted, answers: Answers) -> Retraction | XNovuError:
        if row.outcome:
            return row.outcome
        if error := next((a for a in answers if isinstance(a, XNovuError)), None):
            return _patient(error)
        recalled = [answer for answer in answers if isinstance(answer, Recalled)]
        if row.quiet < self._quiet and not all(call.settled for call in recalled):
            return Retryable("it may still be on its way", code="retraction_open", bounded=False)
        return came_to(row.previous, recalled)

    async def _told(
        self, verdicts: Mapping[Key, Retraction | XNovuError]
    ) -> Mapping[Key, StatusChanged]:
        known = {key: told for key, told in verdicts.items() if isinstance(told, Retraction)}
        changes = await self._store.record_retractions(known) if known else ()
        return {change.key: change for change in changes}


def _open(row: Retracted) -> bool:
    return row.outcome is None


def _calls(event: RetractRequested) -> Iterator[Recall]:
    for name, people in parts(event.transaction_id, event.recipients):
        yield Recall(name, len(people))


def _patient(error: XNovuError) -> XNovuError:
    """Nobody gives a retraction up because the provider is in trouble."""
    return (
        error
        if isinstance(error, Paused)
        else Retryable(str(error), code=error.code, bounded=False)
    )


def _result(verdict: Retraction | XNovuError | None, change: StatusChanged | None) -> Result:
    """A row that is gone, or that another claim has by now, is nothing to tell of."""
    if isinstance(verdict, XNovuError):
        return verdict
    return Done.then(change) if change else Done()


async def build(kit: Kit) -> Retract:
    return Retract(await kit.store(), await kit.provider(), kit.quiet)


part = Part(Retract.name, Retract.accepts, build)


def app() -> FastStream:
    return serve(part)
