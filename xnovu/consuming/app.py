"""Consumers as parts, and as an app of their own."""

import importlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec

from faststream import apply_types

from xnovu.compose import App, Kit, Middleware, Part, Settings, serve
from xnovu.consuming.consumer import Consumer
from xnovu.consuming.stage import SHARE, Consuming
from xnovu.errors import ConfigurationError


def app(
    *of: str | Consumer[...],
    settings: Settings | None = None,
    middlewares: Sequence[Middleware] = (),
) -> App:
    """
    An app of consumers, or of all in modules: ``app = xnovu.app(__name__)`` below a module's own.

    It is FastStream's, with ``middlewares`` around each batch. Without ``settings`` it reads them,
    and a wrong one ends the process.
    """
    try:
        parts = dict.fromkeys(part for each in of for part in _parts(each))
    except ConfigurationError as error:
        raise SystemExit(f"xnovu: {error}") from None
    return serve(*parts, settings=settings, middlewares=middlewares)


def parts_in(module: str) -> list[Part]:
    """
    The consumers in a module, as parts.

    Raises:
        ConfigurationError: there are none.
    """
    found = vars(importlib.import_module(module)).values()
    consumers = [each for each in found if isinstance(each, Consumer)]
    if not consumers:
        raise ConfigurationError(f"module {module!r} has no consumer")
    return [part_of(each) for each in consumers]


def is_module(name: str) -> bool:
    """Whether Python could import it."""
    try:
        return find_spec(name) is not None
    except (ModuleNotFoundError, ValueError):  # a package around it is missing; no name at all
        return False


@cache
def part_of(consumer: Consumer[...]) -> Part:
    """A consumer as an app names it: one part, in however many modules it is found."""

    async def build(kit: Kit) -> Consuming:
        kit.context.set_global("settings", kit.settings)
        kit.context.set_global("registry", kit.metrics.registry)
        patience = SHARE * kit.settings.policy(consumer.name).timeout
        return Consuming(consumer, kit.context, patience, await _opened(consumer, kit))

    return Part(consumer.name, consumer.events, build, start=consumer.start)


async def _opened(consumer: Consumer[...], kit: Kit) -> Mapping[str, object]:
    """What it works with, open until the app ends."""
    if consumer.lifespan is None:
        return {}
    opening = apply_types(consumer.lifespan, cast=False, context__=kit.context)
    return await kit.stack.enter_async_context(opening())


def _parts(of: str | Consumer[...]) -> list[Part]:
    return parts_in(of) if isinstance(of, str) else [part_of(of)]
