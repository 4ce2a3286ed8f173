"""What every store promises of limits, and of what a notification waits for."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from xnovu.desk import Limits, Registered
from xnovu.events import Key, Workflow
from xnovu.store import Outcome
from xnovu.testing.contract.store_bench import ACME, GLOBEX, LONG, Bench, from_now, insert, recorded
from xnovu.testing.waiting import eventually


async def claim(bench: Bench, limit: int = 100) -> list[Key]:
    return [claim.captured.key for claim in await bench.store.claim(limit, LONG)]


async def end(bench: Bench, keys: Sequence[Key]) -> None:
    await recorded(bench.store, [Outcome(key) for key in keys])


async def workflow(bench: Bench, key: str) -> Any:
    return await bench.workflow(Workflow(workflow_key=key, enterprise_id=ACME, name=key))


class TestWeight:
    async def test_what_lapsed_may_be_more_than_all_turns(self, bench: Bench) -> None:
        await insert(bench, 5)
        await claim(bench)
        for number in range(1, 6):
            await bench.change(number, claimed_until=from_now(-1))
        await bench.store.limit(ACME, {"weight": 1000})
        await insert(bench, 5)
        await insert(bench, 5, enterprise_id=GLOBEX)
        taken = [key for _ in range(8) for key in await claim(bench, 4)]
        assert len(set(taken)) == len(taken) == 15


class TestExpress:
    async def test_who_has_less_than_a_turn_goes_before_who_has_more(self, bench: Bench) -> None:
        await insert(bench, 9)
        await insert(bench, 1, enterprise_id=GLOBEX)
        lanes = Counter(
            (claim.captured.enterprise_id, claim.express)
            for claim in await bench.store.claim(6, LONG)
        )
        assert lanes == {(ACME, False): 5, (GLOBEX, True): 1}

    async def test_nobody_goes_first_where_nobody_has_to_wait(self, bench: Bench) -> None:
        await insert(bench, 2)
        await insert(bench, 1, enterprise_id=GLOBEX)
        assert [claim.express for claim in await bench.store.claim(100, LONG)] == [False] * 3

    async def test_what_is_urgent_overtakes_its_own_enterprise_s_rows(self, bench: Bench) -> None:
        await insert(bench, 30)
        urgent = await insert(bench, 2, priority=1)
        found = await bench.store.claim(20, LONG)
        assert [claim.captured.notification_id for claim in found[:2]] == urgent
        assert [claim.express for claim in found] == [True] + [False] * 19

    async def test_so_few_are_urgent_that_nobody_waits_for_them(self, bench: Bench) -> None:
        for enterprise in (ACME, GLOBEX):
            await insert(bench, 30, enterprise_id=enterprise)
            await insert(bench, 5, enterprise_id=enterprise, priority=1)
        found = await bench.store.claim(20, LONG)
        assert Counter(claim.express for claim in found) == {True: 1, False: 19}

    async def test_what_is_not_in_the_turn_makes_nothing_urgent(self, bench: Bench) -> None:
        await insert(bench, 30)
        await insert(bench, 1, priority=-1)
        await insert(bench, 30, enterprise_id=GLOBEX)
        found = await bench.store.claim(40, LONG)
        assert [claim.express for claim in found] == [False] * 40

    async def test_a_turn_that_is_larger_than_a_claim_makes_nobody_go_first(
        self, bench: Bench
    ) -> None:
        await bench.store.limit(ACME, {"weight": 1000})
        await insert(bench, 30)
        await insert(bench, 30, enterprise_id=GLOBEX)
        found = [claim for _ in range(4) for claim in await bench.store.claim(4, LONG)]
        assert [claim.express for claim in found] == [False] * len(found)

    async def test_nothing_is_urgent_beside_what_is_as_urgent(self, bench: Bench) -> None:
        await insert(bench, 5)
        await insert(bench, 30, priority=1)
        found = await bench.store.claim(20, LONG)
        assert [claim.express for claim in found] == [False] * 20

    async def test_who_has_nothing_in_hand_may_be_asked_alone(self, bench: Bench) -> None:
        await insert(bench, 5)
        await claim(bench, 2)
        assert await bench.store.claim(9, LONG, idle_only=True) == []
        await insert(bench, 1, enterprise_id=GLOBEX)
        [light] = await bench.store.claim(9, LONG, idle_only=True)
        assert (light.captured.enterprise_id, light.express) == (GLOBEX, True)
        assert await bench.store.claim(9, LONG, idle_only=True) == []

    async def test_a_whole_turn_of_who_has_nothing_in_hand_is_not_express(
        self, bench: Bench
    ) -> None:
        await insert(bench, 5)
        found = await bench.store.claim(4, LONG, idle_only=True)
        assert [claim.express for claim in found] == [False] * 4

    async def test_what_has_lapsed_is_not_express(self, bench: Bench) -> None:
        await insert(bench, 1, enterprise_id=GLOBEX)
        (key,) = await claim(bench)
        await bench.change(key.notification_id, claimed_until=from_now(-1))
        await insert(bench, 9)
        assert await bench.store.claim(9, LONG, idle_only=True) != []
        found = await bench.store.claim(4, LONG)
        assert (found[0].captured.key.enterprise_id, found[0].express) == (GLOBEX, False)


class TestConcurrency:
    async def test_no_more_than_that_are_in_hand_and_others_are_served(self, bench: Bench) -> None:
        await bench.store.limit(ACME, {"concurrency": 3})
        await insert(bench, 5)
        await insert(bench, 2, enterprise_id=GLOBEX)
        keys = await claim(bench)
        assert Counter(key.enterprise_id for key in keys) == {ACME: 3, GLOBEX: 2}
        assert await claim(bench) == []
        await end(bench, [key for key in keys if key.enterprise_id == ACME][:2])
        assert len(await claim(bench)) == 2
        assert await claim(bench) == []

    async def test_who_may_have_nothing_now_does_not_keep_the_turn(self, bench: Bench) -> None:
        await bench.store.limit(ACME, {"concurrency": 1})
        await insert(bench, 3)
        await claim(bench)
        for _ in range(3):
            await insert(bench, 1, enterprise_id=GLOBEX)
            assert [key.enterprise_id for key in await claim(bench, 1)] == [GLOBEX]

    async def test_a_claim_that_lapsed_is_taken_up_in_spite_of_it(self, bench: Bench) -> None:
        await bench.store.limit(ACME, {"concurrency": 1})
        await insert(bench, 2)
        (key,) = await claim(bench)
        await bench.change(key.notification_id, claimed_until=from_now(-1))
        (again,) = await claim(bench)
        assert (again.notification_id, again.claims) == (key.notification_id, 2)

    async def test_holds_for_a_store_of_that_enterprise_alone(self, bench: Bench) -> None:
        await bench.store.limit(ACME, {"concurrency": 2})
        await insert(bench, 5)
        assert len(await bench.only(ACME).claim(5, LONG)) == 2


class TestWorkflow:
    async def test_no_more_of_one_are_in_hand_and_the_others_go_on(self, bench: Bench) -> None:
        digest, alarm = await workflow(bench, "digest"), await workflow(bench, "alarm")
        assert await bench.store.limit(ACME, {"concurrency": 2}, "digest")
        slow = await insert(bench, 4, notification_workflow_id=digest)
        fast = await insert(bench, 3, notification_workflow_id=alarm)
        keys = await claim(bench)
        assert {key.notification_id for key in keys} == {*slow[:2], *fast}
        assert await claim(bench) == []
        await end(bench, [key for key in keys if key.notification_id == slow[0]])
        assert [key.notification_id for key in await claim(bench)] == [slow[2]]

    async def test_one_that_is_not_there_cannot_be_limited(self, bench: Bench) -> None:
        assert not await bench.store.limit(ACME, {"concurrency": 2}, "nothing")

    async def test_gives_its_priority_to_what_states_none(self, bench: Bench) -> None:
        digest, alarm = await workflow(bench, "digest"), await workflow(bench, "alarm")
        await bench.store.limit(ACME, {"priority": 1}, "alarm")
        await insert(bench, 2, notification_workflow_id=digest)
        (first,) = await insert(bench, 1, notification_workflow_id=alarm)
        assert (await claim(bench))[0].notification_id == first


class TestRate:
    async def test_a_second_s_worth_at_once_then_as_time_goes_by(self, bench: Bench) -> None:
        await bench.store.limit(ACME, {"rate": 4.0})
        await insert(bench, 30)
        first = await claim(bench)
        assert 4 <= len(first) <= 5
        more: list[Key] = []

        async def come() -> bool:
            more.extend(await claim(bench))
            return len(more) >= 3

        await eventually(come)

    async def test_of_a_rate_below_one_in_a_second_one_is_let_through(self, bench: Bench) -> None:
        await bench.store.limit(ACME, {"rate": 0.001})
        await insert(bench, 3)
        assert len(await claim(bench)) == 1
        assert await claim(bench) == []


class TestLimits:
    async def test_are_told_changed_one_by_one_and_taken_back(self, bench: Bench) -> None:
        await workflow(bench, "digest")
        await bench.store.limit(ACME, {"concurrency": 3, "rate": 0.5})
        await bench.store.limit(ACME, {"weight": 4, "rate": None})
        await bench.store.limit(ACME, {"priority": -1}, "digest")
        whole = Limits(enterprise_id=ACME, weight=4, concurrency=3)
        part = Limits(enterprise_id=ACME, workflow_key="digest", priority=-1)
        assert list(await bench.store.limits()) == [whole, part]
        assert list(await bench.store.limits(GLOBEX)) == []
        await bench.store.limit(ACME, {"weight": None, "concurrency": None})
        await bench.store.limit(ACME, {"priority": None}, "digest")
        assert list(await bench.store.limits(ACME)) == []


class TestWorkflows:
    async def test_those_in_use_are_told_with_their_schemas(self, bench: Bench) -> None:
        schemas = {"digest": {"required": ["a"]}, "plain": None, "never": False}
        for key, schema in schemas.items():
            given = {"workflow_key": key, "name": key, "payload_schema": schema}
            await bench.workflow(Workflow.model_validate({"enterprise_id": ACME, **given}))
        off = Workflow(workflow_key="off", name="off", enterprise_id=ACME, deactivated=True)
        await bench.workflow(off)
        known = [each for each in await bench.store.registered() if each.workflow_key in schemas]
        assert known == [Registered(ACME, key, schemas[key]) for key in sorted(schemas)]
        assert "off" not in {each.workflow_key for each in await bench.store.registered(ACME)}
        assert list(await bench.store.registered(GLOBEX)) == []


class TestWaiting:
    async def told(self, bench: Bench, notification: int) -> dict[str, Any]:
        return dict(await bench.store.waiting(notification) or {})

    async def test_for_its_schedule(self, bench: Bench) -> None:
        (row,) = await insert(bench, 1, scheduled_for=from_now(1000))
        told = await self.told(bench, row)
        assert told["for"] == "schedule"
        assert 900 < told["seconds"] <= 1000

    async def test_for_its_turn(self, bench: Bench) -> None:
        await insert(bench, 1, enterprise_id=GLOBEX)
        *_, row = await insert(bench, 4)
        told = await self.told(bench, row)
        assert (told["for"], told["ahead"], told["enterprises"]) == ("turn", 3, 2)
        assert told["weight"] == 1

    async def test_for_a_limit(self, bench: Bench) -> None:
        digest = await workflow(bench, "digest")
        *_, row = await insert(bench, 3, notification_workflow_id=digest)
        await bench.store.limit(ACME, {"concurrency": 1}, "digest")
        await claim(bench)
        told = await self.told(bench, row)
        assert (told["for"], told["most"], told["in_hand"]) == ("workflow", 1, 1)
        assert told["ahead"] == 1
        await bench.store.limit(ACME, {"concurrency": 1})
        told = await self.told(bench, row)
        assert (told["for"], told["most"], told["in_hand"]) == ("concurrency", 1, 1)

    async def test_for_a_rate_and_how_long(self, bench: Bench) -> None:
        *_, row = await insert(bench, 11)
        await bench.store.limit(ACME, {"rate": 1.0})
        told = await self.told(bench, row)
        assert (told["for"], told["rate"], told["ahead"]) == ("rate", 1.0, 10)
        assert told["seconds"] == pytest.approx(10, abs=0.5)

    async def test_for_the_stages_and_then_for_nothing(self, bench: Bench) -> None:
        (row,) = await insert(bench, 1)
        keys = await claim(bench)
        assert (await self.told(bench, row))["for"] == "stages"
        await end(bench, keys)
        assert await bench.store.waiting(row) is None

    async def test_for_what_takes_it_back(self, bench: Bench) -> None:
        await insert(bench, 1)
        (key,) = await claim(bench)
        await bench.store.retract([key])
        assert (await self.told(bench, key.notification_id))["for"] == "retraction"

    async def test_what_is_not_there_or_anothers_waits_for_nothing(self, bench: Bench) -> None:
        (row,) = await insert(bench, 1)
        assert await bench.store.waiting(row + 1000) is None
        assert await bench.only(GLOBEX).waiting(row) is None
