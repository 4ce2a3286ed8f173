"""Novu's own word of its limits, and each process's part of them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnovu.adapters.novu.limits import Limit, part_of

FREE = '300;w=5;burst=330;comment="token bucket";category="trigger";cost="bulk";serviceLevel="free"'


def test_a_policy_as_novu_sends_it() -> None:
    assert Limit.of(FREE) == Limit(60.0, 300.0)


@pytest.mark.parametrize(
    "policy",
    [
        "",
        "300",
        "x;w=5",
        '300;w=0;category="trigger"',
        '300;w=x;category="trigger"',
        '0;w=5;category="trigger"',
        'inf;w=5;category="trigger"',
        'nan;w=5;category="trigger"',
        '150;w=5;burst=165;category="global"',
        "300;w=5",
    ],
)
def test_what_is_of_other_calls_or_unreadable_says_nothing(policy: str) -> None:
    assert Limit.of(policy) is None


@pytest.mark.parametrize(
    ("others", "part"),
    [
        ([], 60.0),
        ([math.inf], 30.0),
        ([math.inf, math.inf], 20.0),
        ([0.0, 0.0], 60.0),
        ([10.0], 50.0),
        ([10.0, math.inf], 25.0),
        ([25.0, 40.0, math.inf], 15.0),
    ],
)
def test_what_others_do_not_need_is_shared(others: list[float], part: float) -> None:
    assert part_of(60.0, others) == part


NEEDS = st.lists(st.one_of(st.just(math.inf), st.floats(0.0, 1e4)), min_size=1, max_size=9)


@given(NEEDS)
def test_all_parts_together_are_never_more_than_there_is(needs: list[float]) -> None:
    parts = [
        min(need, part_of(100.0, [*needs[:n], *needs[n + 1 :]])) for n, need in enumerate(needs)
    ]
    assert sum(parts) <= 100.0 * (1 + 1e-9)
    if sum(needs) >= 100.0:
        assert sum(parts) == pytest.approx(100.0)
