import asyncio
import logging
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import structlog
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.unit.adapters.logs.conftest import Log
from xnovu.errors import Paused
from xnovu.events import Key

# Each is private by its looks alone, wherever it turns up.
SECRETS = (
    "jane.doe@example.com",
    "+84 90 123 45 67",
    "ApiKey 5f2c9d1e8b7a4c3d9e0f1a2b3c4d5e6f",
    "postgres://app:hunter2secret@db.example/x",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqYW5lIn0.c2lnbmF0dXJl",
    "sb_secret_9f8e7d6c5b4a39281706f5e4d3c2b1a0",
    "password=correct-horse-battery",
)
PARTS = (
    "jane.doe",
    "123 45",
    "5f2c9d1e",
    "hunter2secret",
    "eyJhbGci",
    "9f8e7d6c",
    "correct-horse",
)
PRIVATE_FIELDS = (
    *("payload", "recipients", "recipient", "to", "subscriber", "subscribers", "subscriberId"),
    *("subscriber_ids", "authorization", "Authorization", "api_key", "apiKey", "X-Api-Key"),
    *("novu_api_key", "key", "secret_key", "token", "access_token", "secret", "password", "dsn"),
    *("database_dsn", "body", "headers", "overrides", "email", "phone", "NOVU_SECRET_KEY"),
)
EXAMPLES = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def ours() -> Any:
    return structlog.stdlib.get_logger("xnovu")


def test_times_and_ids_stay_readable(log: Log):
    row = uuid4()
    at = datetime(2026, 11, 23, 18, 45, 28, tzinfo=UTC)
    ours().info("x", row=row, text=str(row), at=at, workflow_key="welcome", seconds=0.25, ok=True)
    [line] = log.lines
    assert line["row"] == line["text"] == str(row)
    assert line["at"] == "2026-11-23T18:45:28+00:00"
    assert (line["workflow_key"], line["seconds"], line["ok"]) == ("welcome", 0.25, True)
    assert "…" not in line["timestamp"]


@pytest.mark.parametrize("name", PRIVATE_FIELDS)
def test_private_fields_are_hidden_at_any_depth(log: Log, name: str):
    ours().info("x", **{name: "plain"}, deep={"list": [{name: {"also": "plain"}}], "id": 7})
    assert "plain" not in log.text
    [line] = log.lines
    assert line[name] == "[redacted]"
    assert line["deep"] == {"list": [{name: "[redacted]"}], "id": 7}


@given(
    secret=st.sampled_from(SECRETS),
    names=st.lists(st.sampled_from(["event_name", "detail", "items", "a b", "x-y"]), max_size=5),
    shape=st.sampled_from(["value", "list", "set", "tuple", "name", "message"]),
    text=st.sampled_from(["{}", "could not send to {}", "({})", "'{}'", "a={}, b", "x\n{}\ny"]),
)
@settings(EXAMPLES, max_examples=200)
def test_what_looks_private_never_shows(log: Log, secret, names, shape, text):
    log.clear()
    said = text.format(secret)
    value: Any = {
        "value": said,
        "list": [1, said],
        "set": {said},
        "tuple": (said,),
        "name": {said: 1},
        "message": "x",
    }[shape]
    for name in names:
        value = {name: value}
    ours().warning(said if shape == "message" else "x", detail=value)
    logging.getLogger("nats").warning("nats: %s %s", value, said)
    logging.getLogger("xnovu.x").warning("ours: " + said)
    assert len(log.lines) == 3
    for part in PARTS:
        assert part not in log.text


@given(
    private=st.text("abcdefghijklmnopqrstuvwxyz", min_size=12),
    name=st.sampled_from(PRIVATE_FIELDS),
    path=st.lists(st.sampled_from(["detail", "rows", "x"]), max_size=4),
)
@settings(EXAMPLES, max_examples=100)
def test_private_fields_never_show_whatever_they_hold(log: Log, private, name, path):
    assume(private not in f"{name} {path}")  # the fields' own names are shown
    log.clear()
    value: Any = {name: {"anything": [private]}}
    for part in path:
        value = {part: [value]}
    ours().info("x", detail=value)
    assert private not in log.text


@dataclass
class Unknown:
    private: str = "jane"


def test_of_unknown_types_only_the_name_is_shown(log: Log):
    ours().info("x", one=Unknown(), two=b"jane", three=[Unknown()], four=ValueError("jane"))
    [line] = log.lines
    assert "jane" not in log.text
    assert (line["one"], line["two"], line["four"]) == ("<Unknown>", "<bytes>", "ValueError")


def test_what_is_deep_long_or_circular_is_cut(log: Log):
    circle: dict[str, Any] = {}
    circle["again"] = circle
    ours().info("x", circle=circle, many=list(range(100_000)), text="a b " * 100_000)
    assert len(log.text) < 3_000
    assert "<dict>" in log.text


class Rotten:
    def __str__(self) -> str:
        raise ValueError("jane")


@pytest.mark.parametrize("arguments", [("jane", "doe"), (Rotten(),)])
def test_a_line_that_cannot_be_written_does_not_print_its_arguments(log: Log, arguments):
    del logging.getLogger().handlers[1:]  # pytest's own, which raise instead
    logging.getLogger("nats").error("one %s", *arguments)
    [line] = log.lines
    assert line["event"] == "a line of nats could not be written"
    assert "jane" not in log.text


def fail(error: Exception, cause: Exception | None = None) -> None:
    private = "jane.local"
    raise error from cause if private else None


@pytest.mark.parametrize("logger", [ours, lambda: logging.getLogger("faststream")])
def test_a_strangers_exception_is_its_type(log: Log, logger):
    try:
        fail(ValueError("jane"), KeyError("doe"))
    except ValueError:
        logger().exception("failed", stack_info=True)
    [line] = log.lines
    assert line["raised"] == {"type": "ValueError", "at": [], "after": ["KeyError"]}
    assert "jane" not in log.text
    assert "doe" not in log.text
    assert "raise error" not in log.text


def test_an_error_of_ours_says_what_it_says(log: Log):
    try:
        fail(Paused("Novu is away, said jane.doe@example.com"), OSError("jane"))
    except Paused as error:
        ours().error("failed", exc_info=error, error=error)
    [line] = log.lines
    assert line["raised"]["type"] == "Paused"
    assert line["raised"]["message"].startswith("Novu is away, said ")
    assert line["raised"]["after"] == ["OSError"]
    assert line["error"].startswith("Novu is away")
    assert "jane" not in log.text


def test_an_exception_shows_our_own_frames(log: Log):
    try:
        Key.parse("jane/x/y/z")
    except ValueError:
        ours().exception("failed")
    [line] = log.lines
    [frame] = line["raised"]["at"]
    assert frame.startswith("xnovu.events:")
    assert frame.endswith(":parse")
    assert "jane" not in log.text


def test_members_of_a_group_are_named(log: Log):
    try:
        raise ExceptionGroup("jane", [ValueError("jane"), ExceptionGroup("x", [OSError("jane")])])
    except ExceptionGroup:
        ours().exception("failed")
    [line] = log.lines
    assert line["raised"]["after"] == ["ValueError", "ExceptionGroup", "OSError"]
    assert "jane" not in log.text


def test_exc_info_without_an_exception(log: Log):
    ours().error("x", exc_info=True)
    logging.getLogger("nats").error("x", exc_info=True)
    assert [line.get("raised") for line in log.lines] == [None, None]


async def test_a_task_nobody_asked_after_does_not_tell_its_exception(log: Log):
    async def task() -> None:
        raise ValueError("jane")

    loop = asyncio.get_running_loop()
    running = asyncio.create_task(task())
    await asyncio.wait([running])
    loop.call_exception_handler(
        {"message": "Task exception was never retrieved", "task": running}
        | {"exception": running.exception()}
    )
    [line] = log.lines
    assert line["event"].startswith("Task exception was never retrieved … (base_events:")
    assert line["raised"]["type"] == "ValueError"
    assert "jane" not in log.text


def test_a_crash_is_a_line_too(log: Log):
    try:
        fail(ValueError("jane"))
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    thread = threading.Thread(target=fail, args=[ValueError("jane")])
    thread.start()
    thread.join()
    assert [line["event"] for line in log.lines] == ["crashed", "crashed"]
    assert [line["raised"]["type"] for line in log.lines] == ["ValueError", "ValueError"]
    assert "jane" not in log.text
