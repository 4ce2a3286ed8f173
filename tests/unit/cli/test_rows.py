"""A notification that cannot be sent is refused at once, with the place and never the value."""

from typing import Any

import pytest

from xnovu.cli.rows import checked, explained, read_rows
from xnovu.errors import ConfigurationError, Paused, Permanent

PERSON = "6f1f4a0e-2f0b-4b67-9a55-0d1f2f4a9a01"
GOOD: dict[str, Any] = {
    "enterprise_id": PERSON,
    "notification_workflow_id": "welcome",
    "recipients": [PERSON],
    "scheduled_for": "2026-01-31T12:00:00Z",
    "payload": {"name": "secret"},
}


def test_what_can_be_sent_is():
    assert checked([GOOD]) == [GOOD]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"scheduled_for": "tomorrow"}, "/1/scheduled_for: must be a time"),
        ({"scheduled_for": "2026-01-31T12:00:00"}, "/1/scheduled_for: needs a zone"),
        (
            {"expires_at": 5},
            "/1/expires_at: must be a time, such as 2026-01-31T12:00:00Z, and is a",
        ),
        ({"payload": ["secret"]}, "/1/payload: must be an object, and is a list"),
        ({"payload": "secret"}, "/1/payload: must be an object, and is a text"),
        ({"recipients": []}, "/1/recipients: must be given"),
        ({"recipients": "secret"}, "/1/recipients: must be a list, and is a text"),
        ({"recipients": [PERSON, "a secret"]}, "/1/recipients/1: no subscriber id"),
        ({"recipients": [PERSON, PERSON]}, "/1/recipients/1: the same as /1/recipients/0"),
        ({"tags": ["vip", 5]}, "/1/tags/1: must be a text, and is a number"),
        ({"enterprise_id": None}, "/1/enterprise_id: must be given"),
    ],
)
def test_what_cannot_be_sent_is_refused_at_its_place(wrong: dict[str, Any], told: str):
    with pytest.raises(ConfigurationError) as refused:
        checked([GOOD, {**GOOD, **wrong}])
    assert told in str(refused.value)
    assert "secret" not in str(refused.value)


def said(message: str, row: dict[str, Any]) -> str:
    return str(explained(Permanent(message, code="invalid_row"), [{**GOOD, **row}]))


def test_what_the_database_refuses_is_told_with_its_place_or_the_way_out():
    told = said('column "recipients" cannot hold the value given', {"recipients": [PERSON, "bob"]})
    assert "/0/recipients/1: no UUID" in told
    assert "bob" not in told
    told = said('column "notification_workflow_id" cannot hold the value given', {})
    assert "SELECT id, workflow_key" in told
    told = said('the database refused the value of column "name" (23502)', {})
    assert "column name must be given (--name)" in told


def test_what_is_nobodys_fault_is_told_as_it_is():
    error = Paused("away", code="store_unavailable")
    assert explained(error, [GOOD]) is error


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1]", "/0 is a number"),
        ("[]", "the list is empty"),
        ('"secret"', "/0 is a text"),
        ('{"a": 1}\n{"b": secret}\n', "line 2, column 7"),
        ('[{"a": 1},\n {"b": secret}]', "line 2, column 8"),
    ],
)
def test_what_is_no_row_of_json_is_refused_at_its_place(text: str, told: str):
    with pytest.raises(ConfigurationError) as refused:
        read_rows(text)
    assert told in str(refused.value)
    assert "secret" not in str(refused.value)


def test_rows_are_a_list_or_one_a_line():
    assert list(read_rows('{"a": 1}\n\n{"a": 2}\n')) == [{"a": 1}, {"a": 2}]
    assert list(read_rows('[{"a": 1}]')) == [{"a": 1}]
