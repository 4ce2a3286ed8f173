"""How many messages are taken at once: as many as the pace allows, and no fewer than pay."""

from xnovu.policy import LEAST, MEASURED, Stride


def after(stride: Stride, per_second: float, seconds: float, now: float) -> float:
    """So many messages a second, a hundredth of a second's at a time."""
    steps = round(seconds / 0.01)
    for _ in range(steps):
        now += 0.01
        stride.done(round(per_second / 100), now)
    return now


def test_begins_with_what_always_pays_or_with_all_that_is_allowed():
    assert Stride(most=500).size == LEAST
    assert Stride(most=7).size == 7


def test_follows_the_pace_and_never_goes_beyond_what_is_allowed():
    stride = Stride(most=500)
    now = after(stride, per_second=3900, seconds=1, now=50.0)
    assert stride.size == 300
    now = after(stride, per_second=20_000, seconds=1, now=now)
    assert stride.size == 500
    after(stride, per_second=600, seconds=1, now=now)
    assert stride.size == LEAST


def test_a_single_large_batch_tells_nothing_of_the_pace():
    stride = Stride(most=500)
    stride.done(500, now=1000.0)  # after a long rest
    assert stride.size == LEAST
    stride.done(500, now=1000.0 + MEASURED / 2)
    assert stride.size == LEAST
