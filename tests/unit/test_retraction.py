"""What taking a notification back comes to, by what became of its calls."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnovu.events import Retraction, Status
from xnovu.retraction import RECIPIENTS, Recalled, came_to, parts

ROW = "0b5c6a52-6d55-4f0e-8d0c-9d4c6f0e7a11"
ABSENT = Recalled()
SPARED = Recalled(there=True, settled=True, spared=True)
SENT = Recalled(there=True, settled=True, sent=True)
BOTH = Recalled(there=True, settled=True, sent=True, spared=True)


@pytest.mark.parametrize(
    ("previous", "calls", "outcome"),
    [
        (Status.PROCESSING, [], Retraction.STOPPED),
        (Status.PROCESSING, [ABSENT], Retraction.STOPPED),
        (Status.FAILED, [ABSENT, ABSENT], Retraction.STOPPED),
        (Status.SENT, [ABSENT], Retraction.TOO_LATE),
        (Status.SENT, [SPARED], Retraction.CANCELLED),
        (Status.PROCESSING, [SPARED, ABSENT], Retraction.CANCELLED),
        (Status.SENT, [SENT], Retraction.TOO_LATE),
        (Status.PROCESSING, [SENT, SENT], Retraction.TOO_LATE),
        (Status.SENT, [BOTH], Retraction.PARTLY),
        (Status.SENT, [SENT, SPARED], Retraction.PARTLY),
        (Status.PROCESSING, [SENT, ABSENT], Retraction.PARTLY),
        (Status.SENT, [Recalled(there=True, settled=True)], Retraction.CANCELLED),
    ],
)
def test_the_outcome_says_who_has_it(previous, calls, outcome):
    assert came_to(previous, calls) is outcome


@given(st.integers(0, 1000))
def test_every_recipient_is_in_one_part_and_every_part_has_a_name(recipients):
    made = list(parts(ROW, recipients))
    assert [n for _, of in made for n in of] == list(range(recipients))
    assert all(1 <= len(of) <= RECIPIENTS for _, of in made)
    assert len({UUID(name) for name, _ in made}) == len(made)
    assert [name for name, _ in made][:1] == [ROW][: len(made)]


def test_a_part_is_called_the_same_for_ever():
    """What was sent by another version is to be found, too."""
    assert [name for name, _ in parts(ROW, 201)] == [
        ROW,
        "e85f7bae-c379-5637-977c-fd851523f29c",
        "fd40c2f2-623c-5957-84dc-b8d7084cbfd3",
    ]
