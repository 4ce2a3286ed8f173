"""The gateway inside a stage: what waits holds nothing up."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.unit.adapters.novu.building import (
    ANY_TIME,
    Scripted,
    call,
    opened,
)
from xnovu.adapters.novu import NovuProvider
from xnovu.envelope import Envelope
from xnovu.errors import XNovuError
from xnovu.events import Event, Hydrated, Notification, Triggered
from xnovu.policy import Done, Hold, Policy, Result
from xnovu.ports import Delivery, Trigger
from xnovu.stage import Actor, Report


@dataclass
class Sends:
    """The least stage that sends."""

    provider: NovuProvider
    name: str = "trigger"
    accepts: tuple[type[Event], ...] = (Hydrated,)

    async def handle(self, batch: Sequence[Envelope[Hydrated]]) -> Sequence[Result]:
        calls = [self._call(one) for one in batch]
        verdicts = await self.provider.trigger(calls, ANY_TIME)
        pairs = zip(verdicts, calls, strict=True)
        return [verdict or self._done(made.notification) for verdict, made in pairs]

    def _call(self, one: Envelope[Hydrated]) -> Trigger:
        notification = one.event.notification
        recipients = notification.recipients
        return Trigger(notification.transaction_id, notification, recipients)

    def _done(self, sent: Notification) -> Result:
        return Done.then(
            Triggered(
                notification_id=sent.id,
                enterprise_id=sent.enterprise_id,
                transaction_id=sent.transaction_id,
            )
        )


@dataclass
class Watching:
    """What is published, and how much of it there was whenever work was held."""

    published: list[str] = field(default_factory=list[str])
    at_holds: list[int] = field(default_factory=list[int])

    async def publish(self, envelopes: Sequence[Envelope[Event]]) -> Sequence[XNovuError | None]:
        self.published += [envelope.id for envelope in envelopes]
        return [None] * len(envelopes)

    def began(self, stage: str, size: int) -> None: ...

    def held(self, stage: str, size: int, hold: Hold) -> None:
        self.at_holds.append(len(self.published))

    def finished(self, report: Report) -> None: ...


async def test_an_actor_emits_what_was_accepted_while_the_rest_waits_for_its_turn() -> None:
    novu, watching = Scripted(), Watching()
    async with opened(novu, rate=5, timeout=0.1, bulk="never") as provider:
        policy = Policy(timeout=30, backoff=0.01)
        actor = Actor(Sends(provider), policy, watching, watching)
        hydrated = [
            Envelope(
                Hydrated(notification_id=n, enterprise_id="acme", notification=call(n).notification)
            )
            for n in range(28)
        ]
        fates = await actor([Delivery(*envelope.encode(), 1) for envelope in hydrated])
    assert all(isinstance(fate, Done) for fate in fates)
    assert watching.at_holds
    assert 0 < watching.at_holds[0] < 28
    assert len(watching.published) == len(novu.requests) == 28
