"""As much as a platform may do at once, over Supabase's API: all of it is sent, and each once."""

from collections import Counter
from uuid import uuid4

import pytest

from tests.conftest import eventually
from tests.supabase_pipeline import Installation, here
from xnovu.compose.settings import load
from xnovu.connection import Link
from xnovu.errors import ConfigurationError

__all__ = ["here"]

LONG = 300.0
"""Seconds for all of them, on a machine that has much else to do; 10 to 20 on two idle cores."""


async def test_thousands_of_rows_in_one_insert(
    here: Installation, pytestconfig: pytest.Config
) -> None:
    """Ten thousand with ``--exhaustive``."""
    async with here.at_work() as at_work:
        here.insert(10_000 if pytestconfig.getoption("exhaustive") else 2_000)
        await here.all_sent(LONG)
        assert (at_work.status["state"], at_work.told.diary.losses) == (Link.CONNECTED, [])
    here.each_exactly_once()


async def test_two_hundred_enterprises_on_one_channel(here: Installation) -> None:
    enterprises = [uuid4() for _ in range(200)]
    for enterprise in enterprises:
        here.around.register(enterprise)
    async with here.at_work() as at_work:
        assert len(here.realtime.channels) == 1
        for _ in range(3):
            heard = at_work.status["last_event"]
            here.insert(200, enterprises)
            await eventually(lambda before=heard: at_work.status["last_event"] != before)
        await here.all_sent(LONG)
    here.each_exactly_once()
    owners = here.around.execute("SELECT enterprise_id FROM notify.ent_notification")
    assert Counter(row["enterprise_id"] for row in owners) == dict.fromkeys(enterprises, 3)


async def test_a_hundred_enterprises_on_a_channel_each(here: Installation) -> None:
    enterprises = [uuid4() for _ in range(100)]
    for enterprise in enterprises:
        here.around.register(enterprise)
    here.listen_for(enterprises)
    async with here.at_work() as at_work:
        assert len(here.realtime.channels) == 100
        heard = at_work.status["last_event"]
        here.insert(1, enterprises[-1:])
        await eventually(lambda: at_work.status["last_event"] != heard)
        await here.all_sent(LONG)
        assert (at_work.status["state"], at_work.told.diary.losses) == (Link.CONNECTED, [])
    here.each_exactly_once()


def test_more_channels_than_a_connection_holds_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listed = ",".join(f'"{uuid4()}"' for _ in range(101))
    monkeypatch.setenv("XNOVU_WAKEUPS__ENTERPRISES", f"[{listed}]")
    with pytest.raises(ConfigurationError, match=r"wakeups\.enterprises: 101 .* 100 channels"):
        load()
