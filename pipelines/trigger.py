"""Trigger: hand each notification to the provider, and remember what it answered."""

from collections.abc import Mapping, Sequence

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

_ORDER = (Retryable, Paused, Expired, Permanent)


class Trigger:
    """
    Asks the store what is still wanted, then the provider, once for the whole batch.

    A notification for more than 100 recipients is several calls, each with a transaction id of
    its own, and ends as one. What is past its deadline is not sent any more, but looked up if it
    may have been sent before: ``quiet`` seconds after the deadline that has surely shown. What is
    about to be sent keeps its claim for ``hold`` seconds. ``settle`` seconds after the provider has
    accepted something, it surely shows it.
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
        wanted = await self._store.still_wanted(list(unique), self._hold)
        late = await self._late([key for key in unique if key not in wanted])
        results: dict[Key, Result] = {key: Expired("its deadline has passed") for key in late}
        asked = [e for key, e in unique.items() if key in wanted or (key in late and e.doubtful)]
        results |= await self._send(asked, late)
        first_time = set(unique)
        return [
            results.get(e.event.key, Done()) if _take(first_time, e.event.key) else Done()
            for e in batch
        ]

    async def _late(self, unwanted: Sequence[Key]) -> Mapping[Key, float]:
        return await self._store.overdue(unwanted) if unwanted else {}

    async def _send(
        self, asked: Sequence[Envelope[Hydrated]], late: Mapping[Key, float]
    ) -> dict[Key, Result]:
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
        Call(name, notification, people[of.start : of.stop], doubtful, overdue)
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
