"""What a row may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import a_notification
from xnovu.errors import Permanent
from xnovu.events import TRANSACTION_ID, is_transaction_id
from xnovu.payloads import RowOptions, check_bounds

BOUNDS = RowOptions(max_bytes=100, max_depth=3, max_members=2)


def nested(levels: int) -> dict:
    value: dict = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"payload": nested(3)},
        {"payload": {"a": [[1]]}},
        {"payload": {"a": "x" * 92}},
        {"payload": {"a": "Infinity"}},
        {"overrides": nested(3)},
        {"tags": ("a", "b")},
        {"transaction_id": "order-7:2026.11_30"},
        {"transaction_id": "x" * 255},
    ],
    ids=repr,
)
def test_a_row_within_its_bounds(columns):
    assert check_bounds(a_notification(**columns), BOUNDS)


@pytest.mark.parametrize(
    ("columns", "code", "told"),
    [
        ({"payload": nested(4)}, "invalid_row", "payload is nested"),
        ({"payload": {"a": [[[1]]]}}, "invalid_row", "payload is nested"),
        ({"overrides": nested(4)}, "invalid_row", "overrides is nested"),
        ({"payload": {"a": "x" * 93}}, "too_large", "101 bytes"),
        ({"payload": {"a": "x" * 46}, "overrides": {"a": "x" * 46}}, "too_large", "108 bytes"),
        ({"payload": {"a": "\ud800"}}, "invalid_row", "payload cannot be written"),
        ({"payload": {"a": float("inf")}}, "invalid_row", "payload cannot be written"),
        ({"overrides": {"a": [-float("inf")]}}, "invalid_row", "overrides cannot be written"),
        ({"recipients": ("a", "b", "c")}, "invalid_row", "recipients has 3 members"),
        ({"tags": ("a", "b", "c")}, "invalid_row", "tags has 3 members"),
        ({"channels": ("a", "b", "c")}, "invalid_row", "channels has 3 members"),
        *(
            ({"transaction_id": name}, "invalid_row", TRANSACTION_ID)
            for name in ("", " ", "order-1 ", "order-1\n", ".", "..", "--", "ö", "x" * 256)
        ),
        ({"transaction_id": "../../subscribers/victim"}, "invalid_row", TRANSACTION_ID),
        ({"transaction_id": "order-7?x"}, "invalid_row", TRANSACTION_ID),
    ],
    ids=repr,
)
def test_a_row_beyond_its_bounds(columns, code, told):
    with pytest.raises(Permanent) as caught:
        check_bounds(a_notification(**columns), BOUNDS)
    assert caught.value.code == code
    assert told in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


@given(st.text(max_size=12) | st.text("aZ0._:-/ ?#%\n", max_size=12))
def test_a_transaction_id_is_one_word_of_a_path_and_a_header(name):
    plain = name.isascii() and name.replace("_", "x").replace("-", "x").replace(":", "x")
    assert not is_transaction_id(name) or (plain and "/" not in name and name.strip() == name)
    assert is_transaction_id(f"x{name}") or not is_transaction_id(name)
