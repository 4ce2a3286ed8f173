"""A stage or a consumer, as an app names it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from xnovu.compose.kit import Kit
from xnovu.events import Event
from xnovu.policy import Fate
from xnovu.ports import Delivery, Start
from xnovu.stage import Actor, Stage


@dataclass(frozen=True, slots=True)
class Part:
    """
    What it accepts and emits, how it is built, and where it takes from.

    ``own`` are the pipeline's stages: only what one of them gives up can end a row. What these
    read the pipeline's settings say. ``start`` is
    where its mailbox begins if it is new. Dead letters are everybody's to emit.
    """

    name: str
    accepts: Sequence[type[Event]]
    build: Callable[[Kit], Awaitable[Stage]]
    from_table: bool = False
    own: bool = False
    start: Start = "all"
    emits: Sequence[type[Event]] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(event.kind for event in self.accepts)


@dataclass(slots=True)
class Seat:
    """A stage's place at its source, taken when the app is built; its actor comes when it opens."""

    actor: Actor | None = None

    async def __call__(self, deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        if self.actor is None:
            raise RuntimeError("a delivery before the stage was open")
        return await self.actor(deliveries)
