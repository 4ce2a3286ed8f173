import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xnovu.adapters.novu.phrases import told
from xnovu.redaction import LIMIT, MARK, phrases_in, redact

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

ID = "3f2b1c9e-1234-4abc-9def-0123456789ab"
DIGITS_ID = "12345678-1234-4234-9234-123456789012"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-DEF_123"
KNOWN = re.compile(r"\b(?:is required|is invalid)\b")


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
def test_what_looks_private_is_masked(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        f"row {ID} of acme",
        f"id {DIGITS_ID}",
        f"trigger:{ID}/12/0/1",
        '"Ada" is odd',
        "can't and won't",
        "must have required property 'name'",
    ],
)
def test_ids_and_names_of_things_are_told(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ""),
        ("  ", ""),
        ("Dear Ada", "…"),
        ("is required", "is required"),
        ("name is required", "… is required"),
        ("is required: Ada", "is required …"),
        ("is required; a, is invalid!", "is required … is invalid …"),
        ("is  required", "…"),
        ("x" * 10_000 + "is required", "…"),
    ],
)
def test_of_a_strangers_text_known_phrases_are_told(text: str, kept: str) -> None:
    assert phrases_in(text, KNOWN) == kept


@PATIENT
@given(st.lists(st.sampled_from(["is required", "is invalid", "Ada", "is", "…", " ", "\n"])))
def test_nothing_but_known_phrases_and_marks_is_told(words: list[str]) -> None:
    said = phrases_in("".join(words), KNOWN)
    assert not KNOWN.sub("", said).replace(MARK, "").strip()
    assert len(said) <= LIMIT


@PATIENT
@given(st.text("aA1 @.:/'\"`=-_eyJ+…"))
def test_redacting_twice_finds_nothing_new_to_show(text: str) -> None:
    assert len(redact(redact(text))) <= len(redact(text)) + len(MARK)


@pytest.mark.parametrize(
    "piece",
    ["a", "eyJ", "'x", '"', "1 ", "1-", "://", "://a:", "@", "a@", "x=-", "token=", "ApiKey ", "+"],
)
def test_no_text_takes_long(piece: str) -> None:
    """Generous: what grows with the square of the text or worse takes minutes here."""
    text = piece * (1_000_000 // len(piece))
    began = time.process_time()
    redact(text)
    told(text)
    assert time.process_time() - began < 5.0
