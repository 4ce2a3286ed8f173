"""A rate that several processes share."""

from collections.abc import Sequence
from typing import Protocol


class Peers(Protocol):
    """The processes that share a rate, known to one another by what each last said it needs."""

    @property
    def reachable(self) -> bool:
        """Whether anybody could be heard of just now."""
        ...

    async def tell(self, need: float) -> None:
        """Say how much per second we need; infinity: whatever we get. Raises nothing."""
        ...

    def others(self) -> Sequence[float]:
        """What those need that were heard of in the last seconds."""
        ...


class Alone:
    """Nobody else is there."""

    reachable = False

    async def tell(self, need: float) -> None: ...

    def others(self) -> Sequence[float]:
        return ()
