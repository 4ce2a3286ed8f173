"""A claim whose answer never came is not lost, and nothing that is asked again is done twice."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import psycopg
import pytest

from tests.builders import recorded
from xnovu.adapters.postgres.migrations import migrate
from xnovu.adapters.postgres.store import PostgresFunctions
from xnovu.errors import Paused
from xnovu.events import Key, Retraction
from xnovu.sending import Begun, SendTimes, Verdict
from xnovu.sql.store import SqlStore
from xnovu.store import HANDOVER, Outcome
from xnovu.testing.contract.store_bench import ACME, FAILURE

LONG = 600.0
TIMES = SendTimes(LONG, LONG)


class Forgetful:
    """The real functions, but for the answers that are lost once the work is done."""

    most = None

    def __init__(self, functions: PostgresFunctions) -> None:
        self._functions = functions
        self.open, self.close, self.renew = functions.open, functions.close, functions.renew
        self.loses: list[str] = []
        self.early: list[str] = []

    async def call(self, function: str, **arguments: Any) -> Sequence[Any]:
        if function in self.early:
            self.early.remove(function)
            raise Paused("never got there")
        answer = await self._functions.call(function, **arguments)
        if function in self.loses:
            self.loses.remove(function)
            raise Paused("the answer was lost")
        return answer


@pytest.fixture
async def functions(database: str) -> AsyncIterator[Forgetful]:
    migrate(database)
    functions = Forgetful(PostgresFunctions(database))
    await functions.open()
    yield functions
    await functions.close()


@pytest.fixture
async def store(functions: Forgetful) -> SqlStore:
    store = SqlStore(functions)
    await store.insert([{"enterprise_id": ACME}] * 3)
    return store


async def test_what_a_lost_answer_had_claimed_is_due_at_once(
    functions: Forgetful, store: SqlStore
) -> None:
    functions.loses = ["claim", "claim"]
    for _ in range(2):
        with pytest.raises(Paused):
            await store.claim(2, LONG)
    again = await store.claim(9, LONG)
    assert len(again) == 3
    assert {claim.captured.claims for claim in again} <= {1, 2, 3}
    assert list(await store.claim(9, LONG)) == []


async def test_two_that_ask_at_once_do_not_both_get_it(
    functions: Forgetful, store: SqlStore
) -> None:
    functions.loses = ["claim"]
    with pytest.raises(Paused):
        await store.claim(2, LONG)
    claims = await asyncio.gather(store.claim(9, LONG), store.claim(9, LONG))
    assert len({claim.captured.key for found in claims for claim in found}) == 3
    assert sum(map(len, claims)) == 3


async def test_a_claim_that_never_came_there_stands_in_nobodys_way(
    functions: Forgetful, store: SqlStore
) -> None:
    functions.early = ["claim"]
    with pytest.raises(Paused):
        await store.claim(2, LONG)
    assert len(await store.claim(2, LONG)) == 2
    assert len(await store.claim(2, LONG)) == 1


async def a_retraction(store: SqlStore) -> Key:
    claim, *_ = await store.claim(1, LONG)
    await store.retract([claim.captured.key])
    return claim.captured.key


async def test_retractions_that_a_lost_answer_had_claimed_are_due_at_once(
    functions: Forgetful, store: SqlStore
) -> None:
    first, second = await a_retraction(store), await a_retraction(store)
    functions.loses = ["claim_retractions", "claim_retractions"]
    for _ in range(2):
        with pytest.raises(Paused):
            await store.claim_retractions(1, LONG)
    events = await store.claim_retractions(9, LONG)
    assert {event.notification_id for event in events} == {
        first.notification_id,
        second.notification_id,
    }
    assert list(await store.claim_retractions(9, LONG)) == []


async def test_a_claim_of_retractions_that_never_came_there_stands_in_nobodys_way(
    functions: Forgetful, store: SqlStore
) -> None:
    key = await a_retraction(store)
    functions.early = ["claim_retractions"]
    with pytest.raises(Paused):
        await store.claim_retractions(9, LONG)
    (event,) = await store.claim_retractions(9, LONG)
    assert event.key == key._replace(claims=2)


async def test_the_outcome_of_a_retraction_told_again_says_the_same(
    functions: Forgetful, store: SqlStore
) -> None:
    await a_retraction(store)
    (event,) = await store.claim_retractions(9, LONG)
    functions.loses = ["record_retractions"]
    with pytest.raises(Paused):
        await store.record_retractions({event.key: Retraction.CANCELLED})
    (told,) = await store.record_retractions({event.key: Retraction.TOO_LATE})
    assert told.retraction is Retraction.CANCELLED


async def test_an_outcome_told_again_says_the_same(functions: Forgetful, store: SqlStore) -> None:
    sent, failed, _ = [claim.captured.key for claim in await store.claim(3, LONG)]
    outcomes = [Outcome(sent), Outcome(failed, FAILURE)]
    functions.loses = ["record"]
    with pytest.raises(Paused):
        await recorded(store, outcomes)
    told = await recorded(store, outcomes)
    assert [change.key for change in told] == [sent, failed]
    functions.loses = ["redrive"]
    with pytest.raises(Paused):
        await store.redrive([failed])
    assert list(await store.redrive([failed])) == []
    (again,) = await store.claim(3, LONG)
    assert again.captured.generation == failed.generation + 1


async def test_what_a_lost_answer_had_begun_was_not_sent(
    functions: Forgetful, store: SqlStore
) -> None:
    """Its sender's time is not waited for, and nothing is looked up."""
    keys = [claim.captured.key for claim in await store.claim(3, LONG)]
    functions.loses = ["begin_send", "begin_send"]
    for _ in range(2):
        with pytest.raises(Paused):
            await store.begin_send(keys, TIMES)
    verdicts = (await store.begin_send(keys, TIMES)).verdicts
    assert verdicts == dict.fromkeys(keys, Begun(Verdict.SEND))


async def test_what_was_in_doubt_before_still_is(functions: Forgetful, store: SqlStore) -> None:
    [claim] = await store.claim(1, LONG)
    over = SendTimes(1e-6, 0.0)
    await store.begin_send([claim.captured.key], over)
    functions.loses = ["begin_send"]
    with pytest.raises(Paused):
        await store.begin_send([claim.captured.key], SendTimes(LONG, 0.0))
    verdicts = (await store.begin_send([claim.captured.key], over)).verdicts
    assert verdicts == {claim.captured.key: Begun(Verdict.CHECK)}


async def test_anothers_lost_answer_is_waited_for(functions: Forgetful, store: SqlStore) -> None:
    [claim] = await store.claim(1, LONG)
    functions.loses = ["begin_send"]
    with pytest.raises(Paused):
        await store.begin_send([claim.captured.key], TIMES)
    verdicts = (await SqlStore(functions).begin_send([claim.captured.key], TIMES)).verdicts
    assert verdicts[claim.captured.key].verdict is Verdict.BUSY


async def test_an_end_told_again_is_told_once(functions: Forgetful, store: SqlStore) -> None:
    keys = [claim.captured.key for claim in await store.claim(2, LONG)]
    sending = await store.begin_send(keys, TIMES)
    functions.loses = ["end_send"]
    with pytest.raises(Paused):
        await store.end_send(sending, keys[:1], keys[1:])
    await store.end_send(sending, keys[:1], keys[1:])
    verdicts = (await store.begin_send(keys, TIMES)).verdicts
    assert [verdicts[key].verdict for key in keys] == [Verdict.SEND, Verdict.CHECK]


async def test_where_a_retraction_stands_is_asked_again(
    functions: Forgetful, store: SqlStore
) -> None:
    await a_retraction(store)
    (event,) = await store.claim_retractions(9, LONG)
    functions.loses = ["begin_retraction"]
    with pytest.raises(Paused):
        await store.begin_retraction([event.key], TIMES)
    stands = (await store.begin_retraction([event.key], TIMES))[event.key]
    assert stands.outcome is Retraction.STOPPED


async def test_what_a_dead_claimer_never_handed_over_is_due_soon(
    functions: Forgetful, store: SqlStore, database: str
) -> None:
    """Its claim may be for long: nobody else would have them until then."""
    [first] = await store.claim(1, LONG)
    store.handed_over([first.captured.key])
    lost = await store.claim(9, LONG)
    other = SqlStore(functions)
    assert 0 < (await other.next_due() or 0.0) <= HANDOVER
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE notify.xnovu_claim SET until = now()")
    assert await other.next_due() == 0
    again = await other.claim(9, LONG)
    assert [claim.captured.key for claim in again] == [
        claim.captured.key._replace(claims=2) for claim in lost
    ]
    assert first.captured.key not in {claim.captured.key for claim in again}
    other.handed_over([claim.captured.key for claim in again])
    assert LONG / 2 < (await other.next_due() or 0.0) <= LONG


async def test_retractions_of_a_dead_claimer_are_due_soon(
    functions: Forgetful, store: SqlStore, database: str
) -> None:
    key = await a_retraction(store)
    store.handed_over([key])
    await store.claim_retractions(9, LONG)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE notify.xnovu_claim SET until = now()")
    other = SqlStore(functions)
    await other.claim(9, LONG)
    (event,) = await other.claim_retractions(9, LONG)
    assert event.key == key._replace(claims=3)
