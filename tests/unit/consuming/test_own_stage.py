"""A stage of one's own: what it may change, what becomes of a row otherwise, and its place."""

import sys
from pathlib import Path
from typing import Any

import pytest

from xnovu import Notification, Paused, Permanent, SubscriptionManager, own_stage
from xnovu.adapters.memory.transport import MemoryTransport
from xnovu.cli.run import chosen
from xnovu.compose.house import House
from xnovu.compose.kit import Kit
from xnovu.compose.pipeline import Pipeline
from xnovu.compose.serve import serve
from xnovu.compose.settings import Settings
from xnovu.consuming.app import part_of
from xnovu.errors import ConfigurationError
from xnovu.options import ProviderOptions
from xnovu.testing import a_notification, a_row, memory_pipeline
from xnovu.testing.pipeline import Ended


async def after(function: Any, **columns: Any) -> Ended:
    """What becomes of a row that passes such a stage."""
    async with memory_pipeline(own_stage(name="mine")(function)) as pipeline:
        [ended] = await pipeline.deliver(a_row(**columns))
    return ended


def changing(**update: Any) -> Any:
    async def change(notification: Notification) -> Notification:
        return notification.model_copy(update=update)

    return change


async def test_what_it_makes_of_payload_and_overrides_is_sent():
    ended = await after(changing(payload={"a": 1}, overrides={"email": {"b": 2}}))
    [call] = ended.calls
    assert call.notification.payload == {"a": 1}
    assert call.notification.overrides == {"email": {"b": 2}}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("recipients", ("somebody else",)),
        ("workflow_key", "another"),
        ("transaction_id", "another"),
        ("enterprise_id", "globex"),
        ("id", 7),
        ("channels", ("sms",)),
    ],
)
async def test_what_changes_anything_else_ends_the_row_and_nothing_is_sent(
    column: str, value: object
):
    ended = await after(changing(**{column: value}))
    assert (ended.status, ended.code, ended.calls) == ("FAILED", "stage_result", [])
    assert ended.failure
    assert ended.failure.stage == "mine"
    assert ended.failure.message.startswith(f"it changed {column}: ")


@pytest.mark.parametrize("payload", [None, [1], "text"])
async def test_a_payload_that_is_no_object_ends_the_row(payload: object):
    assert (await after(changing(payload=payload))).code == "stage_result"


async def test_nothing_returned_ends_the_row():
    async def forgets(notification: Notification) -> None: ...

    assert (await after(forgets)).code == "stage_result"


@pytest.mark.parametrize(
    ("payload", "code"), [({"a": object()}, "invalid_row"), ({"a": "x" * 600_000}, "too_large")]
)
async def test_what_it_makes_keeps_within_a_rows_bounds(payload: dict[str, Any], code: str):
    assert (await after(changing(payload=payload))).code == code


async def test_what_it_raises_decides():
    async def refuses(notification: Notification) -> Notification:
        raise Permanent("no", code="unknown_product")

    async def fails(notification: Notification) -> Notification:
        raise ZeroDivisionError

    assert (await after(refuses)).code == "unknown_product"
    exhausted = await after(fails)
    assert exhausted.failure
    assert (exhausted.code, exhausted.failure.attempts) == ("exhausted", 8)


async def test_what_is_held_is_given_to_it_again_as_it_was():
    given: list[dict[str, Any]] = []

    async def waits(notification: Notification) -> Notification:
        given.append(dict(notification.payload))
        notification.payload["seen"] = True
        if len(given) == 1:
            raise Paused("away")
        return notification

    ended = await after(waits, payload={})
    assert given == [{}, {}]
    assert ended.calls[0].notification.payload == {"seen": True}


async def test_several_come_in_their_order():
    def adding(name: str) -> Any:
        async def add(notification: Notification) -> Notification:
            told = [*notification.payload.get("told", []), name]
            return notification.model_copy(update={"payload": {"told": told}})

        return own_stage(name=name)(add)

    async with memory_pipeline(adding("one"), adding("two")) as pipeline:
        [ended] = await pipeline.deliver(a_row())
    assert ended.calls[0].notification.payload == {"told": ["one", "two"]}


async def test_it_is_still_the_function_it_was():
    mine = own_stage(name="mine")(changing(payload={"a": 1}))
    assert (await mine(a_notification(1))).payload == {"a": 1}


async def keep(notification: Notification) -> Notification:
    return notification


@pytest.mark.parametrize("name", ["trigger", "analytics", "A b"])
def test_a_name_that_is_anothers_is_refused(name: str):
    with pytest.raises(ConfigurationError, match="can be no stage's name"):
        own_stage(name=name)


def test_it_takes_one_notification():
    async def many(notifications: list[Notification]) -> Any: ...

    async def another(event: int) -> Any: ...

    with pytest.raises(ConfigurationError, match="one notification at a time"):
        own_stage(name="mine")(many)
    with pytest.raises(ConfigurationError, match="does not take Notification"):
        own_stage(name="mine")(another)


def test_without_a_place_in_the_pipeline_it_does_not_start():
    with pytest.raises(SystemExit, match="'mine' has no place in the pipeline: name it in"):
        serve(part_of(own_stage(name="mine")(keep)), settings=Settings())


def test_its_name_is_no_consumers():
    part = part_of(own_stage(name="mine")(keep))
    consumer = type(part)(part.name, part.accepts, part.build)
    settings = Settings(pipeline=Pipeline(between=("mine",)))
    with pytest.raises(ConfigurationError, match="cannot be called 'mine'"):
        House([consumer], Kit(settings, "x"), MemoryTransport())


async def test_who_has_the_five_stages_alone_refuses_settings_with_more():
    settings = Settings(pipeline=Pipeline(between=("mine",)))
    with pytest.raises(ConfigurationError, match="here is no mine"):
        async with memory_pipeline(settings=settings):
            pass
    options = ProviderOptions(kind="memory")
    manager = SubscriptionManager(
        "acme", settings=settings.model_copy(update={"provider": options})
    )
    with pytest.raises(ConfigurationError, match="here is no mine"):
        await manager.start()


MODULE = """
from xnovu import Notification, own_stage

@own_stage(name="mine")
async def mine(notification: Notification) -> Notification:
    return notification
"""


def test_the_command_runs_it_by_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "my_stage.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    [part] = chosen(["my_stage"])
    assert (part.name, part.own) == ("mine", True)
