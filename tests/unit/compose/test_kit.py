"""What a kit makes of the settings."""

import pytest

from xnovu.adapters.novu import NovuOptions
from xnovu.compose.kit import Kit
from xnovu.compose.settings import Settings, Stages


@pytest.mark.parametrize("settle", [0.1, 30.0, 300.0])
@pytest.mark.parametrize("timeout", [1.0, 30.0, 300.0])
def test_a_claim_is_kept_until_what_was_sent_under_it_surely_shows(settle: float, timeout: float):
    """A batch may send at its very end, and what is unclear then comes again under its claim."""
    stages = Stages.model_validate({"trigger": {"timeout": timeout}})
    kit = Kit(Settings(provider=NovuOptions(settle=settle), stages=stages), "trigger")
    assert kit.quiet == timeout + settle
    assert kit.hold >= kit.quiet + settle
