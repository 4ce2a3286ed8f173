"""What a kit makes of the settings."""

import pytest

from xnovu.adapters.novu import NovuOptions
from xnovu.compose.kit import Kit
from xnovu.compose.settings import Settings, Stages
from xnovu.sending import SendTimes


@pytest.mark.parametrize("settle", [0.0, 0.1, 30.0, 300.0])
@pytest.mark.parametrize("timeout", [0.5, 10.0, 300.0])
def test_how_long_a_row_is_one_senders_alone_is_the_providers_to_say(settle: float, timeout: float):
    """Whatever the stage's own time-out is: it only cuts a batch off."""
    stages = Stages.model_validate({"trigger": {"timeout": 7.0}})
    provider = NovuOptions(timeout=timeout, settle=settle)
    times = Kit(Settings(provider=provider, stages=stages), "trigger").times
    assert times == SendTimes(timeout, settle)
    assert times.hold >= 2 * (timeout + settle), "what is unclear comes again under its claim"


def test_the_defaults_are_the_same_everywhere():
    assert Kit(Settings(), "trigger").times == SendTimes()
