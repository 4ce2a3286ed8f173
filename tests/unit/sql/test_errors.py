"""Every SQLSTATE is nobody's fault or somebody's; the list of nobody's is closed."""

import psycopg
import pytest

from xnovu.errors import Paused, Permanent
from xnovu.sql.errors import NOBODYS, OURS, Complaint, translate

CLASSES = [it for it in vars(psycopg.errors).values() if isinstance(it, type)]
STATES = sorted(
    {
        it.sqlstate
        for it in CLASSES
        if issubclass(it, psycopg.Error) and isinstance(it.sqlstate, str)
    }
)
NOBODY = tuple(state for states, _ in NOBODYS for state in states)
SECRET = "a secret value"


@pytest.mark.parametrize("state", STATES)
def test_each_is_in_one_class(state: str) -> None:
    found = translate(Complaint(state, f'permission denied for table "t" {state}'))
    assert isinstance(found, Paused) == state.startswith(NOBODY)
    assert isinstance(found, Permanent) != isinstance(found, Paused)
    assert state in str(found)


def test_no_rule_hides_another() -> None:
    each = [state for states, _ in (*NOBODYS, *OURS) for state in states]
    hidden = [one for n, one in enumerate(each) if any(one.startswith(it) for it in each[:n])]
    assert hidden == []


def test_somebodys_names_the_things_and_no_value() -> None:
    said = Complaint("P0001", SECRET, SECRET, "c", "k", "t", "public.theirs")
    assert str(translate(said)) == (
        'the database refused it (P0001, table "t", column "c", constraint "k",'
        ' routine "public.theirs")'
    )
