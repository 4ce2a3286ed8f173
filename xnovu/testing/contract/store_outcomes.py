"""What every store promises of rows in hand: whole, ended once, of one enterprise."""

from xnovu.events import Failure, Key, Status, Unconfirmed, Workflow
from xnovu.sending import SendTimes
from xnovu.store import Outcome
from xnovu.testing.contract.store_bench import (
    ACME,
    FAILURE,
    GLOBEX,
    LONG,
    Bench,
    claimed,
    enterprise,
    from_now,
    insert,
    others,
    recorded,
)


class TestLoad:
    async def test_gives_complete_rows_with_their_workflow(self, bench: Bench) -> None:
        workflow = Workflow(
            workflow_key="welcome",
            enterprise_id=ACME,
            name="Welcome",
            payload_schema={"type": "object"},
            default_channels=("EMAIL",),
            version="3",
        )
        someone = enterprise()
        (key,) = await claimed(
            bench,
            notification_workflow_id=await bench.workflow(workflow),
            name="Hello",
            recipients=[someone],
            payload={"a": [1, {"b": "ü\u2028"}], "n": 12345678901234567890, "f": 1.5},
            overrides={"providers": {}},
            channels=["EMAIL", "IN_APP"],
            tags=["x", "y, z"],
            workflow_version="3",
        )
        row = (await bench.store.load([key]))[key]
        assert (row.key, row.workflow) == (key, workflow)
        found = row.notification
        assert (found.id, found.enterprise_id, found.name) == (key.notification_id, ACME, "Hello")
        assert found.workflow_key == "welcome"
        assert found.recipients == (someone,)
        assert found.payload == {
            "a": [1, {"b": "ü\u2028"}],
            "n": 12345678901234567890,
            "f": 1.5,
        }
        assert found.overrides == {"providers": {}}
        assert (found.channels, found.tags) == (("EMAIL", "IN_APP"), ("x", "y, z"))
        assert found.workflow_version == "3"
        stored = await bench.row(key.notification_id)
        assert found.transaction_id == str(stored["transaction_id"])

    async def test_gives_a_workflow_to_each_of_many(self, bench: Bench) -> None:
        first = Workflow(workflow_key="one", enterprise_id=ACME, name="One")
        second = Workflow(workflow_key="two", enterprise_id=ACME, name="Two", deactivated=True)
        one, two = await bench.workflow(first), await bench.workflow(second)
        keys = await claimed(bench, 3, notification_workflow_id=one)
        keys += await claimed(bench, 2, notification_workflow_id=two)
        rows = await bench.store.load(keys)
        names = [row.workflow.name for key in keys if (row := rows[key]).workflow]
        assert names == ["One"] * 3 + ["Two"] * 2

    async def test_never_gives_the_workflow_of_another_enterprise(self, bench: Bench) -> None:
        theirs = Workflow(workflow_key="welcome", enterprise_id=GLOBEX, name="Theirs")
        reference = await bench.workflow(theirs)
        (key,) = await claimed(bench, notification_workflow_id=reference)
        row = (await bench.store.load([key]))[key]
        assert row.workflow is None
        assert row.notification.workflow_key == str(reference)

    async def test_takes_absent_values_for_empty(self, bench: Bench) -> None:
        (key,) = await claimed(bench, recipients=[])
        found = (await bench.store.load([key]))[key].notification
        assert (found.payload, found.overrides) == ({}, None)
        assert (found.recipients, found.channels, found.tags) == ((), (), ())
        assert found.workflow_key == ""

    async def test_leaves_out_what_is_gone_or_not_ours(self, bench: Bench) -> None:
        kept, gone = await claimed(bench, 2)
        await bench.remove(gone.notification_id)
        strange = kept._replace(enterprise_id="unknown")
        asked = [kept, gone, others(kept), strange, kept._replace(notification_id=0), kept]
        assert set(await bench.store.load(asked)) == {kept}

    async def test_of_nothing_is_nothing(self, bench: Bench) -> None:
        assert dict(await bench.store.load([])) == {}


class TestRecord:
    async def test_writes_sent(self, bench: Bench) -> None:
        (key,) = await claimed(bench)
        (event,) = await recorded(bench.store, [Outcome(key)])
        row = await bench.row(key.notification_id)
        assert str(row["notification_status"]) == "SENT"
        assert row["processed_at"]
        assert (row["claimed_until"], row["error_details"]) == (None, None)
        assert event.key == key
        assert (event.status, event.previous) == (Status.SENT, Status.PROCESSING)
        assert event.transaction_id == str(row["transaction_id"])
        assert event.failure is None
        assert event.at.tzinfo

    async def test_writes_failed_with_the_reason(self, bench: Bench) -> None:
        (key,) = await claimed(bench)
        failure = FAILURE.model_copy(update={"violations": ("payload: too short",)})
        (event,) = await bench.store.record([Outcome(key, failure)])
        assert (event.status, event.failure) == (Status.FAILED, failure)
        details = (await bench.row(key.notification_id))["error_details"]
        assert Failure.model_validate(details) == failure

    async def test_told_again_gives_the_same_event_and_writes_nothing(self, bench: Bench) -> None:
        sent, failed = await claimed(bench, 2)
        outcomes = [Outcome(sent), Outcome(failed, FAILURE)]
        first = await recorded(bench.store, outcomes)
        rows = [await bench.row(key.notification_id) for key in (sent, failed)]
        assert list(await recorded(bench.store, outcomes)) == list(first)
        assert [await bench.row(key.notification_id) for key in (sent, failed)] == rows

    async def test_takes_sent_from_a_stale_claim(self, bench: Bench) -> None:
        (stale,) = await claimed(bench, lease=0.0)
        await bench.store.begin_send([stale], SendTimes(1e-6, 0.0))
        await bench.change(stale.notification_id, claimed_until=from_now(-1))
        (current,) = await bench.store.claim(1, LONG)
        (event,) = await recorded(bench.store, [Outcome(stale)])
        assert event.status is Status.SENT
        assert event.key == current.captured.key, "one fact has one name, whoever states it"
        assert list(await recorded(bench.store, [Outcome(current.captured.key)])) == [event]

    async def test_does_not_believe_that_it_was_sent_where_nobody_has_begun(
        self, bench: Bench
    ) -> None:
        """A forged word of success is told apart from what ended otherwise, and ends nothing."""
        forged, ours, failed = await claimed(bench, 3)
        await bench.store.begin_send([ours], SendTimes())
        outcomes = [Outcome(forged), Outcome(ours), Outcome(failed), Outcome(failed, FAILURE)]
        told = {each.key: each for each in await bench.store.record(outcomes)}
        assert told[forged] == Unconfirmed(forged)
        assert [told[key].status for key in (ours, failed)] == [Status.SENT, Status.FAILED]
        row = await bench.row(forged.notification_id)
        assert str(row["notification_status"]) == "PROCESSING"

    async def test_does_not_take_the_record_of_an_earlier_generation_for_one(
        self, bench: Bench
    ) -> None:
        (key,) = await claimed(bench)
        await bench.store.begin_send([key], SendTimes(1e-6, 0.0))
        await bench.store.record([Outcome(key, FAILURE)])
        (again,) = await bench.store.redrive([key])
        (claim,) = await bench.store.claim(1, LONG)
        assert claim.captured.key == again._replace(claims=1)
        assert list(await bench.store.record([Outcome(key)])) == []
        [told] = await bench.store.record([Outcome(claim.captured.key)])
        assert told == Unconfirmed(claim.captured.key)

    async def test_refuses_failed_from_a_stale_claim(self, bench: Bench) -> None:
        (stale,) = await claimed(bench, lease=0.0)
        (current,) = await bench.store.claim(1, LONG)
        assert list(await bench.store.record([Outcome(stale, FAILURE)])) == []
        batch = [Outcome(stale, FAILURE), Outcome(current.captured.key, FAILURE)]
        (event,) = await recorded(bench.store, batch)
        assert event.status is Status.FAILED

    async def test_refuses_another_generation_or_enterprise(self, bench: Bench) -> None:
        (key,) = await claimed(bench)
        strange = key._replace(enterprise_id="unknown")
        for wrong in (others(key), key._replace(generation=1), strange):
            told = [Outcome(wrong), Outcome(wrong, FAILURE)]
            assert list(await recorded(bench.store, told)) == []
        assert str((await bench.row(key.notification_id))["notification_status"]) == "PROCESSING"

    async def test_never_undoes_a_retraction(self, bench: Bench) -> None:
        (key,) = await claimed(bench)
        await bench.store.retract([key])
        assert list(await recorded(bench.store, [Outcome(key), Outcome(key, FAILURE)])) == []
        row = await bench.row(key.notification_id)
        assert str(row["notification_status"]) == "RETRACTED"

    async def test_leaves_out_what_ended_otherwise(self, bench: Bench) -> None:
        sent, failed = await claimed(bench, 2)
        await recorded(bench.store, [Outcome(sent), Outcome(failed, FAILURE)])
        assert list(await recorded(bench.store, [Outcome(sent, FAILURE), Outcome(failed)])) == []

    async def test_needs_the_row_claimed(self, bench: Bench) -> None:
        (row_id,) = await insert(bench)
        assert list(await recorded(bench.store, [Outcome(Key(ACME, row_id, 0, 0))])) == []

    async def test_prefers_sent_where_told_both(self, bench: Bench) -> None:
        (key,) = await claimed(bench)
        batch = [Outcome(key, FAILURE), Outcome(key), Outcome(key), Outcome(key, FAILURE)]
        (event,) = await recorded(bench.store, batch)
        assert event.status is Status.SENT

    async def test_finds_its_way_in_a_long_batch(self, bench: Bench) -> None:
        keys = await claimed(bench, 300)
        outcomes = [Outcome(key, FAILURE if key.notification_id % 3 else None) for key in keys]
        events = {event.key: event.status for event in await recorded(bench.store, outcomes)}
        expected = {o.key: Status.FAILED if o.failure else Status.SENT for o in outcomes}
        assert events == expected

    async def test_of_nothing_is_nothing(self, bench: Bench) -> None:
        assert list(await bench.store.record([])) == []


class TestRedrive:
    async def test_may_bring_another_payload(self, bench: Bench) -> None:
        first, second = await claimed(bench, 2, payload={"n": 1})
        await recorded(bench.store, [Outcome(first, FAILURE), Outcome(second, FAILURE)])
        await bench.store.redrive([first, second], who="ada", payloads={second: {"n": 2}})
        rows = [await bench.row(key.notification_id) for key in (first, second)]
        assert [row["payload"] for row in rows] == [{"n": 1}, {"n": 2}]
        history = await bench.store.history(first.notification_id)
        assert history
        assert history["transitions"][-1]["actor"] == "ada"

    async def test_makes_a_failed_row_due_as_a_new_generation(self, bench: Bench) -> None:
        (old,) = await claimed(bench)
        name = (await bench.row(old.notification_id))["transaction_id"]
        await bench.store.record([Outcome(old, FAILURE)])
        assert list(await bench.store.redrive([old, old])) == [Key(ACME, old.notification_id, 1, 0)]
        row = await bench.row(old.notification_id)
        assert (row["error_details"], row["processed_at"]) == (None, None)
        (claim,) = await bench.store.claim(1, LONG)
        assert claim.captured.key == Key(ACME, old.notification_id, 1, 1)
        assert claim.captured.transaction_id != str(name)
        assert claim.captured.claims == 1
        assert list(await recorded(bench.store, [Outcome(old), Outcome(old, FAILURE)])) == []

    async def test_is_done_once_and_only_to_what_failed(self, bench: Bench) -> None:
        failed, sent, processing = await claimed(bench, 3)
        await recorded(bench.store, [Outcome(failed, FAILURE), Outcome(sent)])
        assert list(await bench.store.redrive([others(failed), sent, processing])) == []
        assert len(await bench.store.redrive([failed])) == 1
        assert list(await bench.store.redrive([failed])) == []

    async def test_names_the_new_generation_anew_where_the_platform_had_chosen(
        self, bench: Bench
    ) -> None:
        chosen = enterprise()
        (key,) = await claimed(bench, transaction_id=chosen)
        await bench.store.record([Outcome(key, FAILURE)])
        await bench.store.redrive([key])
        (claim,) = await bench.store.claim(1, LONG)
        assert claim.captured.transaction_id != chosen


class TestRetract:
    async def test_takes_back_from_any_status(self, bench: Bench) -> None:
        sent, failed, processing = await claimed(bench, 3)
        (pending,) = await insert(bench)
        await recorded(bench.store, [Outcome(sent), Outcome(failed, FAILURE)])
        keys = [sent, failed, processing, Key(ACME, pending, 0, 0)]
        assert set(await bench.store.retract([*keys, sent], "a mistake")) == set(keys)
        for key in keys:
            row = await bench.row(key.notification_id)
            assert str(row["notification_status"]) == "RETRACTED"
            assert row["retracted_at"]
            assert row["retraction_reason"] == "a mistake"
        assert list(await bench.store.retract(keys, "again")) == []

    async def test_refuses_another_enterprise(self, bench: Bench) -> None:
        (key,) = await claimed(bench)
        assert list(await bench.store.retract([others(key)])) == []
        assert str((await bench.row(key.notification_id))["notification_status"]) == "PROCESSING"


class TestHistory:
    async def test_is_the_row_its_workflow_and_every_transition(self, bench: Bench) -> None:
        workflow = Workflow(workflow_key="welcome", enterprise_id=ACME, name="Welcome")
        reference = await bench.workflow(workflow)
        (key,) = await claimed(bench, lease=0.0, notification_workflow_id=reference)
        (claim,) = await bench.store.claim(1, LONG)
        await bench.store.record([Outcome(claim.captured.key, FAILURE)])
        (redriven,) = await bench.store.redrive([claim.captured.key])
        await bench.store.retract([redriven], "a mistake")
        history = await bench.store.history(key.notification_id)
        assert history
        assert history["notification"]["notification_status"] == "RETRACTED"
        assert history["workflow"]["name"] == "Welcome"
        fields = ("generation", "claims", "from_status", "to_status", "actor")
        assert [tuple(line[f] for f in fields) for line in history["transitions"]] == [
            (0, 1, "PENDING", "PROCESSING", "ingest"),
            (0, 2, "PROCESSING", "PROCESSING", "ingest"),
            (0, 2, "PROCESSING", "FAILED", "status"),
            (1, 0, "FAILED", "PENDING", "redrive"),
            (1, 0, "PENDING", "RETRACTED", "retract"),
        ]
        details = [line["details"] for line in history["transitions"]]
        assert Failure.model_validate(details[2]) == FAILURE
        assert details[4] == {"reason": "a mistake", "outcome": "stopped"}

    async def test_of_no_row_is_none(self, bench: Bench) -> None:
        assert await bench.store.history(4711) is None
