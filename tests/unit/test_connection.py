"""What is told of a connection."""

from datetime import UTC, datetime, timedelta

import pytest

from xnovu.connection import Line, Link

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """A second later whenever asked."""

    def __init__(self) -> None:
        self.asked = -1

    def __call__(self) -> datetime:
        self.asked += 1
        return BEGAN + timedelta(seconds=self.asked)


def test_a_line_that_never_came_up_is_connecting_and_says_why() -> None:
    line = Line("a line", Clock())
    line.lost("refused")
    assert (line.now.state, line.now.reason, line.now.since) == (Link.CONNECTING, "refused", BEGAN)
    assert line.now.reconnects == 0


def test_a_loss_is_counted_once_however_long_it_lasts() -> None:
    line = Line("a line", Clock())
    line.connected()
    line.lost("gone")
    lost = line.now.since
    line.lost("still gone")
    assert (line.now.state, line.now.reason) == (Link.RECONNECTING, "still gone")
    assert (line.now.since, line.now.reconnects) == (lost, 1)
    line.connected()
    assert (line.now.state, line.now.reason, line.now.reconnects) == (Link.CONNECTED, "", 1)


def test_a_loss_is_logged_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    line = Line("a line", Clock())
    line.connected()
    line.lost("gone")
    line.lost("gone")
    line.connected()
    assert [record.getMessage() for record in caplog.records] == [
        "a line: gone",
        "a line: connected again",
    ]


def test_what_was_planned_is_no_loss(caplog: pytest.LogCaptureFixture) -> None:
    line = Line("a line", Clock())
    line.connected()
    line.lost("renewed", planned=True)
    assert (line.now.state, line.now.reason) == (Link.RECONNECTING, "renewed")
    line.connected()
    assert line.now.reconnects == 0
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


def test_what_it_tells_is_dated() -> None:
    line = Line("a line", Clock())
    assert line.now.last_event is None
    line.connected()
    line.heard()
    assert line.now.last_event == BEGAN + timedelta(seconds=2)
    line.stopped()
    assert line.now.state is Link.STOPPED
