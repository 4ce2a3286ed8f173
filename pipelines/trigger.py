"""Trigger: hand each notification to the provider, and remember what it answered."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from faststream import FastStream

from xnovu.compose import Kit, Part, serve
from xnovu.envelope import Envelope
from xnovu.errors import Expired, Paused, Permanent, Retryable, XNovuError
from xnovu.events import Hydrated, Key, Triggered
from xnovu.policy import Done, Result
from xnovu.ports import HOLD, SETTLE, Provider, Store
from xnovu.ports import Trigger as Call
from xnovu.retraction import parts

Answer = XNovuError | None

Late = Mapping[Key, float]
"""Past their deadline, and by how many seconds."""

_ORDER = (Retryable, Paused, Expired, Permanent)


class Trigger:
    """
    Asks the store what is still wanted, then the provider, once for the whole batch.

    A notification for more than 100 recipients is several calls, each with a transaction id of
    its own, and ends as one. What is past its deadline is not sent any more, but looked up if it
    may have been sent before: ``quiet`` seconds after the deadline that has surely shown. What is
    about to be sent keeps its claim for ``hold`` seconds. ``settle`` seconds after the provider has
    accepted something, it surely shows it.

    What somebody else may be sending is left to him for as long as he can need, ``quiet`` seconds,
    and comes back then to be looked up.
    """

    name = "trigger"
    accepts = (Hydrated,)

    def __init__(
        self,
        store: Store,
        provider: Provider,
        quiet: float,
        hold: float = HOLD,
        settle: float = SETTLE,
    ) -> None:
        self._store, self._provider = store, provider
        self._quiet, self._hold, self._settle = quiet, hold, settle

    async def handle(self, batch: Sequence[Envelope[Hydrated]]) -> Sequence[Result]:
        unique = _unique(batch)
        ours = await self._store.still_wanted(list(unique), self._hold, self._quiet)
        try:
            results, late = await self._left_alone([key for key in unique if key not in ours])
        except XNovuError:
            await self._let_go(ours)
            raise
        asked = [e for key, e in unique.items() if key in ours or (key in late and e.doubtful)]
        sent = await self._send(asked, late)
        for seconds, keys in _not_sent({key: sent[key] for key in ours}).items():
            await self._let_go(keys, seconds)
        results |= sent
        first_time = set(unique)
        return [
            results.get(e.event.key, Done()) if _take(first_time, e.event.key) else Done()
            for e in batch
        ]

    async def _left_alone(self, keys: Sequence[Key]) -> tuple[dict[Key, Result], Late]:
        """What becomes of those that are not to be sent, as far as anything does; and the late."""
        if not keys:
            return {}, {}
        late = await self._store.overdue(keys)
        busy = await self._store.being_sent([key for key in keys if key not in late])
        results: dict[Key, Result] = {key: Expired("its deadline has passed") for key in late}
        return results | {key: _being_sent(seconds) for key, seconds in busy.items()}, late

    async def _let_go(self, keys: Collection[Key], seconds: float = 0.0) -> None:
        """Keep them from others for no longer than that."""
        with suppress(XNovuError):  # then they wait for as long as they would have
            await self._store.let_go(list(keys), seconds)

    async def _send(self, asked: Sequence[Envelope[Hydrated]], late: Late) -> dict[Key, Result]:
        split = [_calls(envelope, overdue=envelope.event.key in late) for envelope in asked]
        answers = iter(await self._provider.trigger([call for calls in split for call in calls]))
        results = {
            envelope.event.key: self._result(envelope.event, [next(answers) for _ in calls])
            for envelope, calls in zip(asked, split, strict=True)
        }
        return {key: self._for_sure(result, late.get(key)) for key, result in results.items()}

    def _result(self, event: Hydrated, answers: Sequence[Answer]) -> Result:
        refused = [answer for answer in answers if answer is not None]
        if not refused:
            return Done.then(_triggered(event, len(answers)))
        if len(refused) == len(answers):
            return _worst(refused)
        accepted = len(answers) - len(refused)
        return _in_part(_worst(refused), accepted, len(answers), self._settle)

    def _for_sure(self, result: Result, late: float | None) -> Result:
        """What was sent just before its deadline may not have shown yet."""
        if late is None or late >= self._quiet or not isinstance(result, Expired):
            return result
        wait = self._quiet - late
        return Retryable(str(result), code="provider_unclear", after=wait, bounded=False)


def _being_sent(seconds: float) -> Retryable:
    """Whoever it is looks it up after that, too, if this one comes first."""
    what = "another worker may be sending it"
    return Retryable(what, code="being_sent", after=seconds, bounded=False)


def _not_sent(sent: Mapping[Key, Result]) -> Mapping[float, Sequence[Key]]:
    """What is to be tried again, by the seconds until a look-up tells; 0: surely not sent."""
    waits: dict[float, list[Key]] = defaultdict(list)
    for key, result in sent.items():
        match result:
            case Retryable(after=after):
                waits[after or 0.0].append(key)
            case Paused():
                waits[0.0].append(key)
            case _:  # it has ended
                pass
    return waits


def _unique(batch: Sequence[Envelope[Hydrated]]) -> dict[Key, Envelope[Hydrated]]:
    """One copy of each; of two, the one that may have been sent before."""
    copies: dict[Key, Envelope[Hydrated]] = {}
    for envelope in batch:
        if envelope.redelivered or envelope.event.key not in copies:
            copies[envelope.event.key] = envelope
    return copies


def _take(keys: set[Key], key: Key) -> bool:
    """The first copy in a batch stands for all; the others are done with it."""
    if key in keys:
        keys.remove(key)
        return True
    return False


def _calls(envelope: Envelope[Hydrated], *, overdue: bool) -> list[Call]:
    notification, doubtful = envelope.event.notification, envelope.doubtful
    people = notification.recipients
    return [
        Call(name, notification, people[of.start : of.stop], doubtful, overdue, envelope.express)
        for name, of in parts(notification.transaction_id, len(people))
    ]


def _triggered(event: Hydrated, calls: int) -> Triggered:
    return Triggered(
        notification_id=event.notification_id,
        enterprise_id=event.enterprise_id,
        generation=event.generation,
        claims=event.claims,
        transaction_id=event.notification.transaction_id,
        calls=calls,
    )


def _worst(refused: Sequence[XNovuError]) -> XNovuError:
    """
    What decides for the whole.

    Nothing is given up while a part is open, and nothing is held, to be sent once more
    without a look-up, while the outcome of a part is unclear.
    """
    return min(refused, key=lambda answer: _ORDER.index(type(answer)))


def _in_part(error: XNovuError, accepted: int, parts: int, settle: float) -> XNovuError:
    """
    Some people have it already, so the rest is looked up before it is sent again.

    However often: what would be held is not given up because a part of it was accepted.
    """
    message = f"{accepted} of {parts} parts accepted; {error}"
    if isinstance(error, Permanent):
        return Permanent(message, code=error.code, violations=error.violations)
    if isinstance(error, Expired):
        return Expired(message)
    wait = max(settle, getattr(error, "after", None) or 0.0)
    bounded = not isinstance(error, Paused)
    return Retryable(message, code=error.code, after=wait, bounded=bounded)


async def build(kit: Kit) -> Trigger:
    store, provider = await kit.store(), await kit.provider()
    return Trigger(store, provider, kit.quiet, kit.hold, kit.settle)


part = Part(Trigger.name, Trigger.accepts, build)


def app() -> FastStream:
    return serve(part)
