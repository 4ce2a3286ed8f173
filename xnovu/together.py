"""Tasks side by side, that end together."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def group() -> AsyncGenerator[asyncio.TaskGroup]:
    """
    A ``TaskGroup`` after whose failure its task is as good as new.

    Up to Python 3.12 the group leaves a request to cancel behind (``Task.cancelling``), and up to
    3.11.2, which Debian 12 has, no ``asyncio.timeout`` of that task ends as one from then on: it
    cancels the task instead (python/cpython issue 102780).
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
    except BaseExceptionGroup:
        while task and task.cancelling() > before:
            task.uncancel()
        raise


async def all_of(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What each returns, in order. Raises an ExceptionGroup if one does, and cancels the rest."""
    async with group() as tasks:
        begun = [tasks.create_task(each) for each in work]
    return [each.result() for each in begun]
