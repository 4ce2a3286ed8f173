"""Taking calls back: cancelled while Novu waits, deleted from inboxes, and what is left of them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from xnovu.adapters.novu.activity import Reach, reach_of
from xnovu.adapters.novu.answers import unclear
from xnovu.adapters.novu.link import Link
from xnovu.adapters.novu.pace import Rank
from xnovu.errors import XNovuError
from xnovu.events import is_transaction_id
from xnovu.retraction import Recall, Recalled
from xnovu.together import all_of

PAGE = 50
"""Notifications asked for at once; Novu may give fewer, and says that there are more."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Recalling:
    """Calls being taken back, side by side. No request begins after ``until`` (loop time)."""

    link: Link
    until: float

    async def run(self, calls: Sequence[Recall]) -> list[Recalled | XNovuError]:
        return await all_of(map(self._taken_back, calls))

    async def _taken_back(self, call: Recall) -> Recalled | XNovuError:
        if not is_transaction_id(call.transaction_id):  # nothing is ever sent under such an id
            return Recalled()
        try:
            return await self._take_back(call)
        except XNovuError as error:
            return error
        except Exception as error:  # noqa: BLE001 - one call's trouble is no concern of the others
            return unclear(type(error).__name__)

    async def _take_back(self, call: Recall) -> Recalled:
        """
        Cancel first: what is cancelled in time need not be taken back.

        The look-up after it tells an earlier cancellation, too, whose answer nobody heard.
        """
        wire, name = self.link.wire, call.transaction_id
        cancelled = await self._in_turn(wire.cancel, name)
        people = await self._people(name)
        reached = any(person.in_app for person in people)
        emptied = reached and await self._in_turn(wire.take_back, name)
        return _recalled(call, people, cancelled=cancelled, emptied=emptied)

    async def _in_turn(self, ask: Callable[[str], Awaitable[T | XNovuError]], name: str) -> T:
        async with self.link.turn(1, self.until, Rank.CANCEL) as late:
            answer = _heard(late) or await ask(name)
        if isinstance(answer, XNovuError):
            self.link.heed(answer)
        return _heard(answer)

    async def _people(self, name: str) -> list[Reach]:
        """Everybody of a transaction whom Novu knows, page by page."""
        people: list[Reach] = []
        number, more = 0, True
        while more:
            async with self.link.place(self.link.look_ups, self.until) as late:
                page = _heard(late) or await self.link.wire.page(name, number, PAGE)
            people += map(reach_of, (found := _heard(page)).entries)
            number, more = number + 1, found.more
        return people


def _heard(answer: T | XNovuError) -> T:
    if isinstance(answer, XNovuError):
        raise answer
    return answer


def _recalled(call: Recall, people: Sequence[Reach], *, cancelled: bool, emptied: bool) -> Recalled:
    if not people:  # Novu keeps the jobs of a long delay, and forgets to list them
        return Recalled(there=cancelled, settled=cancelled, spared=cancelled)
    waiting = any(person.waiting for person in people)
    in_app = any(person.in_app for person in people)
    return Recalled(
        there=True,
        settled=not waiting and len(people) >= call.people,
        sent=waiting or any(person.sent for person in people) or (in_app and not emptied),
        spared=cancelled or emptied or any(person.cancelled for person in people),
    )
