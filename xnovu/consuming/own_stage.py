"""An ordinary async function, declared to be a stage between hydrate and trigger."""

from collections.abc import Awaitable, Callable

from xnovu.consuming.consumer import Declared, Lifespan, P, takes_many
from xnovu.errors import ConfigurationError
from xnovu.events import Hydrated, Notification, hydrated_by


class OwnStage(Declared[P]):
    """It may still be called as the function it is."""

    __slots__ = ()

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Notification:
        returned: Notification = await self.function(*args, **kwargs)
        return returned


def own_stage(
    *, name: str, lifespan: Lifespan | None = None
) -> Callable[[Callable[P, Awaitable[Notification]]], OwnStage[P]]:
    """
    Declare an async function to be the stage of this ``name`` that ``pipeline.between`` has.

    It is given each notification, whole and checked, and returns it with another payload or other
    overrides; nothing else may be changed. For its other parameters FastStream's ``Depends`` and
    ``Context`` work. What it raises decides: `Permanent` ends the row FAILED, `Paused` is held,
    anything else is tried again, and ends the row FAILED after ``attempts``.

    Raises:
        ConfigurationError: no stage can have the name, or the function is not async, or takes
            another type.
    """
    try:
        hydrated_by(name)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None

    def declared(function: Callable[P, Awaitable[Notification]]) -> OwnStage[P]:
        if takes_many(function, (Notification,)):
            raise ConfigurationError(f"stage {name!r} takes one notification at a time")
        return OwnStage(function, name, (Hydrated,), "now", lifespan, batched=False)

    return declared
