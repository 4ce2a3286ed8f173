"""The window: as little as keeps every worker busy."""

from collections.abc import Callable

from xnovu.adapters.table.window import Window
from xnovu.policy import Stride

BATCH, MOST = 100, 5000


def served(window: Window, rate: Callable[[float], float], seconds: float) -> list[float]:
    """How many rows lie ready each 0.05 s, of a table without end, at so many taken a second."""
    queued, lows = 0.0, []
    for tick in range(int(seconds / 0.05)):
        now = 1.0 + tick * 0.05
        queued = max(queued - rate(now) * 0.05, 0.0)
        lows.append(queued)
        window.counted(int(queued), now)
        while room := window.room():
            window.claimed(room, room)
            queued += room
    return lows


def test_it_grows_until_nobody_waits_for_work():
    window = Window(2 * BATCH, MOST, Stride(BATCH))
    lows = served(window, lambda _: 20_000, 5)
    assert min(lows[20:]) > 0
    assert 1000 <= window.size <= 2000


def test_it_never_grows_beyond_its_bound():
    window = Window(2 * BATCH, MOST, Stride(BATCH))
    served(window, lambda _: 10**7, 5)
    assert window.size == MOST


def test_it_shrinks_to_what_is_taken_up():
    window = Window(MOST, MOST, Stride(BATCH))
    lows = served(window, lambda _: 100, 60)
    assert window.size < 40
    assert min(lows[-20:]) > 0


def test_it_follows_who_becomes_faster():
    window = Window(MOST, MOST, Stride(BATCH))
    served(window, lambda now: 100 if now < 60 else 10_000, 62)
    assert window.size > 500


def test_a_table_that_has_no_more_is_no_reason_to_grow():
    window = Window(2 * BATCH, MOST, Stride(BATCH))
    for tick in range(100):
        window.counted(0, tick * 0.05)
        assert window.room() == BATCH
        window.claimed(3, BATCH)
    assert window.size == 2 * BATCH


def test_a_few_are_not_worth_a_claim():
    window = Window(2 * BATCH, MOST, Stride(BATCH))
    window.claimed(2 * BATCH - 1, 2 * BATCH)
    assert window.room() == 0
    window.counted(BATCH, 1.0)
    assert window.room() == BATCH


def test_where_one_is_enough_one_is_claimed():
    window = Window(1, 1, Stride(BATCH))
    assert window.room() == 1


def test_beyond_it_is_one_batch_until_there_is_room_again():
    window = Window(2 * BATCH, MOST, Stride(BATCH))
    window.claimed(2 * BATCH, 2 * BATCH)
    assert (window.room(), window.spare()) == (0, BATCH)
    window.claimed_beyond(60)
    assert (window.room(), window.spare()) == (0, 40)
    window.counted(BATCH, 1.0)
    assert (window.room(), window.spare()) == (BATCH, BATCH)


def test_what_is_express_does_not_lie_in_it():
    window = Window(2 * BATCH, MOST, Stride(BATCH))
    window.claimed(2 * BATCH, 2 * BATCH, express=BATCH)
    assert window.room() == BATCH
