"""How tests wait: for something to become true, never for a time to pass."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

POLL = 0.01
"""Seconds between two looks."""

T = TypeVar("T")


async def eventually(
    check: Callable[[], T | Awaitable[T]], within: float = 15.0, every: float = POLL
) -> T:
    """
    Return the first true value of ``check()``, sync or async.

    An AssertionError raised by the check counts as "not yet". After ``within`` seconds it fails.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        value, problem = await _look(check)
        if problem is None and value:
            return cast("T", value)
        if loop.time() > deadline:
            saw = f"raised {problem}" if problem else f"was {value!r}"
            raise AssertionError(f"not within {within} s: {_source(check)}; last it {saw}")
        await asyncio.sleep(every)


async def _look(check: Callable[[], object]) -> tuple[object, AssertionError | None]:
    try:
        value = check()
        return (await value if inspect.isawaitable(value) else value), None
    except AssertionError as problem:
        return None, problem


def _source(check: Callable[[], object]) -> str:
    try:
        return " ".join(inspect.getsource(check).split())
    except (OSError, TypeError):
        return repr(check)
