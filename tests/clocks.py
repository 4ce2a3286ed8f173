"""A machine whose clock is wrong by minutes."""

import inspect
import sys
import time
from datetime import datetime, timedelta, tzinfo
from types import ModuleType

import pytest

WRONG = [timedelta(minutes=10), timedelta(minutes=-10), timedelta(0)]
THEIRS = "xnovu.local"
"""What stands for other machines: its clock is right."""


def ours() -> list[ModuleType]:
    named = [(name, each) for name, each in sys.modules.items() if each and _is_ours(name)]
    return [each for _, each in named]


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] in ("xnovu", "pipelines") and not name.startswith(THEIRS)


@pytest.fixture(params=WRONG, ids=str)
def wrong(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> timedelta:
    """By so much is this process's clock ahead, wherever XNovu asks for the time."""

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Wrong":
            return cls.fromtimestamp((datetime.now(tz) + request.param).timestamp(), tz)

    right = time.time

    def told() -> float:
        here = inspect.currentframe()
        asks = here and here.f_back
        ahead = asks and _is_ours(asks.f_globals["__name__"])
        return right() + (request.param.total_seconds() if ahead else 0.0)

    monkeypatch.setattr(time, "time", told)
    for module in ours():
        if getattr(module, "datetime", None) is datetime:
            monkeypatch.setattr(module, "datetime", Wrong)
    return request.param
