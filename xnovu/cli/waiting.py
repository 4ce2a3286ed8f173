"""What a notification waits for, in words, and roughly how long."""

from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Any

from xnovu.compose.settings import Settings
from xnovu.errors import Paused

MANY = 1000
"""So many rows are counted, and no more."""
STAGES = {"turn", "stages", "retraction"}
"""What it waits for where a paused stage is why."""


async def paused_stages(settings: Settings, waits_for: str) -> Mapping[str, str]:
    """Stages that are paused in the whole fleet, where that may be the reason, and why they are."""
    if waits_for not in STAGES:
        return {}
    from xnovu.compose.operating import paused  # who needs a broker loads it

    try:
        return await paused(settings)
    except Paused as error:
        return {"?": f"whether a stage is paused is not known: {error}"}


def reason_of(waits: Mapping[str, Any]) -> str:
    """In words."""
    told = ", ".join(filter(None, (_what(waits), _ahead(waits), _how_long(waits))))
    stages: Mapping[str, str] = waits.get("paused") or {}
    pauses = [why if stage == "?" else f"{stage} is paused: {why}" for stage, why in stages.items()]
    return "\n  ".join((told, *pauses))


def _what(waits: Mapping[str, Any]) -> str:
    match waits["for"]:
        case "schedule":
            return f"its schedule, {_time(waits['until'])}"
        case "concurrency" | "workflow" as limit:
            whose = "workflow" if limit == "workflow" else "enterprise"
            return f"its {whose}'s limit: {waits['in_hand']} of {waits['most']} are PROCESSING"
        case "rate":
            return f"its enterprise's rate of {waits['rate']:g} per second"
        case "turn":
            others = waits["enterprises"] - 1
            beside = f", beside {others} other{'s' if others > 1 else ''}" if others > 0 else ""
            return f"its enterprise's turn (weight {waits['weight']}{beside})"
        case what:
            return f"{_whom(what, waits)}, since {_time(waits['since'])}"


def _whom(what: str, waits: Mapping[str, Any]) -> str:
    match what:
        case "publication":
            return "the platform to publish it (publish_status, deactivated)"
        case "set_aside":
            return f"the database to let it be changed, which it refuses: {waits['said']}"
        case "retraction":
            return "its outcome at Novu"
        case _:
            return "the stages, which have it"


def _ahead(waits: Mapping[str, Any]) -> str:
    rows = waits.get("ahead")
    if not rows:
        return ""
    return f"{rows:,}{' or more' if rows >= MANY else ''} of its own before it"


def _how_long(waits: Mapping[str, Any]) -> str:
    seconds = waits.get("seconds")
    if seconds is None:
        return ""
    if isinstance(seconds, str):  # of JSON, which has no infinity
        seconds = float(seconds)
    least = "at least " if (waits.get("ahead") or 0) >= MANY else "roughly "
    return f"{least}{_span(seconds)}"


def _span(seconds: float) -> str:
    if not isfinite(seconds):
        return "for ever"
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"


def _time(text: str | datetime) -> str:
    """In words; what Postgres has and Python has not (infinity, before year 1) as it is told."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else text
    except ValueError:
        return str(text)
    return f"{moment:%Y-%m-%d %H:%M:%S}"
