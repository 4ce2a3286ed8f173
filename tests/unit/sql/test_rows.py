"""Rows as the database gives them: read once, and refused without showing what is in them."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from xnovu.errors import Permanent
from xnovu.events import Failure, Key, Locked, StatusChanged
from xnovu.sql import rows as read
from xnovu.store import Outcome, Row

KEY = Key("acme", 7, 1, 2)
DEEP = b'{"secret":' * 300 + b"1" + b"}" * 300
WORKFLOW = {"workflow_key": "welcome", "enterprise_id": "acme"}


def a_record(**columns: Any) -> dict[str, Any]:
    record = {
        "id": 7,
        "enterprise_id": "acme",
        "generation": 1,
        "claims": 2,
        "name": None,
        "workflow_key": "welcome",
        "transaction_id": "t",
        "recipients": ["someone"],
        "payload": b"{}",
        "overrides": None,
        "channels": [],
        "tags": [],
        "workflow_version": None,
        "expires_at": None,
        "workflow": json.dumps(WORKFLOW).encode(),
        "unusable": None,
    }
    return record | columns


def refusal(record: dict[str, Any]) -> Permanent:
    (refused,) = read.rows([record]).values()
    assert isinstance(refused, Permanent)
    return refused


def test_one_workflow_is_read_once_for_a_batch() -> None:
    loaded = read.rows([a_record(), a_record(id=8), a_record(id=9, workflow=None)])
    first, second, third = [row.workflow for row in loaded.values()]
    assert first is second
    assert third is None


@pytest.mark.parametrize(
    ("column", "raw"),
    [
        ("payload", b'["secret"]'),
        ("payload", b'"secret"'),
        ("payload", DEEP),
        ("overrides", b'["secret"]'),
        ("overrides", DEEP),
    ],
)
def test_a_row_that_is_no_notification_is_refused_by_its_column(column: str, raw: bytes) -> None:
    refused = refusal(a_record(**{column: raw}))
    found = {b"[": "a list", b'"': "a text"}.get(raw[:1], "it nested too deeply")
    found = "it nested too deeply" if raw == DEEP else found
    assert str(refused).startswith(f"{column}: expected ")
    assert f"found {found}" in str(refused)
    assert "secret" not in str(refused)


def test_a_workflow_that_is_none_is_refused_by_its_column() -> None:
    raw = json.dumps({**WORKFLOW, "payload_schema": ["secret"]}).encode()
    refused = refusal(a_record(workflow=raw))
    assert refused.code == "schema_invalid"
    assert "payload_schema: expected an object, true or false, found a list" in str(refused)
    assert "JSON" in str(refusal(a_record(workflow=DEEP)))


@pytest.mark.parametrize(
    ("unusable", "code", "says"),
    [
        ("too_large", "too_large", "rows.max_bytes"),
        ("transaction_id_taken", "transaction_id_taken", "another notification"),
        ("tags", "invalid_row", "tags: expected a list, found a list of lists"),
    ],
)
def test_what_the_database_says_is_unusable_is_that_rows_alone(
    unusable: str, code: str, says: str
) -> None:
    good, bad = read.rows([a_record(id=8), a_record(unusable=unusable)]).values()
    assert isinstance(good, Row)
    assert isinstance(bad, Permanent)
    assert (bad.code, says in str(bad)) == (code, True)


def test_a_row_that_is_locked_is_told_so() -> None:
    assert read.recorded(a_record(status="LOCKED")) == Locked(KEY)


def test_outcomes_say_why_only_where_they_failed() -> None:
    failure = Failure(
        code="c", stage="s", message="m", attempts=1, at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    sent, failed = read.outcomes([Outcome(KEY), Outcome(KEY, failure)])
    assert sent["error_details"] is None
    assert failed["error_details"] == {
        "code": "c",
        "stage": "s",
        "message": "m",
        "attempts": 1,
        "at": "2026-01-01T00:00:00Z",
    }


def test_a_failure_in_other_words_is_no_failure_of_ours() -> None:
    record = a_record(
        status="FAILED",
        previous="PROCESSING",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        error_details=b'{"error": "theirs"}',
    )
    change = read.recorded(record)
    assert isinstance(change, StatusChanged)
    assert change.failure is None


def test_a_value_that_is_no_json_is_named_by_its_column() -> None:
    with pytest.raises(Permanent, match='"payload"') as refused:
        read.columns([{"enterprise_id": "acme"}, {"payload": {"secret": object()}}])
    assert "secret" not in str(refused.value)
