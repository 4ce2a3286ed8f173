"""Retract: take back what was sent of a notification, and write down what that has achieved."""

from collections.abc import Iterable, Mapping, Sequence

from xnovu.compose.kit import Kit
from xnovu.compose.part import Part
from xnovu.envelope import Envelope
from xnovu.errors import Paused, Retryable, XNovuError, still_locked
from xnovu.events import Key, Locked, Retraction, RetractRequested, StatusChanged
from xnovu.policy import Done, Result
from xnovu.ports import Provider
from xnovu.retraction import Recall, Recalled, Retracted, came_to, parts
from xnovu.sending import SendTimes
from xnovu.store import Store

REMEMBERED = 100_000
"""Calls of which it is kept in mind that they are through."""

Asked = tuple[Key, Recall]
Calls = Mapping[Key, Sequence[Recall]]
Answers = Mapping[Asked, Recalled | XNovuError]


class Retract:
    """
    Cancels at the provider until nothing more can come of a notification.

    What nobody has begun to send is stopped: the send record tells. Else it ends as soon as all of
    its people are known at the provider, and for good once whatever was sent has shown. The
    database tells how long that is; what waits comes back by the policy.
    Of many calls, those that are through are not asked for again, so that a rate limit only makes
    it slow.
    """

    name = "retract"
    accepts = (RetractRequested,)

    def __init__(
        self,
        store: Store,
        provider: Provider,
        times: SendTimes = SendTimes(),  # noqa: B008 - frozen
    ) -> None:
        self._store, self._provider, self._times = store, provider, times
        self._through: dict[Asked, Recalled] = {}

    async def handle(self, batch: Sequence[Envelope[RetractRequested]]) -> Sequence[Result]:
        events = {envelope.event.key: envelope.event for envelope in batch}
        standing = await self._store.begin_retraction(list(events), self._times)
        calls = {key: _calls(row) for key, row in standing.items()}
        answers = await self._answers(calls, standing)
        verdicts = {
            key: _verdict(row, [answers[key, call] for call in calls[key]])
            for key, row in standing.items()
        }
        told = await self._told(verdicts)
        ended = [key for key, each in told.items() if not isinstance(each, Locked)]
        self._forget((key, call) for key in ended for call in calls[key])
        return [_result(verdicts.get(e.event.key), told.get(e.event.key)) for e in batch]

    async def _answers(self, calls: Calls, standing: Mapping[Key, Retracted]) -> Answers:
        """What is known of each call, from before, or asked for now."""
        every = [(key, call) for key, each in calls.items() for call in each]
        known = {part: self._through[part] for part in every if part in self._through}
        asked = [part for part in every if part not in known]
        heard = await self._provider.cancel([call for _, call in asked])
        answers = dict(zip(asked, heard, strict=True))
        for (key, call), answer in answers.items():
            if isinstance(answer, Recalled) and (answer.settled or _is_over(standing[key])):
                self._through[key, call] = answer
        return {**answers, **known}

    def _forget(self, through: Iterable[Asked]) -> None:
        for part in through:
            self._through.pop(part, None)
        if len(self._through) > REMEMBERED:  # of rows that went to other processes
            self._through.clear()

    async def _told(
        self, verdicts: Mapping[Key, Retraction | XNovuError]
    ) -> Mapping[Key, StatusChanged | Locked]:
        known = {key: told for key, told in verdicts.items() if isinstance(told, Retraction)}
        told = await self._store.record_retractions(known) if known else ()
        return {each.key: each for each in told}


def _calls(row: Retracted) -> Sequence[Recall]:
    """What there is to take back by what its row says; nothing where the outcome is known."""
    if row.outcome:
        return ()
    named = parts(row.transaction_id, row.recipients)
    return [Recall(name, len(people)) for name, people in named]


def _is_over(row: Retracted) -> bool:
    """Whether all that was sent of it surely shows."""
    return row.seconds <= 0


def _verdict(row: Retracted, answers: Sequence[Recalled | XNovuError]) -> Retraction | XNovuError:
    if row.outcome:
        return row.outcome
    if error := next((a for a in answers if isinstance(a, XNovuError)), None):
        return _patient(error)
    recalled = [answer for answer in answers if isinstance(answer, Recalled)]
    if _is_over(row) or all(call.settled for call in recalled):
        return came_to(row.previous, recalled)
    return Retryable("it may still be on its way", code="retraction_open", bounded=False)


def _patient(error: XNovuError) -> XNovuError:
    """Nobody gives a retraction up because the provider is in trouble."""
    if isinstance(error, Paused):
        return error
    return Retryable(str(error), code=error.code, bounded=False)


def _result(verdict: Retraction | XNovuError | None, told: StatusChanged | Locked | None) -> Result:
    """A row that is gone, or that another claim has by now, is nothing to tell of."""
    if isinstance(verdict, XNovuError):
        return verdict
    if isinstance(told, Locked):
        return still_locked()
    return Done.then(told) if told else Done()


async def build(kit: Kit) -> Retract:
    return Retract(await kit.store(), await kit.provider(), kit.times)


part = Part(Retract.name, Retract.accepts, build, own=True, emits=(StatusChanged,))
