"""Places for requests under way, waited for in two lines."""

import asyncio
from collections import deque

IN_A_ROW = 4
"""So often who is express goes first before one of the others has its turn."""

Line = deque[asyncio.Future[None]]


class Places:
    """So many at once; who is express goes first, but keeps nobody waiting for good."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._express, self._others = Line(), Line()
        self._in_a_row = 0

    async def acquire(self, *, express: bool = False) -> None:
        """Wait for a place."""
        if self._free:
            self._free -= 1
            return
        place = asyncio.get_running_loop().create_future()
        (self._express if express else self._others).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():  # it came at the same moment
                self.release()
            raise

    def release(self) -> None:
        """Give a place to who is next."""
        while line := self._next():
            place = line.popleft()
            if not place.cancelled():
                self._in_a_row = self._in_a_row + 1 if line is self._express else 0
                place.set_result(None)
                return
        self._free += 1

    def _next(self) -> Line:
        """Whose turn it is, if anybody waits."""
        waits_too_long = self._others and self._in_a_row >= IN_A_ROW
        return self._others if waits_too_long else self._express or self._others
