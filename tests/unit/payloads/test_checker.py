"""What is said of a payload that breaks its workflow's schema, and how long that may take."""

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from tests.conftest import eventually
from xnovu.errors import Permanent, Retryable
from xnovu.events import Workflow
from xnovu.payloads import PayloadChecker, RowOptions
from xnovu.payloads.worker import LISTED

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

SCHEMA = {
    "type": "object",
    "required": ["order", "total"],
    "properties": {
        "order": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
        "total": {"type": "number", "minimum": 0},
    },
    "additionalProperties": False,
}


def workflow(schema=SCHEMA, key="receipt", enterprise="acme"):
    return Workflow(workflow_key=key, enterprise_id=enterprise, payload_schema=schema)


@pytest.fixture
async def checker() -> AsyncIterator[PayloadChecker]:
    checker = PayloadChecker(RowOptions(check_seconds=0.3))
    yield checker
    await checker.close()


async def refused(
    checker: PayloadChecker, payload: Any, schema: Any = SCHEMA, **of: Any
) -> Permanent:
    with pytest.raises(Permanent) as caught:
        await checker.check(workflow(schema, **of), payload)
    return caught.value


def refusal(payload, schema=SCHEMA) -> Permanent:
    """Of a check that is made at once."""
    with pytest.raises(Permanent) as caught:
        assert not PayloadChecker().begin(workflow(schema), payload, to_json(payload))
    return caught.value


def passes(checker: PayloadChecker, payload: Any, schema: Any, **of: Any) -> bool:
    """At once."""
    return checker.begin(workflow(schema, **of), payload, to_json(payload)) is None


def test_a_right_payload_passes():
    assert passes(PayloadChecker(), {"order": {"id": "1"}, "total": 3}, SCHEMA)


def test_without_a_schema_everything_passes():
    assert passes(PayloadChecker(), {"anything": [1, 2]}, None)


def test_every_violation_is_told_with_its_path():
    error = refusal({"order": {"id": 7}, "total": -1})
    assert error.code == "payload_invalid"
    assert [violation.split(":")[0] for violation in error.violations] == ["/order/id", "/total"]
    assert "receipt" in str(error)


def test_what_is_missing_is_named():
    assert "total" in str(refusal({"order": {"id": "1"}}))


async def test_so_many_violations_are_told(checker):
    schema = {"additionalProperties": {"type": "string"}}
    error = await refused(checker, {f"k{n}": n for n in range(LISTED + 5)}, schema)
    assert len(error.violations) == LISTED + 1
    assert error.violations[-1] == "and more"


def test_a_name_that_is_an_address_is_not_told():
    assert "ada" not in str(refusal({"order": {"id": "1"}, "total": 1, "ada@example.com": 1}))


@given(st.text(alphabet="abcdefghijklmnop", min_size=8, max_size=30))
def test_no_value_is_ever_told(value):
    secret = f"zz{value}zz"
    error = refusal({"order": secret, "total": secret})
    assert secret not in str(error)
    assert not any(secret in violation for violation in error.violations)


@pytest.mark.parametrize(
    "schema", [{"type": "nonsense"}, {"$ref": "http://example.test/schema.json"}], ids=str
)
async def test_a_schema_that_is_none_is_the_workflows_fault(checker, schema):
    error = await refused(checker, {}, schema)
    assert error.code == "schema_invalid"
    assert "ent_notification_workflow" in str(error)


def test_a_changed_schema_counts_at_once():
    checker = PayloadChecker()
    assert passes(checker, {}, {"type": "object"})
    with pytest.raises(Permanent):
        passes(checker, {}, {"required": ["x"]})


def test_enterprises_with_the_same_workflow_key_have_their_own_schemas():
    checker = PayloadChecker()
    assert passes(checker, {}, {"type": "object"})
    with pytest.raises(Permanent):
        passes(checker, {}, {"required": ["x"]}, enterprise="globex")


def branching(levels: int, end: Any = True) -> dict[str, Any]:
    """Each level holds the next one twice."""
    both = {f"n{n}": {"anyOf": [{"$ref": f"#/$defs/n{n + 1}"}] * 2} for n in range(levels)}
    start = {"$ref": "#/$defs/n0"}
    return {"$defs": {**both, f"n{levels}": end}, "additionalProperties": start}


RECURSIVE = branching(22, {"type": "object", "properties": {"a": {"$ref": "#/$defs/n0"}}})
ENDLESS = {
    "a schema that holds itself, twice at each of 22 levels": (RECURSIVE, {"a": 1}),
    "twice at each of 24 levels": (branching(24, {"type": "string"}), {"a": 1}),
    "long numbers, each compared with each": (
        {"properties": {"a": {"uniqueItems": True}}},
        {"a": [10**30 + n for n in range(8_000)]},
    ),
    "so many violations": (
        {"additionalProperties": {"type": "string"}},
        {f"k{n}": n for n in range(40_000)},
    ),
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_no_payload_stops_the_process(checker, name):
    schema, payload = ENDLESS[name]
    others = asyncio.create_task(ticking(5))
    error = await refused(checker, payload, schema)
    await others
    assert error.code in ("schema_too_costly", "payload_invalid")
    assert "receipt" in str(error)


async def ticking(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0.001)


async def test_a_schema_nobody_comes_to_the_end_of_is_refused_with_the_place(checker):
    error = await refused(checker, {}, branching(40))
    assert error.code == "schema_too_costly"
    assert "/$defs/n" in str(error)


async def test_memory_is_bounded(checker):
    pattern = {
        "additionalProperties": {"pattern": "|".join(f"(\\w{{9}}{n}){{90}}" for n in range(90))}
    }
    error = await refused(checker, {"a": "b"}, pattern)
    assert error.code in ("schema_too_costly", "schema_invalid")


async def test_after_one_that_took_too_long_the_next_is_checked(checker):
    await refused(checker, *reversed(ENDLESS["twice at each of 24 levels"]))
    unique = {"properties": {"a": {"uniqueItems": True}}}
    await checker.check(workflow(unique), {"a": [1, 2]})
    assert "/a" in (await refused(checker, {"a": [1, 1]}, unique)).violations[0]


async def test_an_enterprise_has_one_process_at_a_time(checker):
    schema, payload = ENDLESS["long numbers, each compared with each"]
    slow = [asyncio.create_task(refused(checker, payload, schema)) for _ in range(4)]
    await checker.check(workflow({"uniqueItems": True}, enterprise="globex"), {})
    assert not all(task.done() for task in slow)
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)


async def test_who_does_not_have_his_turn_in_time_comes_again(checker):
    schema = workflow({"uniqueItems": True})
    check = checker.begin(schema, {}, b"{}")
    with pytest.raises(Retryable) as caught:
        await checker.finish(check, asyncio.get_running_loop().time())
    assert (caught.value.code, caught.value.bounded) == ("check_waits", False)


async def test_no_process_is_left_behind(checker, monkeypatch):
    begun, begin = [], asyncio.create_subprocess_exec

    async def noted(*program, **options):
        begun.append(await begin(*program, **options))
        return begun[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    schema, payload = ENDLESS["long numbers, each compared with each"]
    cut_off = asyncio.create_task(refused(checker, payload, schema))
    await eventually(lambda: begun)
    await checker.check(workflow({"uniqueItems": True}, enterprise="globex"), {})
    assert [process.returncode for process in begun] == [None, None]
    cut_off.cancel()
    await asyncio.gather(cut_off, return_exceptions=True)
    await checker.close()
    assert [process.returncode for process in begun] == [-signal.SIGKILL] * 2


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(10**50),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip
KEYWORDS = [
    "allOf", "anyOf", "items", "not", "oneOf", "properties", "required", "enum", "const", "type",
    "pattern", "uniqueItems", "$ref", "$id", "$defs", "multipleOf", "minimum", "format",
]  # fmt: skip
SCHEMAS = st.recursive(
    VALUES | st.sampled_from(["#", "#/$defs", "#/items", "string", "(a+)+$", "regex"]),
    lambda inner: st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=4)
    | st.lists(inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@PATIENT
@given(
    st.dictionaries(st.sampled_from(KEYWORDS), SCHEMAS, max_size=4),
    st.dictionaries(st.text(max_size=5), VALUES, max_size=4),
)
def test_whatever_schema_and_payload_there_is_an_answer(schema, payload):
    """At once, or the word that it is for a process."""
    try:
        check = PayloadChecker().begin(workflow(schema), payload, to_json(payload))
    except Permanent as error:
        assert error.code in ("payload_invalid", "schema_invalid", "schema_too_costly")
        assert len(error.violations) <= LISTED + 1
    else:
        assert check is None or check.payload == to_json(payload)
