"""Tasks side by side: whatever goes wrong, the task that began them is as good as new."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnovu.together import all_of, group

SOURCES = Path(__file__).parents[2] / "xnovu"


async def ends(after: int, *, well: bool) -> int:
    for _ in range(after):
        await asyncio.sleep(0)
    if not well:
        raise ValueError("no")
    return after


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=6), st.integers(0, 4))
async def test_what_has_failed_leaves_no_request_to_cancel(
    runs: list[tuple[int, bool]], inside: int
) -> None:
    """However many fail, at once or one by one, before the group is left or after."""
    own = asyncio.current_task()
    assert own
    for _ in range(2):
        try:
            async with group() as tasks:
                for after, well in runs:
                    tasks.create_task(ends(after, well=well))
                await ends(inside, well=True)
            assert all(well for _, well in runs)
        except* ValueError:
            assert not all(well for _, well in runs)
        assert own.cancelling() == 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.sleep(60)


async def test_results_are_in_order() -> None:
    assert await all_of(ends(n, well=True) for n in (3, 1, 2)) == [3, 1, 2]
    with pytest.raises(ExceptionGroup):
        await all_of([ends(0, well=False), ends(1, well=True)])


async def test_who_is_cancelled_from_outside_is_cancelled() -> None:
    async def wait() -> None:
        async with group() as tasks:
            tasks.create_task(asyncio.sleep(60))

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_there_is_no_other_group() -> None:
    holders = [p.name for p in SOURCES.rglob("*.py") if "asyncio.TaskGroup(" in p.read_text()]
    assert holders == ["together.py"]
