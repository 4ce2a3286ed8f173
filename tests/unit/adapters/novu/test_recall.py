"""Taking calls back: what is asked of Novu, in which order, and what its answers come to."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.conftest import eventually
from tests.unit.adapters.novu.building import (
    ANY_TIME,
    NOTIFICATIONS,
    TRIGGER,
    Scripted,
    call,
    listing,
    opened,
    problem,
    transaction,
)
from tests.unit.adapters.novu.table import NOT_ABOUT_IT
from xnovu.errors import Paused, Retryable
from xnovu.retraction import Recall, Recalled
from xnovu_local.novu import Fault, LocalNovuOptions, Step, Workflow, running_novu

CANCEL = f"{TRIGGER}/{transaction(1)}"
MESSAGES = f"/v1/messages/transaction/{transaction(1)}"
NOTHING = Recalled()


def said(data: bool) -> httpx.Response:
    return httpx.Response(200, json={"data": data})


def listed(*people: dict[str, Any], more: bool = False) -> httpx.Response:
    ids = {"_environmentId": "e", "_organizationId": "o", "_subscriberId": "s"}
    found = [{**ids, "transactionId": transaction(1), **person} for person in people]
    return httpx.Response(200, json={"page": 0, "pageSize": 50, "hasMore": more, "data": found})


def jobs(**steps: str) -> dict[str, Any]:
    """A person whose jobs have these statuses, as Novu really writes them: not as the SDK reads."""
    told = [{"type": "trigger", "status": "completed"}]
    return {"jobs": told + [{"type": kind, "status": status} for kind, status in steps.items()]}


class Novu(Scripted):
    """Answers by endpoint: the cancellation, the pages of the look-up, the deletion."""

    def __init__(self, cancelled: object = False, *pages: object, deleted: object = None) -> None:
        super().__init__(*[self._told] * 1000)
        self.cancelled, self.pages = cancelled, list(pages)
        self.deleted = deleted or httpx.Response(204)

    def _told(self, request: httpx.Request) -> httpx.Response:
        answer: Any = self.deleted
        if request.url.path == NOTIFICATIONS:
            answer = self.pages.pop(0) if self.pages else listed()
        elif request.url.path == CANCEL:
            answer = said(self.cancelled) if isinstance(self.cancelled, bool) else self.cancelled
        if isinstance(answer, Exception):
            raise answer
        return answer


async def came_to(novu: Novu, people: int = 1, **options: Any) -> Any:
    async with opened(novu, **options) as provider:
        [recalled] = await provider.cancel([Recall(transaction(1), people)])
    return recalled


OUTCOMES: dict[str, tuple[bool, list[dict[str, Any]], Recalled]] = {
    "unknown": (False, [], NOTHING),
    "cancelled, and not listed any more": (
        True,
        [],
        Recalled(there=True, settled=True, spared=True),
    ),
    "cancelled": (
        True,
        [jobs(digest="canceled", email="canceled")],
        Recalled(there=True, settled=True, spared=True),
    ),
    "cancelled before, and nobody heard": (
        False,
        [jobs(delay="canceled", sms="canceled")],
        Recalled(there=True, settled=True, spared=True),
    ),
    "sent": (False, [jobs(email="completed")], Recalled(there=True, settled=True, sent=True)),
    "into the inbox": (
        False,
        [jobs(in_app="completed")],
        Recalled(there=True, settled=True, spared=True),
    ),
    "into the inbox, the rest cancelled": (
        True,
        [jobs(in_app="completed", delay="canceled", email="canceled")],
        Recalled(there=True, settled=True, spared=True),
    ),
    "into the inbox and sent": (
        False,
        [jobs(in_app="completed", push="completed")],
        Recalled(there=True, settled=True, sent=True, spared=True),
    ),
    "sent, the rest cancelled": (
        True,
        [jobs(email="completed", delay="canceled", sms="canceled")],
        Recalled(there=True, settled=True, sent=True, spared=True),
    ),
    "under way": (False, [jobs(email="queued")], Recalled(there=True, sent=True)),
    "failed everywhere": (False, [jobs(email="failed")], Recalled(there=True, settled=True)),
    "no jobs told": (
        False,
        [{"channels": ["email"]}],
        Recalled(there=True, settled=True, sent=True),
    ),
    "no jobs told, but the inbox": (
        False,
        [{"channels": ["in_app"]}],
        Recalled(there=True, settled=True, spared=True),
    ),
    "nothing told": (False, [{}], Recalled(there=True, settled=True, sent=True)),
}


@pytest.mark.parametrize("name", OUTCOMES)
async def test_what_novu_tells_says_how_far_it_has_got(name: str) -> None:
    cancelled, people, expected = OUTCOMES[name]
    assert await came_to(Novu(cancelled, listed(*people))) == expected


async def test_it_is_cancelled_first_then_looked_up_then_taken_back() -> None:
    novu = Novu(False, listed(jobs(in_app="completed")))
    await came_to(novu)
    asked = [(request.method, request.url.path) for request in novu.requests]
    assert asked == [("DELETE", CANCEL), ("GET", NOTIFICATIONS), ("DELETE", MESSAGES)]
    assert novu.requests[1].url.params["transactionId"] == transaction(1)
    assert novu.requests[2].url.params["channel"] == "in_app"
    assert all(r.headers["authorization"].startswith("ApiKey ") for r in novu.requests)


async def test_nothing_is_taken_back_that_reached_no_inbox() -> None:
    novu = Novu(False, listed(jobs(email="completed")))
    await came_to(novu)
    assert novu.paths == [CANCEL, NOTIFICATIONS]


async def test_everybody_is_looked_at_page_by_page() -> None:
    some, others = [jobs(digest="canceled")] * 50, [jobs(email="completed")] * 10
    novu = Novu(True, listed(*some, more=True), listed(*others))
    recalled = await came_to(novu, people=60)
    assert recalled == Recalled(there=True, settled=True, sent=True, spared=True)
    assert [r.url.params["page"] for r in novu.requests[1:]] == ["0", "1"]
    assert {r.url.params["limit"] for r in novu.requests[1:]} == {"50"}


async def test_whom_novu_has_not_come_to_yet_may_still_be_reached() -> None:
    novu = Novu(True, listed(jobs(digest="canceled")))
    assert await came_to(novu, people=2) == Recalled(there=True, spared=True)


@pytest.mark.parametrize("status", [404, 405, 400, 422])
async def test_an_inbox_that_cannot_be_emptied_has_it_for_good(status: int) -> None:
    novu = Novu(False, listed(jobs(in_app="completed")), deleted=problem(status))
    assert await came_to(novu) == Recalled(there=True, settled=True, sent=True)


@pytest.mark.parametrize("status", [400, 422])
async def test_a_cancellation_that_is_refused_is_none(status: int) -> None:
    novu = Novu(problem(status), listed(jobs(email="completed")))
    assert await came_to(novu) == Recalled(there=True, settled=True, sent=True)


TROUBLE = {name: line for name, line in NOT_ABOUT_IT.items() if "201" not in name and name != "204"}


@pytest.mark.parametrize("name", TROUBLE)
@pytest.mark.parametrize("where", ["cancellation", "look-up", "deletion"])
async def test_trouble_is_what_the_outcome_table_says(name: str, where: str) -> None:
    line, inbox = TROUBLE[name], listed(jobs(in_app="completed"))
    if where == "deletion" and name in ("404", "405", "404 of a proxy"):
        return  # an older Novu does not offer it
    trouble: dict[str, Callable[[], Novu]] = {
        "cancellation": lambda: Novu(line.answer),
        "look-up": lambda: Novu(False, line.answer),
        "deletion": lambda: Novu(False, inbox, deleted=line.answer),
    }
    recalled = await came_to(trouble[where]())
    assert type(recalled) is (Paused if line.kind is Paused else Retryable)
    assert recalled.code == line.code
    assert recalled.after == line.after


async def test_trouble_with_one_is_no_concern_of_the_others() -> None:
    calls = [Recall(transaction(n), 1) for n in (1, 2, 3)]
    novu = Novu(problem(500))
    novu.deleted = said(False)  # the other cancellations
    async with opened(novu) as provider:
        first, *others = await provider.cancel(calls)
    assert isinstance(first, Retryable)
    assert others == [NOTHING, NOTHING]


async def test_a_look_up_of_other_transactions_says_nothing() -> None:
    novu = Novu(False, listed({"transactionId": transaction(2)}))
    assert isinstance(await came_to(novu), Retryable)


async def test_cancellations_count_in_the_rate() -> None:
    calls = [Recall(transaction(n), 1) for n in range(3)]
    novu = Scripted(*[lambda r: listing() if r.method == "GET" else said(False)] * 9)
    async with opened(novu, rate=0.2, timeout=1.0) as provider:
        first, *others = await provider.cancel(calls)
    assert first == NOTHING
    assert [isinstance(one, Paused) and one.code for one in others] == ["rate_limited"] * 2


async def test_a_limit_that_cancelling_meets_holds_sending_up_too() -> None:
    novu = Scripted(httpx.Response(429, headers={"Retry-After": "60"}))
    async with opened(novu) as provider:
        await provider.cancel([Recall(transaction(1), 1)])
        [verdict] = await provider.trigger([call(2)], ANY_TIME)
    assert isinstance(verdict, Paused)
    assert len(novu.requests) == 1


async def test_the_local_novu_is_cancelled_once_it_has_fanned_out() -> None:
    workflows = [Workflow("welcome", steps=(Step("in_app"), Step("email", delay=3600)))]
    options = LocalNovuOptions(fan_out_delay=0.3)
    async with (
        running_novu(options, workflows=workflows) as local,
        opened(url=local.url) as provider,
    ):
        people = tuple(f"person-{n}" for n in range(60))
        assert list(await provider.trigger([call(1, recipients=people)], ANY_TIME)) == [None]
        asked = [Recall(transaction(1), 60)]
        assert list(await provider.cancel(asked)) == [NOTHING]
        await eventually(lambda: local.novu.ledger.totals.fan_outs)
        done = Recalled(there=True, settled=True, spared=True)
        assert list(await provider.cancel(asked)) == [done]
        assert list(await provider.cancel(asked)) == [done], "and says so however often"
        local.novu.script(Fault("reset_after_accept", endpoint="cancel"))
        [unclear] = await provider.cancel(asked)
        assert isinstance(unclear, Retryable)
        [received] = local.novu.inbox.latest(9)
        assert received.taken_back == ("in_app",)
