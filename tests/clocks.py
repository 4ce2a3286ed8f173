"""A machine whose clock is wrong by minutes."""

import sys
import time
from datetime import datetime, timedelta, tzinfo
from types import ModuleType, SimpleNamespace

import pytest

WRONG = [timedelta(minutes=10), timedelta(minutes=-10), timedelta(0)]


def ours() -> list[ModuleType]:
    named = [(name, each) for name, each in sys.modules.items() if each]
    return [each for name, each in named if _is_ours(name)]


def _is_ours(name: str) -> bool:
    """The local servers stand for other machines: their clocks are right."""
    return name.partition(".")[0] == "xnovu"


@pytest.fixture(params=WRONG, ids=str)
def wrong(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> timedelta:
    """By so much is this process's clock ahead, wherever XNovu asks for the time."""
    ahead: timedelta = request.param

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Wrong":
            return cls.fromtimestamp((datetime.now(tz) + ahead).timestamp(), tz)

    told = {"time": lambda: time.time() + ahead.total_seconds()}
    for module in ours():
        if getattr(module, "datetime", None) is datetime:
            monkeypatch.setattr(module, "datetime", Wrong)
        if getattr(module, "time", None) is time:
            monkeypatch.setattr(module, "time", SimpleNamespace(**{**vars(time), **told}))
    return ahead
