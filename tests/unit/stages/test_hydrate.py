"""Hydrate: complete and right, or permanently wrong and why."""

from dataclasses import replace

import pytest

from tests.builders import a_notification, captured
from xnovu.errors import Permanent
from xnovu.events import Workflow
from xnovu.policy import Done
from xnovu.stages.hydrate import Hydrate
from xnovu.store import Row


class Shelf:
    def __init__(self, *rows: Row) -> None:
        self.rows, self.asked = rows, 0

    async def load(self, keys, most_bytes=None):
        self.asked += 1
        return {row.key: row for row in self.rows if row.key in keys}


def a_row(id=1, workflow=True, **notification) -> Row:
    known = Workflow(workflow_key="welcome", enterprise_id="acme") if workflow is True else workflow
    return Row(captured(id).event.key, a_notification(id, **notification), known)


async def hydrated(*rows, ids=(1,)):
    return await Hydrate(Shelf(*rows)).handle([captured(n) for n in ids])


async def fault(row) -> Permanent:
    [result] = await hydrated(row)
    assert isinstance(result, Permanent)
    return result


async def test_one_query_completes_the_whole_batch():
    shelf = Shelf(*(a_row(n) for n in range(5)))
    results = await Hydrate(shelf).handle([captured(n) for n in range(5)])
    assert shelf.asked == 1
    assert [r.events[0].notification.id for r in results] == list(range(5))


async def test_the_claim_travels_on():
    row = Row(captured(1, generation=2, claims=3).event.key, a_notification(), a_row().workflow)
    [result] = await Hydrate(Shelf(row)).handle([captured(1, generation=2, claims=3)])
    assert result.events[0].key == row.key


async def test_one_wrong_row_harms_nobody_else():
    results = await hydrated(a_row(1), a_row(2, recipients=()), a_row(3), ids=(1, 2, 3))
    assert [type(r) for r in results] == [Done, Permanent, Done]


async def test_a_row_that_is_gone():
    [result] = await hydrated()
    assert result.code == "row_gone"


async def test_a_workflow_that_is_not_registered():
    error = await fault(a_row(workflow=None))
    assert error.code == "workflow_not_found"
    assert "welcome" in str(error)


async def test_a_workflow_that_is_deactivated():
    off = Workflow(workflow_key="welcome", enterprise_id="acme", deactivated=True)
    assert (await fault(a_row(workflow=off))).code == "workflow_deactivated"


async def test_a_payload_that_breaks_the_schema():
    strict = Workflow(
        workflow_key="welcome", enterprise_id="acme", payload_schema={"required": ["name"]}
    )
    error = await fault(a_row(workflow=strict))
    assert error.code == "payload_invalid"
    assert "name" in error.violations[0]


async def test_a_row_beyond_its_bounds_fails_before_its_schema_is_looked_at():
    strict = Workflow(
        workflow_key="welcome", enterprise_id="acme", payload_schema={"type": "nonsense"}
    )
    assert (await fault(a_row(workflow=strict, transaction_id="a b"))).code == "invalid_row"


async def test_what_a_process_checks_has_its_result_in_its_place():
    def unique(number: int, *values: int) -> Row:
        schema = {"properties": {"a": {"uniqueItems": True}}}
        by = Workflow(workflow_key="welcome", enterprise_id="acme", payload_schema=schema)
        return a_row(number, workflow=by, payload={"a": list(values)})

    hydrate = Hydrate(Shelf(a_row(1), unique(2, 1, 1), unique(3, 1, 2), a_row(4, recipients=())))
    results = await hydrate.handle([captured(n) for n in range(6)])
    await hydrate.close()
    assert [getattr(result, "code", None) for result in results] == [
        "row_gone",
        None,
        "payload_invalid",
        None,
        "recipients_invalid",
        "row_gone",
    ]


async def test_rows_whose_check_is_not_made_in_time_come_again():
    costly = Workflow(
        workflow_key="welcome", enterprise_id="acme", payload_schema={"uniqueItems": True}
    )
    hydrate = Hydrate(Shelf(a_row(1, workflow=costly), a_row(2)), within=0.0)
    waits, done = await hydrate.handle([captured(1), captured(2)])
    await hydrate.close()
    assert (waits.code, waits.bounded) == ("check_waits", False)
    assert isinstance(done, Done)


@pytest.mark.parametrize(
    ("recipients", "told"),
    [
        ((), "empty"),
        (("a", ""), "/1: not a subscriber id"),
        (("a", "b c"), "/1: not a subscriber id"),
        (("a", "x" * 256), "/1: not a subscriber id"),
        (("a", "b", "a"), "/2: the same as /0"),
    ],
)
async def test_recipients_that_are_wrong_are_told_by_their_place(recipients, told):
    error = await fault(a_row(recipients=recipients))
    assert error.code == "recipients_invalid"
    assert told in str(error)


def restricted(prefix: str, **notification) -> Row:
    return replace(a_row(**notification), recipient_prefix=prefix)


async def test_an_enterprise_sends_to_its_own_recipients_only_where_it_is_restricted():
    error = await fault(restricted("acme:", recipients=("acme:1", "globex:2", "x")))
    assert error.code == "forbidden_recipient"
    assert "/1, /2" in str(error)
    assert "globex" not in str(error), "a recipient is a person"
    [sent] = await hydrated(restricted("acme:", recipients=("acme:1", "acme:")))
    assert isinstance(sent, Done)


@pytest.mark.parametrize(
    ("allowed", "overrides", "refused"),
    [
        (["email"], {"email": {}}, False),
        (["email"], {"email": {}, "sms": {}}, True),
        ([], {"email": {}}, True),
        ([], {}, False),
        ([], None, False),
        (None, {"anything": {}}, False),
    ],
)
async def test_an_enterprise_overrides_what_it_may(allowed, overrides, refused):
    [result] = await hydrated(replace(a_row(overrides=overrides), overrides_allowed=allowed))
    assert isinstance(result, Permanent) == refused
    if refused:
        assert result.code == "forbidden_override"
        assert "sms" not in str(result)
