"""In which company messages are handled, without a server."""

import pytest

from xnovu.adapters.nats.triage import widening


@pytest.mark.parametrize(
    ("messages", "sizes"),
    [(0, []), (1, [1]), (2, [1, 1]), (7, [1, 2, 4]), (100, [1, 2, 4, 8, 16, 32, 37])],
)
def test_company_grows_as_long_as_everybody_survives(messages: int, sizes: list[int]):
    groups = list(widening(list(range(messages))))
    assert [len(group) for group in groups] == sizes
    assert [one for group in groups for one in group] == list(range(messages))
