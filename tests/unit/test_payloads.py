"""What is said of a payload that breaks its workflow's schema."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnovu.errors import Permanent
from xnovu.events import Workflow
from xnovu.payloads import LISTED, PayloadChecker

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


def refusal(payload, schema=SCHEMA) -> Permanent:
    with pytest.raises(Permanent) as caught:
        PayloadChecker().check(workflow(schema), payload)
    return caught.value


def test_a_right_payload_passes():
    PayloadChecker().check(workflow(), {"order": {"id": "1"}, "total": 3})


def test_without_a_schema_everything_passes():
    PayloadChecker().check(workflow(None), {"anything": [1, 2]})


def test_every_violation_is_told_with_its_path():
    error = refusal({"order": {"id": 7}, "total": -1})
    assert error.code == "payload_invalid"
    assert [violation.split(":")[0] for violation in error.violations] == ["/order/id", "/total"]
    assert "receipt" in str(error)


def test_what_is_missing_is_named():
    assert "total" in str(refusal({"order": {"id": "1"}}))


def test_so_many_violations_are_counted():
    schema = {"additionalProperties": {"type": "string"}}
    error = refusal({f"k{n}": n for n in range(LISTED + 5)}, schema)
    assert len(error.violations) == LISTED + 1
    assert error.violations[-1] == "and 5 more"


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
def test_a_schema_that_is_none_is_the_workflows_fault(schema):
    error = refusal({}, schema)
    assert error.code == "schema_invalid"
    assert "ent_notification_workflow" in str(error)


def test_a_changed_schema_counts_at_once():
    checker = PayloadChecker()
    checker.check(workflow({"type": "object"}), {})
    with pytest.raises(Permanent):
        checker.check(workflow({"required": ["x"]}), {})


def test_enterprises_with_the_same_workflow_key_have_their_own_schemas():
    checker = PayloadChecker()
    checker.check(workflow({"type": "object"}), {})
    with pytest.raises(Permanent):
        checker.check(workflow({"required": ["x"]}, enterprise="globex"), {})
