"""Runs stages, and consumers of one's own, against the configured servers."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from xnovu.compose.part import Part
from xnovu.compose.serve import serve
from xnovu.compose.settings import Settings, load
from xnovu.compose.variables import did_you_mean
from xnovu.consuming import analytics
from xnovu.consuming.app import is_module, parts_in
from xnovu.errors import ConfigurationError
from xnovu.stages import hydrate, ingest, retract, status, trigger

PARTS: dict[str, Part] = {
    stage.part.name: stage.part for stage in (ingest, hydrate, trigger, status, retract)
}
"""The pipeline."""

BESIDE: dict[str, Part] = {analytics.part.name: analytics.part}
"""Consumers that run beside it."""


LOOK_EVERY = 0.25
"""Seconds between two looks of FastStream whether it is to stop."""


def run_stages(names: Sequence[str], port: int | None) -> None:
    """Run until SIGINT or SIGTERM; then what is in hand finishes."""
    app = serve(*chosen(names), settings=_on_port(load(), port))
    asyncio.run(app.run(sleep_time=LOOK_EVERY))


def chosen(names: Sequence[str]) -> list[Part]:
    """
    The stages of these names, in the order of the pipeline, and the consumers in these modules.

    Modules are looked for in the folder one is in, too.

    Raises:
        ConfigurationError: there is no stage of that name and no module, or it has no consumer.
    """
    known = PARTS | BESIDE
    stages = [known[name] for name in known if name in names or ("all" in names and name in PARTS)]
    modules = [name for name in dict.fromkeys(names) if name not in {*known, "all"}]
    if modules:
        sys.path.insert(0, str(Path.cwd()))
    if unknown := next((name for name in modules if not is_module(name)), None):
        meant = did_you_mean(unknown, known)
        there = f"there are {', '.join(known)}, and all"
        raise ConfigurationError(f"no stage and no module {unknown!r}{meant}; {there}")
    beside = (part for module in modules for part in parts_in(module))
    return list(dict.fromkeys([*stages, *beside]))


def _on_port(settings: Settings, port: int | None) -> Settings:
    if port is None:
        return settings
    health = settings.health.model_copy(update={"port": port})
    return settings.model_copy(update={"health": health})
