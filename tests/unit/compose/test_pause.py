"""Whether and for how long one process stops the others."""

import asyncio

import pytest

from tests.conftest import eventually
from xnovu.compose.pause import FleetPause
from xnovu.errors import Paused
from xnovu.events import Key
from xnovu.observer import Report
from xnovu.policy import Dead, Done, Fate, Hold, Retry

KEY = Key("acme", 1)
SECONDS = 0.3


class Mailbox:
    """What a transport is to this: remembers what it was asked, and may be out of reach."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_paused, self.reachable, self.refused = False, True, 0

    async def pause(self, name: str, seconds: float, reason: str) -> None:
        if not self.reachable:
            raise Paused("away")
        self.asked.append(reason)
        self.is_paused = True

    async def resume(self, name: str) -> None:
        self.refused += not self.reachable
        if not self.reachable:
            raise Paused("away")
        self.asked.append("resume")
        self.is_paused = False

    async def paused(self, name: str) -> bool:
        return self.is_paused


@pytest.fixture
async def mailbox():
    return Mailbox()


@pytest.fixture
async def fleet(mailbox: Mailbox):
    fleet = FleetPause(mailbox, SECONDS)
    yield fleet
    await fleet.stop()


class Batch:
    """A batch in a task of its own, that is held and finished when the test says so."""

    def __init__(self, fleet: FleetPause, code: str = "provider_auth") -> None:
        self.fleet, self.code = fleet, code
        self.fate: asyncio.Future[Fate] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._live())

    async def _live(self) -> None:
        self.fleet.began("trigger", 1)
        self.fleet.held("trigger", 1, Hold(1.0, "no", self.code))
        fate = await self.fate
        self.fleet.finished(Report("trigger", [(KEY, fate)], 1.0))

    async def ends(self, fate: Fate) -> None:
        self.fate.set_result(fate)
        await self.task


async def test_the_first_hold_pauses_and_getting_through_resumes(fleet, mailbox):
    first, second = Batch(fleet), Batch(fleet)
    await eventually(lambda: mailbox.asked == ["provider_auth: no"])
    await first.ends(Done())
    await eventually(lambda: mailbox.asked == ["provider_auth: no", "resume"])
    await second.ends(Done())
    assert mailbox.asked == ["provider_auth: no", "resume"]


@pytest.mark.parametrize("fate", [Done(), Dead("refused")], ids=lambda fate: type(fate).__name__)
async def test_any_answer_about_the_message_itself_is_getting_through(fleet, mailbox, fate):
    batch, other = Batch(fleet), Batch(fleet)
    await eventually(lambda: mailbox.is_paused)
    await batch.ends(fate)
    await eventually(lambda: not mailbox.is_paused)
    other.task.cancel()


async def test_who_still_holds_something_keeps_the_others_out(fleet, mailbox):
    batch, other = Batch(fleet), Batch(fleet)
    await eventually(lambda: mailbox.is_paused)
    await batch.ends(Retry(30.0, "unclear", "provider_unclear"))
    await eventually(lambda: mailbox.asked.count("provider_auth: no") > 2)
    assert mailbox.is_paused
    await other.ends(Retry(0.0, "given back", "stopping", spent=False))
    await eventually(lambda: not mailbox.is_paused)


async def test_a_pause_is_renewed_while_what_was_said_holds(fleet, mailbox):
    batch = Batch(fleet)
    await eventually(lambda: len(mailbox.asked) >= 4)
    assert set(mailbox.asked) == {"provider_auth: no"}
    batch.task.cancel()
    await eventually(lambda: mailbox.asked[-1] == "resume")


async def test_who_cannot_reach_the_provider_pauses_the_others_once(fleet, mailbox):
    """It may be the only one."""
    batch = Batch(fleet, "provider_unavailable")
    await eventually(lambda: mailbox.asked)
    later = asyncio.get_running_loop().time() + 3 * SECONDS
    await eventually(lambda: asyncio.get_running_loop().time() > later)
    assert mailbox.asked == ["provider_unavailable: no"]
    Batch(fleet).task.add_done_callback(lambda _: None)
    await eventually(lambda: "provider_auth: no" in mailbox.asked)
    await batch.ends(Done())


async def test_whom_another_one_has_overruled_pauses_no_more_until_it_gets_through(fleet, mailbox):
    batch = Batch(fleet)
    await eventually(lambda: mailbox.is_paused)
    mailbox.is_paused = False
    asked = len(mailbox.asked)
    another = Batch(fleet)
    later = asyncio.get_running_loop().time() + 3 * SECONDS
    await eventually(lambda: asyncio.get_running_loop().time() > later)
    assert len(mailbox.asked) <= asked + 1, "one may have been on its way"
    await batch.ends(Done())
    await another.ends(Done())
    await eventually(lambda: mailbox.asked[-1] == "resume")
    again = Batch(fleet)
    await eventually(lambda: mailbox.asked[-1] == "provider_auth: no")
    await again.ends(Done())


@pytest.mark.parametrize("code", ["rate_limited", "database_unavailable", "broker", "paused"])
async def test_what_is_not_the_provider_stops_nobody_else(fleet, mailbox, code: str):
    batch = Batch(fleet, code)
    await asyncio.sleep(0)
    await batch.ends(Done())
    assert mailbox.asked == []


async def test_out_of_the_brokers_reach_nothing_is_paused_and_nothing_breaks(mailbox):
    """What may have been paused all the same is resumed."""
    fleet = FleetPause(mailbox, seconds=60.0)
    mailbox.reachable = False
    batch = Batch(fleet)
    await batch.ends(Done())
    await eventually(lambda: mailbox.refused)
    mailbox.reachable = True
    await eventually(lambda: mailbox.asked == ["resume"])
    await fleet.stop()


async def test_a_broker_that_is_away_just_then_is_told_later_that_it_goes_on(mailbox):
    """Else everybody would wait for the end of a pause whose cause is over."""
    fleet = FleetPause(mailbox, seconds=60.0)
    batch = Batch(fleet)
    await eventually(lambda: mailbox.is_paused)
    mailbox.reachable = False
    await batch.ends(Done())
    await eventually(lambda: mailbox.refused)
    mailbox.reachable = True
    await eventually(lambda: not mailbox.is_paused)
    await fleet.stop()


async def test_what_is_paused_anew_is_not_resumed_for_what_was_before(fleet, mailbox):
    first = Batch(fleet)
    await eventually(lambda: mailbox.is_paused)
    mailbox.reachable = False
    await first.ends(Done())
    await eventually(lambda: mailbox.refused)
    second = Batch(fleet)
    mailbox.reachable = True
    await eventually(lambda: len(mailbox.asked) > 1)
    assert "resume" not in mailbox.asked
    await second.ends(Done())
    await eventually(lambda: not mailbox.is_paused)
