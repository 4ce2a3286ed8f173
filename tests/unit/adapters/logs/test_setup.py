import io
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from tests.unit.adapters.logs.conftest import Log
from xnovu.adapters.logs import configure
from xnovu.errors import ConfigurationError

ENTERPRISE = "11111111-1111-4111-8111-111111111111"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def ours() -> Any:
    return structlog.stdlib.get_logger("xnovu")


def test_a_line_is_json_with_time_level_and_event_first(log: Log):
    structlog.contextvars.bind_contextvars(stage="hydrate")
    ours().info("batch", enterprise=ENTERPRISE, notification=7)
    [line] = log.lines
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert datetime.fromisoformat(line.pop("timestamp")).tzinfo is UTC
    assert line == {
        "level": "info",
        "event": "batch",
        "logger": "xnovu",
        "stage": "hydrate",
        "enterprise": ENTERPRISE,
        "notification": 7,
    }


def test_other_libraries_write_the_same_lines(log: Log):
    structlog.contextvars.bind_contextvars(stage="hydrate")
    logging.getLogger("nats.client").warning("reconnected after %d s", 3)
    [line] = log.lines
    assert (line["event"], line["logger"]) == ("reconnected after %d s", "nats.client")
    assert (line["level"], line["stage"]) == ("warning", "hydrate")


@pytest.mark.parametrize(("stream", "is_json"), [(io.StringIO(), True), (Terminal(), False)])
def test_auto_is_json_unless_a_person_is_watching(untouched, monkeypatch, stream, is_json):
    monkeypatch.setattr(sys, "stderr", stream)
    configure()
    ours().info("hello", payload="jane")
    assert stream.getvalue().startswith("{") == is_json
    assert "hello" in stream.getvalue()
    assert "jane" not in stream.getvalue()


def test_libraries_are_quiet_unless_debugging(untouched, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    chatty = ("httpx", "httpcore", "nats", "faststream", "uvicorn.error", "psycopg.pool")
    configure("info", "json")
    for name in chatty:
        logging.getLogger(name).info("chat")
    assert stream.getvalue() == ""
    configure("debug", "json")
    for name in chatty:
        logging.getLogger(name).info("chat")
    told = {json.loads(line)["logger"] for line in stream.getvalue().splitlines()}
    assert told == set(chatty) - {"httpcore"}


def test_handlers_of_libraries_are_replaced(untouched, monkeypatch):
    stray = logging.getLogger("faststream.access.stray")
    stray.propagate = False
    stray.addHandler(logging.StreamHandler(own := io.StringIO()))
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    configure("info", "json")
    stray.error("oops")
    assert own.getvalue() == ""
    assert json.loads(stream.getvalue())["event"] == "oops"


def test_a_level_that_is_none_is_a_configuration_error(untouched):
    with pytest.raises(ConfigurationError, match="no log level 'loud'"):
        configure("loud")


def test_a_person_sees_exceptions_without_what_is_private(untouched, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    configure("info", "console")
    try:
        raise ValueError("jane")
    except ValueError:
        ours().exception("failed", exc_info=True)
    assert "failed" in stream.getvalue()
    assert "ValueError" in stream.getvalue()
    assert "jane" not in stream.getvalue()
