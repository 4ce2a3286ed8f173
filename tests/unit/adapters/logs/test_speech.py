"""What XNovu says where the logging is somebody else's."""

import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from tests.unit.adapters.logs.conftest import Log
from xnovu.adapters.logs import logger, namespaces, speak_up


@pytest.fixture
def host(untouched: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process without any logging set up."""
    root, ours = logging.getLogger(), logging.getLogger("xnovu")
    for each in (root, ours):
        monkeypatch.setattr(each, "handlers", [])
    root.setLevel(logging.WARNING)  # Python's own; another test may have left another
    silent(ours)
    yield
    silent(ours)


def silent(ours: logging.Logger) -> None:
    for each in (ours, ours.getChild("subscription")):
        each.setLevel(logging.NOTSET)


def attached(stream: io.StringIO) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    return handler


def test_a_host_reads_it_in_words(host: None):
    attached(own := io.StringIO())
    logger().warning("holding work", stage="trigger", count=3, payload="jane", seconds=0.5)
    assert own.getvalue() == "holding work stage=trigger count=3 payload=[redacted] seconds=0.5\n"


def test_an_exception_is_told_without_what_is_private(host: None):
    attached(own := io.StringIO())
    try:
        raise ValueError("jane")
    except ValueError:
        logger().exception("failed")
    assert "ValueError" in own.getvalue()
    assert "jane" not in own.getvalue()


def test_a_host_with_structlog_of_its_own_is_not_asked(host: None):
    attached(own := io.StringIO())
    structlog.configure(processors=[lambda *_: 1 / 0])
    logger().warning("hello", stage="trigger")
    assert own.getvalue() == "hello stage=trigger\n"


def test_the_hosts_level_decides(host: None, capsys):
    attached(own := io.StringIO())
    logging.getLogger().setLevel(logging.WARNING)
    logger().info("started")
    assert own.getvalue() == ""
    speak_up("xnovu", "info")
    logger().info("started")
    assert own.getvalue() == "started\n"
    assert capsys.readouterr().err == ""


def test_without_any_handler_it_goes_to_standard_error(host: None, capsys):
    logging.getLogger().handlers.clear()  # pytest's
    speak_up("xnovu.subscription", "debug")
    speak_up("xnovu.subscription", "debug")
    logging.getLogger("xnovu.subscription").debug("started")
    logging.getLogger("xnovu").info("started, which nobody asked for")
    assert capsys.readouterr().err.count("started") == 1
    attached(own := io.StringIO())
    logging.getLogger("xnovu.subscription").debug("later")
    assert own.getvalue() == "later\n"
    assert capsys.readouterr().err == ""


def test_a_handler_of_the_hosts_on_our_logger_is_enough(host: None, capsys):
    logging.getLogger().handlers.clear()  # pytest's
    ours = logging.getLogger("xnovu")
    ours.addHandler(logging.StreamHandler(own := io.StringIO()))
    speak_up("xnovu", "info")
    logger().info("started")
    assert own.getvalue() == "started\n"
    assert capsys.readouterr().err == ""


def test_in_a_process_of_its_own_a_line_has_fields(log: Log):
    speak_up("xnovu", "info")
    logger().info("batch", stage="hydrate", count=7)
    [line] = log.lines
    assert (line["event"], line["stage"], line["count"]) == ("batch", "hydrate", 7)


@pytest.mark.parametrize(
    ("debug", "heard"),
    [
        ("", []),
        ("1", []),
        ("xnovu:subscription", ["xnovu.subscription"]),
        ("xnovu:*", ["xnovu"]),
        ("xnovu", ["xnovu"]),
        ("*", ["xnovu"]),
        ("express:*,xnovu:subscription", ["xnovu.subscription"]),
        ("express:* , xnovu:*", ["xnovu"]),
        ("xnovus:*, other", []),
    ],
)
def test_debug_names_who_is_to_speak(debug: str, heard: list[str]):
    assert list(namespaces(debug)) == heard
