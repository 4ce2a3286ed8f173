"""What the stages and the operators' commands rely on, asked of the project's functions."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from tests.builders import recorded
from tests.conformance.project import NAME, NEVER, WORKFLOW, Project
from xnovu.desk import Search
from xnovu.errors import Permanent
from xnovu.events import Failure, Key, Retraction, Status
from xnovu.sending import Begun, SendTimes, Verdict
from xnovu.sql.store import SqlStore
from xnovu.store import Outcome

LEASE = 600.0
TIMES = SendTimes()
PAST = "2001-01-01T00:00:00Z"
FAILURE = Failure(
    code="refused", stage="trigger", message="no", attempts=2, at=datetime(2026, 1, 2, tzinfo=UTC)
)


async def insert(store: SqlStore, count: int = 1, **columns: object) -> list[int]:
    row = {"enterprise_id": store.enterprise_id, "recipients": [str(uuid4())], "name": NAME}
    return list(await store.insert([{**row, **columns}] * count))


async def claimed(store: SqlStore, count: int = 1) -> list[Key]:
    """So many new rows, claimed."""
    rows = await insert(store, count)
    keys = [claim.captured.key for claim in await store.claim(count, LEASE)]
    assert [key.notification_id for key in keys] == rows
    return keys


async def history(store: SqlStore, key: Key) -> list[tuple[str, str]]:
    found = await store.history(key.notification_id)
    assert found
    return [(line["from_status"], line["to_status"]) for line in found["transitions"]]


async def test_a_row_is_claimed_once_and_only_by_its_enterprise(
    project: Project, store: SqlStore, globex: str
) -> None:
    rows = await insert(store, 3)
    async with project.store(globex) as others:
        assert await others.next_due() is None
        assert list(await others.claim(9, LEASE)) == []
    assert await store.next_due() == 0
    claims = await store.claim(2, LEASE) + await store.claim(9, LEASE)
    assert [claim.captured.notification_id for claim in claims] == rows
    assert {claim.captured.claims for claim in claims} == {1}
    assert len({claim.captured.transaction_id for claim in claims}) == 3
    assert list(await store.claim(9, LEASE)) == []


async def test_what_a_lost_answer_has_claimed_is_found_again(
    project: Project, store: SqlStore, acme: str
) -> None:
    (row,) = await insert(store)
    asked = {"max_rows": 9, "lease_seconds": LEASE, "of_enterprise": acme}
    async with project.functions() as functions:
        told = await functions.call("claim", **asked, token=(token := str(uuid4())))
        assert [record["id"] for record in told] == [row]
        lanes = [record.pop("express") for record in told]  # decided at the claim, and not kept
        assert lanes == [False]
        assert await functions.call("claimed", token=token) == told
        assert list(await functions.call("claimed", token=str(uuid4()))) == []


async def test_a_claim_that_lapses_or_is_given_back_comes_round_again(store: SqlStore) -> None:
    (row,) = await insert(store)
    for claims in (1, 2):
        (claim,) = await store.claim(9, 0.0)
        assert (claim.captured.notification_id, claim.captured.claims) == (row, claims)
    (claim,) = await store.claim(9, LEASE)
    assert claim.captured.claims == 3
    await store.release([claim.captured.key])
    assert len(await store.claim(9, LEASE)) == 1


async def test_a_row_is_loaded_with_the_workflow_of_its_enterprise(
    store: SqlStore, acme: str, workflow: object
) -> None:
    payload = {"a": {"b": [1, 2.5, None, True, "ü"]}, "big": 2**60}
    columns = {"notification_workflow_id": workflow, "payload": payload, "tags": ["vip"]}
    (number,) = await insert(store, **columns)
    (claim,) = await store.claim(1, LEASE)
    (row,) = (await store.load([claim.captured.key])).values()
    notification = row.notification
    assert row.workflow is not None
    assert (row.workflow.workflow_key, row.workflow.enterprise_id) == (WORKFLOW, acme)
    assert (notification.id, notification.payload) == (number, payload)
    assert (notification.tags, notification.name) == (("vip",), NAME)
    assert notification.transaction_id == claim.captured.transaction_id


async def test_only_who_holds_the_claim_may_send(store: SqlStore) -> None:
    (key,) = await claimed(store)
    strangers = [key._replace(claims=2), key._replace(generation=1)]
    assert (await store.begin_send([key, *strangers], TIMES)).verdicts == {key: Begun(Verdict.SEND)}
    await store.retract([key])
    assert (await store.begin_send([key], TIMES)).verdicts == {}


async def test_a_row_is_one_senders_alone_until_it_gives_it_up(
    project: Project, store: SqlStore, acme: str
) -> None:
    sent, unsent = await claimed(store, 2)
    async with project.store(acme) as another:
        mine = await store.begin_send([sent, unsent], TIMES)
        theirs = await another.begin_send([sent, unsent], TIMES)
        assert {begun.verdict for begun in mine.verdicts.values()} == {Verdict.SEND}
        assert {begun.verdict for begun in theirs.verdicts.values()} == {Verdict.BUSY}
        assert all(0 < begun.seconds <= TIMES.lease for begun in theirs.verdicts.values())
        await another.end_send(theirs, [sent, unsent], [])
        await store.end_send(mine, [unsent], [sent])
        theirs = await another.begin_send([sent, unsent], TIMES)
    assert theirs.verdicts[unsent] == Begun(Verdict.SEND)
    assert theirs.verdicts[sent].verdict is Verdict.CHECK
    assert 0 < theirs.verdicts[sent].seconds <= TIMES.settle


async def test_what_comes_too_late_is_not_sent(store: SqlStore) -> None:
    await insert(store, expires_at=PAST)
    (claim,) = await store.claim(9, LEASE)
    key = claim.captured.key
    assert (await store.begin_send([key], TIMES)).verdicts == {key: Begun(Verdict.LATE)}


async def test_what_ended_is_written_once_and_told_again(store: SqlStore) -> None:
    sent, failed = await claimed(store, 2)
    outcomes = [Outcome(sent), Outcome(failed, FAILURE)]
    first = await recorded(store, outcomes)
    assert await recorded(store, outcomes) == first
    assert {change.notification_id: change.status for change in first} == {
        sent.notification_id: Status.SENT,
        failed.notification_id: Status.FAILED,
    }
    assert list(await store.record([Outcome(sent, FAILURE)])) == [], "nothing goes back from SENT"
    assert await history(store, sent) == [("PENDING", "PROCESSING"), ("PROCESSING", "SENT")]


async def test_what_failed_is_listed_and_sent_again_under_a_new_name(
    project: Project, store: SqlStore, globex: str
) -> None:
    (key,) = await claimed(store)
    await store.record([Outcome(key, FAILURE)])
    (failed,) = await store.failed(Search(), 9)
    assert (failed.key.notification_id, failed.code) == (key.notification_id, "refused")
    async with project.store(globex) as others:
        assert list(await others.failed(Search(), 9)) == []
        assert list(await others.redrive([failed.key])) == []
    (again,) = await store.redrive([failed.key])
    assert again.generation == failed.key.generation + 1
    assert list(await store.redrive([failed.key])) == []
    (claim,) = await store.claim(9, LEASE)
    assert claim.captured.key == again._replace(claims=1)


async def test_what_is_taken_back_is_told_to_who_asks(
    project: Project, store: SqlStore, globex: str
) -> None:
    (key,) = await claimed(store)
    assert len(await store.retract([key], "a mistake")) == 1
    async with project.store(globex) as others:
        assert list(await others.claim_retractions(9, LEASE)) == []
    (asked,) = await store.claim_retractions(9, LEASE)
    stood = (await store.begin_retraction([asked.key], TIMES))[asked.key]
    assert (stood.previous, stood.seconds) == (Status.PROCESSING, 0.0)
    assert stood.outcome is Retraction.STOPPED, "nobody had begun"
    assert stood.transaction_id and stood.recipients == 1, "what is to be taken back is the row's"
    (told,) = await store.record_retractions({asked.key: Retraction.STOPPED})
    assert (told.status, told.retraction) == (Status.RETRACTED, Retraction.STOPPED)
    assert list(await recorded(store, [Outcome(key)])) == [], "a retraction wins every race"


async def test_what_may_be_under_way_when_it_is_taken_back_is_not_said_to_be_stopped(
    store: SqlStore,
) -> None:
    (key,) = await claimed(store)
    await store.begin_send([key], TIMES)
    await store.retract([key])
    (asked,) = await store.claim_retractions(9, LEASE)
    stood = (await store.begin_retraction([asked.key], TIMES))[asked.key]
    assert (stood.previous, stood.outcome) == (Status.PROCESSING, None)
    assert 0 < stood.seconds <= TIMES.lease + TIMES.settle


async def test_another_enterprises_rows_are_not_found(
    project: Project, store: SqlStore, globex: str
) -> None:
    (key,) = await claimed(store)
    async with project.store(globex) as others:
        assert await others.history(key.notification_id) is None
        stolen = key._replace(enterprise_id=globex)
        assert await others.load([stolen]) == {}
        assert (await others.begin_send([stolen], TIMES)).verdicts == {}
        assert list(await recorded(others, [Outcome(stolen)])) == []
        assert list(await others.retract([stolen])) == []
    assert (await store.begin_send([key], TIMES)).verdicts == {key: Begun(Verdict.SEND)}


@pytest.mark.parametrize(
    ("columns", "named"),
    [({"no_such_column": 1}, "no_such_column"), ({"scheduled_for": "never-ever"}, "scheduled_for")],
)
async def test_a_row_that_cannot_be_is_refused_by_its_column(
    store: SqlStore, columns: dict[str, object], named: str
) -> None:
    with pytest.raises(Permanent, match=named) as refused:
        await insert(store, **columns)
    assert (refused.value.code, "never-ever" in str(refused.value)) == ("invalid_row", False)


async def test_a_row_waits_for_its_time(store: SqlStore) -> None:
    await insert(store, scheduled_for=NEVER)
    assert list(await store.claim(9, LEASE)) == []
    assert (await store.next_due() or 0) > 1e9
