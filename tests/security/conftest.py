"""Logging as loud as it gets, into a string."""

import io
import sys

import pytest

from tests.unit.adapters.logs.conftest import Log, untouched
from xnovu.adapters.logs import configure

__all__ = ["Log", "log", "untouched"]


@pytest.fixture
def log(untouched: None, monkeypatch: pytest.MonkeyPatch) -> Log:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure("debug", "json")
    return Log(stream)
