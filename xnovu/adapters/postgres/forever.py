"""One connection after the other, for ever, with a true word on how it fares."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

from xnovu.adapters.postgres.connection import Door
from xnovu.connection import Line
from xnovu.errors import describe

LOOK = 5.0
"""Seconds between two looks at whether the address has changed."""


class Forever:
    """
    Lives a connection anew whenever it ends, whatever ended it, until it is stopped.

    It waits up to ``backoff`` seconds before each attempt, doubling up to ``backoff_max`` until one
    has come :meth:`up`. ``line`` tells how it fares, and logs it under this ``name``. A ``door``
    that leads elsewhere (the password has changed) ends the connection within ``look`` seconds.
    """

    def __init__(
        self, name: str, door: Door, backoff: float, backoff_max: float, look: float = LOOK
    ) -> None:
        self.line = Line(name)
        self._door = door
        self._look = look
        self._backoff, self._backoff_max = backoff, backoff_max
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    def start(self, live: Callable[[], Awaitable[None]]) -> None:
        """Begin, in the background; ``live`` returns or raises when its connection has ended."""
        self._task = asyncio.create_task(self._for_ever(live), name="xnovu-wake-ups")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self.line.stopped()

    def up(self) -> None:
        """It works from now on."""
        self._failures = 0
        self.line.connected()

    async def _for_ever(self, live: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                if await self._moved_while(live):
                    continue
                self.line.lost("the database has ended the connection")
            except Exception as error:  # noqa: BLE001 - whatever it is, it may pass
                self.line.lost(describe(error))
            self._failures += 1
            await asyncio.sleep(self._pause())

    async def _moved_while(self, live: Callable[[], Awaitable[None]]) -> bool:
        """Whether it was the door that ended this connection; raises what else has ended it."""
        self._door.moved()
        living = asyncio.ensure_future(live())
        try:
            while not (await asyncio.wait([living], timeout=self._look))[0]:
                if self._door.moved():
                    return True
            await living
            return False
        finally:
            living.cancel()
            await asyncio.wait([living])

    def _pause(self) -> float:
        ceiling = min(self._backoff_max, self._backoff * 2.0 ** min(self._failures - 1, 60))
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - spread, not secrecy
