import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from xnovu.adapters.novu.answers import single_verdict
from xnovu.adapters.novu.requests import Event
from xnovu.errors import Permanent
from xnovu.events import Notification
from xnovu.ports import Trigger
from xnovu.redaction import LIMIT, MARK, leaves, redact

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

ID = "3f2b1c9e-1234-4abc-9def-0123456789ab"
DIGITS_ID = "12345678-1234-4234-9234-123456789012"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-DEF_123"


@pytest.mark.parametrize("foreign", [True, False])
@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("to ada.b+c@mail.example.org now", "to … now"),
        ("call +49 (151) 234-5678!", "call …!"),
        ("call 0151.2345678", "call …"),
        ("Authorization ApiKey abc123", "Authorization ApiKey …"),
        ("sent with bearer abc123.", "sent with bearer …"),
        (f"the token {JWT}!", "the token …!"),
        ("key sb_secret_abc_DEF is bad", "key … is bad"),
        ("key sb_publishable_x is bad", "key … is bad"),
        ("key 0123456789abcdef0123456789abcdef", "key …"),
        ("key a1b2C3d4E5f6G7h8I9j0K1l2+/==", "key …/=="),
        ("postgresql://user:p@ss:w/rd@db:5432/x", "postgresql://user:…@db:5432/x"),
        ("host=db password=abc user=x", "host=db password=… user=x"),
        ("two\nlines\r\n\tand\x00more\u2028here\u200b", "two lines and more here"),
        ("no_workflow_active_steps_defined", "no_workflow_active_steps_defined"),
        ("HTTP 503 after 12.5 s, 100000 rows", "HTTP 503 after 12.5 s, 100000 rows"),
        ("", ""),
    ],
)
def test_what_looks_private_is_masked(text: str, redacted: str, foreign: bool) -> None:
    assert redact(text, foreign=foreign) == redacted


@pytest.mark.parametrize(
    ("text", "foreign", "ours"),
    [
        (f"row {ID} of acme", "row … of acme", f"row {ID} of acme"),
        (f"id {DIGITS_ID}", "id …", f"id {DIGITS_ID}"),
        (f"trigger:{ID}/12/0/1", "trigger:…/12/0/1", f"trigger:{ID}/12/0/1"),
        ('"Ada" is odd', "… is odd", '"Ada" is odd'),
        ("it is 'Ada' or `Bob`", "it is … or …", "it is 'Ada' or `Bob`"),
        ('cut "off here', "cut …", 'cut "off here'),
        ('{"api_key": "abc"}', "{…", '{"api_key=…'),
        ("can't and won't", "can't and won't", "can't and won't"),
        ("must have required property 'name'", *["must have required property 'name'"] * 2),
        ("property 'Dear Ada' is odd", "property … is odd", "property 'Dear Ada' is odd"),
        ('"name" is a required property', *['"name" is a required property'] * 2),
    ],
)
def test_ids_and_quoted_words_are_masked_in_what_others_wrote(
    text: str, foreign: str, ours: str
) -> None:
    assert redact(text) == foreign
    assert redact(text, foreign=False) == ours


@pytest.mark.parametrize(
    ("text", "also", "redacted"),
    [
        ("Dear Ada, hi", ["Dear Ada"], "…, hi"),
        ("abc abcd", ["abc", "abcd"], "abc …"),
        ("abcdefg", ["abcde", "cdefg"], "…"),
        ("aaaaaaaaa", ["aaaa"], "…"),
        (r"he said: a\"b\\cd", ['a"b\\cd'], "he said: …"),
        (r"f\u00fcnf Euro", ["fünf"], "… Euro"),
        ("over two lines", ["over\ntwo"], "… lines"),
        ("A long message that was cut off by", ["A long message that was cut off by a limit"], "…"),
        ("WXYZabc", ["WXYZ", "…abc"], "…"),
    ],
)
def test_what_is_known_to_be_private_is_masked(text: str, also: list[str], redacted: str) -> None:
    assert redact(text, also=also, foreign=False) == redacted


def test_leaves_are_all_values_and_no_names() -> None:
    value = {"a": [1, 2.5, {"b": "x"}, None, True], "c": ("y",), "d": {}}
    assert sorted(leaves(value)) == ["1", "2.5", "x", "y"]
    deep: Any = "end"
    for _ in range(50_000):
        deep = [deep]
    assert list(leaves(deep)) == ["end"]


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text() | st.text("ab…\"' \n\\@1-", min_size=4)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)
PAYLOADS = st.dictionaries(st.text(), JSON)
RECIPIENTS = st.lists(st.text(min_size=1) | st.emails() | st.uuids().map(str), min_size=1)
Spoken = Callable[[list[str]], str]
HOSTILE = st.sampled_from(
    [
        "".join,
        " ".join,
        "'".join,
        ", ".join,
        lambda said: "".join(reversed(said)),
        lambda said: f"got {said!r}",
        lambda said: json.dumps(said),
        lambda said: "\n".join(said) * 3,
    ]
)


def private(payload: dict[str, Any], recipients: list[str]) -> list[str]:
    return [*recipients, *leaves(payload)]


@PATIENT
@given(PAYLOADS, RECIPIENTS, HOSTILE, st.booleans())
@example({"a": "WXYZ", "b": "…abc"}, ["x"], "".join, False)
@example({"a": "abc "}, ["abc"], " ".join, False)
@example({"a": "    "}, ["\n\n\n\n"], "".join, True)
def test_no_leaf_survives(
    payload: dict[str, Any], recipients: list[str], hostile: Spoken, foreign: bool
) -> None:
    secrets = private(payload, recipients)
    redacted = redact(hostile(secrets), also=secrets, foreign=foreign)
    assert not [secret for secret in secrets if len(secret) >= 4 and secret in redacted]
    assert len(redacted) <= LIMIT
    assert redacted.isprintable()
    redacted.encode()


def refusal(payload: dict[str, Any], recipients: list[str], said: str) -> Permanent:
    notification = Notification(
        id=1,
        enterprise_id="e",
        workflow_key="w",
        transaction_id="t",
        recipients=tuple(recipients),
        payload=payload,
    )
    event = Event(Trigger("t", notification, tuple(recipients)), b"")
    errors = [{"field": said, "message": said, "value": said}]
    response = httpx.Response(400, json={"message": [said, said], "errors": errors})
    verdict = single_verdict(response, event, lambda text: redact(text, also=event.private()))
    assert isinstance(verdict, Permanent)
    return verdict


@PATIENT
@given(PAYLOADS, RECIPIENTS, HOSTILE)
def test_no_leaf_survives_in_an_error(
    payload: dict[str, Any], recipients: list[str], hostile: Spoken
) -> None:
    secrets = private(payload, recipients)
    error = refusal(payload, recipients, hostile(secrets))
    shown = str(error).removeprefix("Novu refused it: ")
    for secret in secrets:
        if len(secret) >= 4:
            assert secret not in shown
            assert not [each for each in error.violations if secret in each]


@PATIENT
@given(st.text("aA1 @.:/'\"`=-_eyJ+…"))
def test_redacting_twice_finds_nothing_new_to_show(text: str) -> None:
    assert len(redact(redact(text))) <= len(redact(text)) + len(MARK)


@pytest.mark.parametrize(
    "piece",
    ["a", "eyJ", "'x", '"', "1 ", "1-", "://", "://a:", "@", "a@", "x=-", "token=", "ApiKey ", "+"],
)
@pytest.mark.parametrize("foreign", [True, False])
def test_no_text_takes_long(piece: str, foreign: bool) -> None:
    """Generous: what grows with the square of the text or worse takes minutes here."""
    text = piece * (1_000_000 // len(piece))
    began = time.process_time()
    redact(text, also=[text, *(f"secret-{n}" for n in range(1000))], foreign=foreign)
    assert time.process_time() - began < 5.0
