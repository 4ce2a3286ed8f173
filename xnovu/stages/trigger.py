"""Trigger: hand each notification to the provider, and remember what it answered."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from xnovu.compose.kit import Kit
from xnovu.compose.part import Part
from xnovu.envelope import Envelope
from xnovu.errors import Expired, Missing, Paused, Permanent, Retryable, Unclear, XNovuError
from xnovu.events import UNCONFIRMED, Hydrated, Key, Triggered
from xnovu.policy import Done, Result
from xnovu.ports import Provider
from xnovu.ports import Trigger as Call
from xnovu.retraction import parts
from xnovu.sending import Begun, Sending, SendTimes, Verdict, slept
from xnovu.store import Store

Answer = XNovuError | None

SOON = 0.05
"""Seconds after which a row is asked for again whose sender has just ended."""

_BY_ITSELF = Retryable(
    "another message says otherwise of the same row", code="being_sent", after=SOON, bounded=False
)

FORGOTTEN = (
    "it may have been sent, so long ago that the provider may not know of it any more:"
    " look there, and re-drive it if nobody was notified"
)

_ORDER = (Unclear, Retryable, Paused, Permanent)


class _Outcome(NamedTuple):
    """What becomes of one row; ``record`` is what end_send is told of it, if anything."""

    result: Result
    record: str | None = None


UNSENT, UNCLEAR = "unsent", "unclear"

_DIFFERS = Permanent(
    "its row has other recipients, another workflow or another transaction id, or may not override"
    " what it says: nothing was sent; the row is dealt with as it is once its claim has lapsed",
    code=UNCONFIRMED,
)


class Trigger:
    """
    Begins the send records of a batch, then asks the provider, once for the whole batch.

    A notification for more than 100 recipients is several calls, each with a transaction id of
    its own, and ends as one.
    """

    name = "trigger"
    accepts = (Hydrated,)

    def __init__(
        self,
        store: Store,
        provider: Provider,
        times: SendTimes = SendTimes(),  # noqa: B008 - frozen
    ) -> None:
        self._store, self._provider, self._times = store, provider, times

    async def handle(self, batch: Sequence[Envelope[Hydrated]]) -> Sequence[Result]:
        until, before = asyncio.get_running_loop().time() + self._times.lease, slept()
        envelopes: dict[Key, Envelope[Hydrated]] = {}
        for envelope in batch:
            envelopes.setdefault(envelope.event.key, envelope)
        said = {key: envelope.event.notification for key, envelope in envelopes.items()}
        sending = await self._store.begin_send(list(envelopes), self._times, said)
        outcomes = {key: _unasked(begun) for key, begun in sending.verdicts.items()}
        asked = {key: envelopes[key] for key, outcome in outcomes.items() if outcome is None}
        told = {key: outcome for key, outcome in outcomes.items() if outcome}
        told |= _gone(envelopes, sending)
        told |= await self._ask(asked, sending, until - (slept() - before))
        await self._end(sending, told)
        # The first copy in a batch stands for all that say the same; what is no longer to be sent
        # is done with.
        return [
            told.pop(e.event.key, _Outcome(Done())).result
            if e.event.notification.is_sent_as(said[e.event.key])
            else _BY_ITSELF
            for e in batch
        ]

    async def _ask(
        self, asked: Mapping[Key, Envelope[Hydrated]], sending: Sending, until: float
    ) -> dict[Key, _Outcome]:
        split = {key: _calls(e, sending.verdicts[key]) for key, e in asked.items()}
        calls = [call for each in split.values() for call in each]
        try:
            answers = iter(await self._provider.trigger(calls, until) if calls else ())
        except Exception:
            await self._end(sending, dict.fromkeys(asked, _Outcome(Done(), UNCLEAR)))
            raise
        return {
            key: _outcome(asked[key].event, sending.verdicts[key], [next(answers) for _ in each])
            for key, each in split.items()
        }

    async def _end(self, sending: Sending, outcomes: Mapping[Key, _Outcome]) -> None:
        """What was sent keeps its record until its status is written."""
        unsent = [key for key, outcome in outcomes.items() if outcome.record == UNSENT]
        unclear = [key for key, outcome in outcomes.items() if outcome.record == UNCLEAR]
        if unsent or unclear:
            with suppress(XNovuError):  # then the sender's time ends by itself, in doubt
                await self._store.end_send(sending, unsent, unclear)


def _unasked(begun: Begun) -> _Outcome | None:
    """What becomes of a row that the provider need not be asked about; None if it must be."""
    match begun.verdict:
        case Verdict.DIFFERS:
            return _Outcome(_DIFFERS)
        case Verdict.LATE:
            return _Outcome(Expired("its deadline has passed"), UNSENT)
        case Verdict.BUSY:
            after = max(begun.seconds, SOON)
            what = "another worker may be sending it"
            return _Outcome(Retryable(what, code="being_sent", after=after, bounded=False))
        case _:
            return None


def _gone(keys: Iterable[Key], sending: Sending) -> dict[Key, _Outcome]:
    """What is no longer to be sent is done with; so is a record that was written all the same."""
    rows = {key._replace(generation=0, claims=0) for key in sending.verdicts}
    gone = (key for key in keys if key._replace(generation=0, claims=0) not in rows)
    return dict.fromkeys(gone, _Outcome(Done(), UNSENT))


def _calls(envelope: Envelope[Hydrated], begun: Begun) -> list[Call]:
    notification, people = envelope.event.notification, envelope.event.notification.recipients
    flags = (begun.looks_up, begun.sends, envelope.express)
    return [
        Call(name, notification, people[of.start : of.stop], *flags)
        for name, of in parts(notification.transaction_id, len(people))
    ]


def _outcome(event: Hydrated, begun: Begun, answers: Sequence[Answer]) -> _Outcome:
    refused = [answer for answer in answers if answer is not None]
    if not refused:
        return _Outcome(Done.then(_triggered(event, len(answers))))
    worst = _final(_worst(refused), begun)
    accepted = len(answers) - len(refused)
    unclear = any(isinstance(answer, Unclear) for answer in refused)
    record = UNCLEAR if unclear or (accepted and begun.sends) else UNSENT
    return _Outcome(_in_part(worst, accepted, len(answers)) if accepted else worst, record)


def _triggered(event: Hydrated, calls: int) -> Triggered:
    name = event.notification.transaction_id
    return Triggered(**event.key._asdict(), transaction_id=name, calls=calls)


def _worst(refused: Sequence[XNovuError]) -> XNovuError:
    """What decides for the whole: nothing is given up while a part is open."""
    return min(
        refused, key=lambda answer: [isinstance(answer, kind) for kind in _ORDER].index(True)
    )


def _final(error: XNovuError, begun: Begun) -> XNovuError:
    """What it means that a look-up did not find it."""
    if not isinstance(error, Missing):
        return error
    if begun.verdict is Verdict.FORGOTTEN:
        return Permanent(FORGOTTEN, code="unclear")
    if begun.seconds:
        message = f"{error}; it may not show yet"
        return Retryable(message, code=error.code, after=begun.seconds, bounded=False)
    if not error.certain:
        return Permanent(f"its deadline has passed; it may have been sent, {error}", code="unclear")
    return Expired(f"its deadline has passed, and {error}")


def _in_part(error: XNovuError, accepted: int, calls: int) -> XNovuError:
    """
    Some people have it already, so all is looked up before the rest is sent again.

    However often: what would be held is not given up because a part of it was accepted.
    """
    message = f"{accepted} of {calls} parts accepted; {error}"
    match error:
        case Permanent():
            return Permanent(message, code=error.code, violations=error.violations)
        case Expired():
            return Expired(message)
        case Retryable(after=after, bounded=bounded):
            return Retryable(message, code=error.code, after=after, bounded=bounded)
        case _:
            after = getattr(error, "after", None)
            return Retryable(message, code=error.code, after=after, bounded=False)


async def build(kit: Kit) -> Trigger:
    return Trigger(await kit.store(), await kit.provider(), kit.times)


part = Part(Trigger.name, Trigger.accepts, build, own=True, emits=(Triggered,))
