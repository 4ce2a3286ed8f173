"""Consumers and stages of one's own as parts, and as an app of their own."""

import importlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec

from faststream import apply_types

from xnovu.adapters.nats.connection import Middleware
from xnovu.compose.apps import App
from xnovu.compose.kit import Kit
from xnovu.compose.part import Part
from xnovu.compose.serve import serve
from xnovu.compose.settings import Settings
from xnovu.consuming.between import Between
from xnovu.consuming.consumer import Declared
from xnovu.consuming.own_stage import OwnStage
from xnovu.consuming.stage import SHARE, Consuming
from xnovu.errors import ConfigurationError
from xnovu.events import hydrated_by


def app(
    *of: str | Declared[...],
    settings: Settings | None = None,
    middlewares: Sequence[Middleware] = (),
) -> App:
    """
    An app of consumers, or of all in modules: ``app = xnovu.app(__name__)`` below a module's own.

    Stages of one's own are served likewise.

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
    The consumers in a module, and the stages of one's own, as parts.

    Raises:
        ConfigurationError: there are none.
    """
    found = vars(importlib.import_module(module)).values()
    declared = [each for each in found if isinstance(each, Declared)]
    if not declared:
        raise ConfigurationError(f"module {module!r} has no consumer, and no stage of its own")
    return [part_of(each) for each in declared]


def is_module(name: str) -> bool:
    """Whether Python could import it."""
    try:
        return find_spec(name) is not None
    except (ModuleNotFoundError, ValueError):  # a package around it is missing; no name at all
        return False


@cache
def part_of(declared: Declared[...]) -> Part:
    """What was declared as an app names it: one part, in however many modules it is found."""
    own = isinstance(declared, OwnStage)

    async def build(kit: Kit) -> Consuming:
        kit.context.set_global("settings", kit.settings)
        kit.context.set_global("registry", kit.metrics.registry)
        patience = SHARE * kit.settings.policy(declared.name).timeout
        opened = await _opened(declared, kit)
        if own:
            return Between(declared, kit.context, patience, opened, bounds=kit.settings.rows)
        return Consuming(declared, kit.context, patience, opened)

    emits = (hydrated_by(declared.name),) if own else ()
    return Part(declared.name, declared.events, build, own=own, start=declared.start, emits=emits)


async def _opened(declared: Declared[...], kit: Kit) -> Mapping[str, object]:
    """What it works with, open until the app ends."""
    if declared.lifespan is None:
        return {}
    opening = apply_types(declared.lifespan, cast=False, context__=kit.context)
    return await kit.stack.enter_async_context(opening())


def _parts(of: str | Declared[...]) -> list[Part]:
    return parts_in(of) if isinstance(of, str) else [part_of(of)]
