"""Runs stages against the configured servers."""

import asyncio
from collections.abc import Sequence

from pipelines import analytics, hydrate, ingest, retract, status, trigger
from xnovu.compose import Part, serve
from xnovu.compose.settings import Settings, load
from xnovu.compose.variables import did_you_mean
from xnovu.errors import ConfigurationError

PARTS: dict[str, Part] = {
    app.part.name: app.part for app in (ingest, hydrate, trigger, status, retract)
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
    The stages of these names, in the order of the pipeline.

    Raises:
        ConfigurationError: there is no stage of that name.
    """
    known = PARTS | BESIDE
    if unknown := sorted(set(names) - known.keys() - {"all"}):
        meant = did_you_mean(unknown[0], known)
        there = f"there are {', '.join(known)}, and all"
        raise ConfigurationError(f"no stage {unknown[0]!r}{meant}; {there}")
    return [known[name] for name in known if name in names or ("all" in names and name in PARTS)]


def _on_port(settings: Settings, port: int | None) -> Settings:
    if port is None:
        return settings
    health = settings.health.model_copy(update={"port": port})
    return settings.model_copy(update={"health": health})
