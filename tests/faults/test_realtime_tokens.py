"""A user's token for Realtime is replaced in time, whatever the own clock shows."""

import pytest

from tests.clocks import wrong
from tests.conftest import eventually
from tests.faults.test_realtime import discreet, up
from tests.realtime_project import Project, project, supabase_realtime
from xnovu.adapters.supabase.realtime_client import Client

__all__ = ["discreet", "project", "supabase_realtime", "wrong"]


@pytest.mark.usefixtures("wrong")
@pytest.mark.parametrize("told_by", ["the server", "the token"])
async def test_a_token_is_replaced_in_time_whatever_the_own_clock_says(
    supabase_realtime: Project, told_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither too late, so that the connection is lost, nor again and again."""
    if told_by == "the token":
        monkeypatch.setattr(Client, "let_in_at", None)
    realtime = supabase_realtime.realtime
    tokens = [supabase_realtime.token(lives=120), supabase_realtime.token(lives=900)]
    looks, asked = 0, 0

    def key() -> str:
        nonlocal looks
        looks += 1
        return supabase_realtime.keys.publishable

    def token() -> str:
        nonlocal asked
        asked += 1
        return tokens[min(asked, len(tokens)) - 1]

    async with up(supabase_realtime, key=key, token=token, renewal=400) as told:
        await eventually(lambda: realtime.log.count("access_token") == 1)
        await eventually(lambda: realtime.log.count("subscribed") == 2)
        seen = looks
        await eventually(lambda: looks > seen + 5)
        assert (asked, told.diary.losses) == (2, [])
