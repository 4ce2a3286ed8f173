"""An ordinary async function, declared to be a consumer. Nothing is connected or read here."""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

from xnovu.errors import ConfigurationError
from xnovu.events import Event
from xnovu.ports import Start

P = ParamSpec("P")
Lifespan = Callable[..., AbstractAsyncContextManager[Mapping[str, object]]]
"""Opens what a consumer works with, closes it, and yields it by name, for ``Context``."""

BATCHES = (list, Sequence)


@dataclass(frozen=True, slots=True)
class Declared(Generic[P]):
    """
    A function that is given events of these types: each alone or, ``batched``, many at once.

    ``start`` is where it begins when it has not been there before.
    """

    function: Callable[P, Awaitable[Any]]
    name: str
    events: tuple[type[Event], ...]
    start: Start
    lifespan: Lifespan | None
    batched: bool


class Consumer(Declared[P]):
    """It may still be called as the function it is."""

    __slots__ = ()

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        await self.function(*args, **kwargs)


def consumer(
    *events: type[Event], name: str, start: Start = "now", lifespan: Lifespan | None = None
) -> Callable[[Callable[P, Awaitable[None]]], Consumer[P]]:
    """
    Declare an async function to be a consumer of these events, in a mailbox of this ``name``.

    Its first parameter is the event or, annotated as a list, a batch of them; for the others
    FastStream's ``Depends`` and ``Context`` work. It begins with what comes from now on, from
    a time (with a zone), or with ``"all"`` that is kept. What it raises decides: `Permanent` is
    a dead letter, `Paused` is held, anything else is tried again.

    Raises:
        ConfigurationError: there is no event, the time has no zone, or the function is not async,
            or takes another type.
    """
    _require_a_beginning(name, events, start)

    def declared(function: Callable[P, Awaitable[None]]) -> Consumer[P]:
        return Consumer(function, name, events, start, lifespan, takes_many(function, events))

    return declared


def _require_a_beginning(name: str, events: Sequence[type[Event]], start: Start) -> None:
    if not events:
        raise ConfigurationError(f"consumer {name!r} names no event, such as StatusChanged")
    if start not in {"all", "now"} and getattr(start, "tzinfo", None) is None:
        raise ConfigurationError(
            f"consumer {name!r} starts from 'now', 'all', or a time with a zone"
        )


def takes_many(function: Callable[..., Any], events: Sequence[type[object]]) -> bool:
    """
    Whether a function takes batches of these, as its first parameter's annotation says.

    Raises:
        ConfigurationError: it is not async, or takes another type.
    """
    if not inspect.iscoroutinefunction(function):
        raise ConfigurationError(f"{_named(function)} is no async function")
    taken = _first_of(function)
    batched = get_origin(taken) in BATCHES
    one = get_args(taken)[0] if batched else taken
    if foreign := [each.__name__ for each in events if not _fits(each, one)]:
        raise ConfigurationError(f"{_named(function)} does not take {', '.join(foreign)}")
    return batched


def _first_of(function: Callable[..., Any]) -> Any:
    """What its first parameter is annotated as; Any if it is not."""
    parameters = list(inspect.signature(function).parameters)
    if not parameters:
        raise ConfigurationError(f"{_named(function)} has no parameter for the event")
    try:
        return get_type_hints(function).get(parameters[0], Any)
    except NameError as error:
        raise ConfigurationError(
            f"{_named(function)}: {error}; it must be imported at run time"
        ) from None


def _fits(event: type[object], taken: Any) -> bool:
    """Whether what takes this, a class or one of several, may be given such an event."""
    if taken is Any or isinstance(taken, TypeVar):
        return True
    if isinstance(taken, type):
        return issubclass(event, taken)
    return any(_fits(event, each) for each in get_args(taken))


def _named(function: Callable[..., Any]) -> str:
    return f"{getattr(function, '__qualname__', function)!s}()"
