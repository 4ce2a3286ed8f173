"""The host's functions: called once for each, and harmless whatever they do."""

import asyncio
from contextlib import suppress

import pytest

from tests.conftest import eventually
from xnovu.envelope import Envelope
from xnovu.errors import Paused, XNovuError
from xnovu.events import Failure, Status, StatusChanged
from xnovu.policy import Done, Hold
from xnovu.stage import utc_now
from xnovu.subscription.callbacks import (
    LISTENING,
    PATIENCE,
    Callbacks,
    Listener,
    NotificationFailed,
    Troubles,
)


def sent(number: int = 1) -> StatusChanged:
    return StatusChanged(
        notification_id=number,
        enterprise_id="acme",
        status=Status.SENT,
        previous=Status.PROCESSING,
        at=utc_now(),
    )


def failed(number: int = 1) -> StatusChanged:
    why = Failure(code="payload_invalid", stage="hydrate", message="no", attempts=1, at=utc_now())
    return sent(number).model_copy(update={"status": Status.FAILED, "failure": why})


class Ear:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.heard = []

    def __call__(self, what) -> None:
        self.heard.append(what)

    async def later(self, what) -> None:
        await asyncio.sleep(0)
        self.heard.append(what)


async def test_each_end_is_told_once_and_each_failure_as_an_error_too():
    ends, errors = Ear(), Ear()
    changes = [sent(1), failed(2)]
    await Callbacks(ends, errors).tell(changes)
    assert ends.heard == changes
    [error] = errors.heard
    assert isinstance(error, NotificationFailed)
    assert (error.code, str(error), error.event) == (
        "payload_invalid",
        "notification 2: no",
        changes[1],
    )


async def test_async_ones_are_awaited():
    ends, errors = Ear(), Ear()
    await Callbacks(ends.later, errors.later).tell([sent(1), failed(2)])
    assert (len(ends.heard), len(errors.heard)) == (2, 1)


async def test_without_callbacks_nothing_happens():
    callbacks = Callbacks(None, None)
    await callbacks.tell([sent(), failed()])
    callbacks.trouble(Paused("away"))
    await callbacks.close()


async def test_one_that_raises_is_logged_by_its_type_and_stops_nobody(caplog):
    heard = Ear()

    def fragile(change: StatusChanged) -> None:
        heard(change)
        raise ValueError("jane@example.com")

    await Callbacks(fragile, None).tell([sent(1), sent(2)])
    assert len(heard.heard) == 2
    assert caplog.text.count("on_notification raised ValueError") == 2
    assert "jane" not in caplog.text


async def test_one_that_cancels_itself_stops_nobody(caplog):
    async def gone(change: StatusChanged) -> None:
        raise asyncio.CancelledError

    ends = Ear()
    await Callbacks(gone, ends).tell([failed(1)])
    assert len(ends.heard) == 1
    assert "on_notification was cancelled" in caplog.text


async def test_one_that_never_ends_is_cancelled(caplog):
    ended = asyncio.Event()

    async def hang(change: StatusChanged) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    await Callbacks(hang, None, patience=0.05).tell([sent()])
    await eventually(ended.is_set)
    await eventually(lambda: "on_notification was cancelled" in caplog.text)


async def test_a_trouble_that_is_told_for_ever_is_cancelled_too(caplog):
    async def hang(error: XNovuError) -> None:
        await asyncio.Event().wait()

    Callbacks(None, hang, patience=0.05).trouble(Paused("away"))
    await eventually(lambda: "on_error was cancelled" in caplog.text)


async def test_one_that_will_not_be_cancelled_is_left_to_itself():
    go_on, ended = asyncio.Event(), asyncio.Event()

    async def stubborn(change: StatusChanged) -> None:
        while not go_on.is_set():
            with suppress(asyncio.CancelledError):
                await go_on.wait()
        ended.set()

    await Callbacks(stubborn, None, patience=0.05).tell([sent()])
    assert not ended.is_set()
    go_on.set()
    await eventually(ended.is_set)


async def test_while_stopping_all_together_have_the_patience_of_one():
    heard = Ear()

    async def hang(change: StatusChanged) -> None:
        heard(change)
        await asyncio.Event().wait()

    callbacks = Callbacks(hang, None, patience=0.2)
    callbacks.hurry()
    async with asyncio.timeout(10):  # at full patience it would take 40 s
        for number in range(200):
            await callbacks.tell([sent(number)])
    assert len(heard.heard) == 200


async def test_nobody_waits_for_an_error_to_be_told_but_at_the_end():
    told, go_on = Ear(), asyncio.Event()

    async def slow(error: XNovuError) -> None:
        await go_on.wait()
        told(error)

    callbacks = Callbacks(None, slow)
    callbacks.trouble(Paused("away"))
    closing = asyncio.create_task(callbacks.close())
    await asyncio.sleep(0)
    assert not closing.done()
    go_on.set()
    await closing
    assert len(told.heard) == 1


async def test_it_knows_who_asks():
    seen = []
    callbacks = Callbacks(lambda _: seen.append(callbacks.inside), None)
    await callbacks.tell([sent()])
    assert (seen, callbacks.inside) == ([True], False)


async def test_a_listener_is_done_with_whatever_it_was_given():
    def fragile(change: StatusChanged) -> None:
        raise ValueError

    listener = Listener(Callbacks(fragile, None))
    assert await listener.handle([Envelope(sent(1)), Envelope(failed(2))]) == [Done()] * 2


def test_a_batch_outlives_its_callbacks():
    """Else it would come again, and they would be called twice."""
    assert LISTENING.timeout > 2 * PATIENCE


@pytest.mark.parametrize("how", ["held", "stalled"])
def test_a_trouble_is_told_once_in_a_while(how):
    told, now = Ear(), 0.0
    troubles = Troubles(told, lambda: now)

    def again(code: str = "store_unavailable") -> None:
        if how == "held":
            troubles.held("trigger", 5, Hold(1.0, "away", code))
        else:
            troubles.stalled(Paused("away", code=code))

    again()
    again()
    again("provider_auth")
    assert [(str(error), error.code) for error in told.heard] == [
        ("away", "store_unavailable"),
        ("away", "provider_auth"),
    ]
    assert all(isinstance(error, Paused) for error in told.heard)
    now = 31.0
    again()
    assert len(told.heard) == 3


def test_a_strangers_error_is_told_by_its_type():
    told = Ear()
    Troubles(told).stalled(ValueError("jane@example.com"))
    [error] = told.heard
    assert isinstance(error, XNovuError)
    assert str(error) == "ValueError"
