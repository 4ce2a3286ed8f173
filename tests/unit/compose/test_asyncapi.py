"""What FastStream's AsyncAPI tells of each stage: its subjects, and the type of every event."""

import importlib
import json
from typing import Any

import pytest

import xnovu
from xnovu import StatusChanged, consumer
from xnovu.compose.settings import Settings

TOLD: dict[str, dict[str, tuple[str, str]]] = {
    "ingest": {
        "xnovu.ingest.*": ("send", "Captured"),
        "xnovu.retract.*": ("send", "RetractRequested"),
    },
    "hydrate": {
        "xnovu.ingest.*": ("receive", "Captured"),
        "xnovu.ingest.*.express": ("receive", "Captured"),
        "xnovu.hydrate.*": ("send", "Hydrated"),
    },
    "trigger": {
        "xnovu.hydrate.*": ("receive", "Hydrated"),
        "xnovu.hydrate.*.express": ("receive", "Hydrated"),
        "xnovu.trigger.*": ("send", "Triggered"),
    },
    "status": {
        "xnovu.trigger.*": ("receive", "Triggered"),
        "xnovu.trigger.*.express": ("receive", "Triggered"),
        "xnovu.dead.>": ("receive", "Rejected"),
        "xnovu.status.*": ("send", "StatusChanged"),
    },
    "retract": {
        "xnovu.retract.>": ("receive", "RetractRequested"),
        "xnovu.status.*": ("send", "StatusChanged"),
    },
    "analytics": {"xnovu.status.>": ("receive", "StatusChanged")},
}


def told(app: Any) -> dict[str, tuple[str, str]]:
    """By subject: whether it is read or written, and the name of what travels there."""
    spec = json.loads(app.schema.to_specification().to_json())
    assert spec["info"]["title"].startswith("XNovu: ")
    channels, messages = spec["channels"], spec["components"]["messages"]
    found: dict[str, tuple[str, str]] = {}
    for operation in spec["operations"].values():
        channel = channels[_last(operation["channel"])]
        [message] = channel["messages"].values()
        name = _last(messages[_last(message)]["payload"])
        assert name in spec["components"]["schemas"]
        found[channel["address"]] = operation["action"], name
    return found


def _last(reference: dict[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2].replace("%2B", "+")


@pytest.mark.parametrize("stage", TOLD)
def test_each_stage_tells_what_it_reads_and_writes(stage: str):
    app = importlib.import_module(f"pipelines.{stage}").app
    assert told(app) == TOLD[stage] | {f"xnovu.dead.{stage}.*": ("send", "Rejected")}


def test_a_consumer_tells_so_too():
    @consumer(StatusChanged, name="greeter")
    async def greet(event: StatusChanged) -> None: ...

    assert told(xnovu.app(greet, settings=Settings())) == {
        "xnovu.status.>": ("receive", "StatusChanged"),
        "xnovu.dead.greeter.*": ("send", "Rejected"),
    }


def test_an_app_is_its_own_factory():
    """`faststream run --factory` is what version 0.1 was started with."""
    from pipelines import trigger

    app = trigger.app
    assert app() is app
    with pytest.raises(AttributeError):
        _ = trigger.no_such_thing
