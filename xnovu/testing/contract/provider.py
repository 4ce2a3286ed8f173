"""What every provider promises. A row of this file is a promise in ``xnovu.ports``."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from xnovu.errors import Missing, Paused, Permanent, XNovuError
from xnovu.events import Notification
from xnovu.ports import Provider, Trigger
from xnovu.retraction import Recall, Recalled
from xnovu.testing.waiting import eventually

ANY_TIME = math.inf
"""Until when requests may begin, where it does not matter."""

REFUSED = 13
"""The notification that no provider takes."""


@dataclass(frozen=True, slots=True)
class World:
    """
    A provider, how often a transaction reached somebody, and a way to take it down.

    It knows four workflows: "welcome" reaches people at once; "inbox" can be taken back, "digest"
    cancelled for an hour; "refused" is refused. One that cannot tell whether it has a call, or
    cannot take one back, says so.
    """

    provider: Provider
    times: Callable[[str], int]
    down: Callable[[], None]
    up: Callable[[], None]
    looks_up: bool = True
    recalls: bool = True


def call(
    number: int,
    *,
    look_up: bool = False,
    send: bool = True,
    recipients: int = 1,
    workflow: str = "welcome",
) -> Trigger:
    """One call, of the notification of that number."""
    transaction = f"3c4b1a5e-0000-4000-8000-{number:012d}"
    people = tuple(f"user-{n}" for n in range(recipients))
    notification = Notification(
        id=number,
        enterprise_id="acme",
        workflow_key="refused" if number == REFUSED else workflow,
        transaction_id=transaction,
        recipients=people,
        payload={"n": number},
    )
    return Trigger(transaction, notification, people, look_up, send)


def recall(made: Trigger) -> Recall:
    """What takes that call back."""
    return Recall(made.transaction_id, len(made.recipients))


def codes(verdicts: Sequence[XNovuError | None]) -> list[str | None]:
    """Why each was not accepted, in a word; None: it was."""
    return [verdict and verdict.code for verdict in verdicts]


def needs(promised: bool) -> None:
    """Skip a test of what this provider does not promise."""
    if not promised:
        pytest.skip("this provider does not promise it")


async def once(world: World, *calls: Trigger) -> None:
    """Each of the calls has reached somebody once."""
    for one in calls:
        await eventually(lambda one=one: world.times(one.transaction_id) == 1)


TAKEN_BACK = [
    ("digest", Recalled(there=True, settled=True, spared=True)),
    ("inbox", Recalled(there=True, settled=True, spared=True)),
    ("welcome", Recalled(there=True, settled=True, sent=True)),
]


class ProviderContract:
    """Subclass it in a test module, with a fixture ``world`` of your provider's."""

    async def test_nothing_asked_nothing_said(self, world: World) -> None:
        assert list(await world.provider.trigger([], ANY_TIME)) == []

    @pytest.mark.parametrize("count", [1, 2, 100, 130])
    async def test_every_call_is_made_and_told_of_in_order(self, world: World, count: int) -> None:
        calls = [call(1000 + n) for n in range(count)]
        assert list(await world.provider.trigger(calls, ANY_TIME)) == [None] * count
        await once(world, *calls)

    async def test_a_refused_call_is_no_concern_of_the_others(self, world: World) -> None:
        calls = [call(1), call(REFUSED), call(2)]
        verdicts = await world.provider.trigger(calls, ANY_TIME)
        assert codes(verdicts) == [None, "provider_refused", None]
        assert isinstance(verdicts[1], Permanent)
        await once(world, calls[0], calls[2])
        assert world.times(calls[1].transaction_id) == 0

    async def test_a_call_that_was_made_is_found_and_not_made_again(self, world: World) -> None:
        needs(world.looks_up)
        assert list(await world.provider.trigger([call(1), call(2)], ANY_TIME)) == [None, None]
        await once(world, call(1), call(2))
        again = [call(1, look_up=True), call(2, look_up=True), call(3, look_up=True)]
        assert list(await world.provider.trigger(again, ANY_TIME)) == [None] * 3
        await once(world, *again)

    async def test_the_same_call_twice_in_a_batch_is_made_once(self, world: World) -> None:
        assert (
            list(await world.provider.trigger([call(1), call(1), call(2)], ANY_TIME)) == [None] * 3
        )
        await once(world, call(1), call(2))

    @pytest.mark.parametrize("count", [1, 3])
    async def test_a_provider_that_is_away_pauses_and_takes_it_later(
        self, world: World, count: int
    ) -> None:
        calls = [call(n) for n in range(count)]
        world.down()
        verdicts = await world.provider.trigger(calls, ANY_TIME)
        assert {type(verdict) for verdict in verdicts} == {Paused}
        assert codes(verdicts) == ["provider_unavailable"] * count
        world.up()
        assert list(await world.provider.trigger(calls, ANY_TIME)) == [None] * count
        await once(world, *calls)

    async def test_a_call_for_a_hundred_is_taken_and_for_more_refused(self, world: World) -> None:
        verdicts = await world.provider.trigger(
            [call(1, recipients=100), call(2, recipients=101)], ANY_TIME
        )
        assert codes(verdicts) == [None, "too_many_recipients"]
        assert isinstance(verdicts[1], Permanent)
        await once(world, call(1))

    async def test_a_call_that_is_only_looked_up_is_found_or_missing_and_never_made(
        self,
        world: World,
    ) -> None:
        needs(world.looks_up)
        assert list(await world.provider.trigger([call(1)], ANY_TIME)) == [None]
        await once(world, call(1))
        late = [call(1, look_up=True, send=False), call(2, look_up=True, send=False)]
        verdicts = await world.provider.trigger([*late, call(3)], ANY_TIME)
        assert [verdict and type(verdict) for verdict in verdicts] == [None, Missing, None]
        await once(world, call(1), call(3))
        assert world.times(call(2).transaction_id) == 0

    async def test_what_was_missing_may_be_made_later(self, world: World) -> None:
        needs(world.looks_up)
        [missing] = await world.provider.trigger([call(1, look_up=True, send=False)], ANY_TIME)
        assert isinstance(missing, Missing)
        assert list(await world.provider.trigger([call(1, look_up=True)], ANY_TIME)) == [None]
        await once(world, call(1))

    @pytest.mark.parametrize(("workflow", "came_to"), TAKEN_BACK)
    async def test_a_call_is_taken_back_as_far_as_it_can_be(
        self, world: World, workflow: str, came_to: Recalled
    ) -> None:
        needs(world.recalls)
        made = call(1, workflow=workflow, recipients=3)
        assert list(await world.provider.trigger([made], ANY_TIME)) == [None]
        await once(world, made)
        for _ in range(2):
            assert list(await world.provider.cancel([recall(made)])) == [came_to]

    async def test_each_of_many_is_told_of_in_order(self, world: World) -> None:
        needs(world.recalls)
        made = [
            call(n, workflow=flow) for n, flow in enumerate(("digest", "welcome", "digest"), 20)
        ]
        assert list(await world.provider.trigger(made, ANY_TIME)) == [None] * 3
        await once(world, *made)
        recalled = await world.provider.cancel([recall(one) for one in (*made, call(30))])
        told = [one for one in recalled if isinstance(one, Recalled)]
        assert [(one.there, one.sent) for one in told] == [
            (True, False),
            (True, True),
            (True, False),
            (False, False),
        ]

    async def test_what_was_never_made_is_not_there(self, world: World) -> None:
        needs(world.recalls)
        assert list(await world.provider.cancel([recall(call(1))])) == [Recalled()]
        assert list(await world.provider.cancel([])) == []

    async def test_a_provider_that_is_away_takes_back_later(self, world: World) -> None:
        needs(world.recalls)
        made = call(1, workflow="digest")
        assert list(await world.provider.trigger([made], ANY_TIME)) == [None]
        await once(world, made)
        world.down()
        [told] = await world.provider.cancel([recall(made)])
        assert isinstance(told, Paused)
        world.up()
        [told] = await world.provider.cancel([recall(made)])
        assert told == Recalled(there=True, settled=True, spared=True)
