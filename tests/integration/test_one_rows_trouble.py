"""One enterprise's rows that nobody can send, beside another's that are in order."""

import asyncio
from typing import Any

import pytest

from tests.conftest import eventually
from tests.integration.pipeline import GLOBEX, World, stages, world

ENDLESS = {
    "$defs": {
        **{f"n{n}": {"anyOf": [{"$ref": f"#/$defs/n{n + 1}"}] * 2} for n in range(24)},
        "n24": {"type": "object", "properties": {"a": {"$ref": "#/$defs/n0"}}},
    },
    "additionalProperties": {"$ref": "#/$defs/n0"},
}
STRINGS = {"additionalProperties": {"type": "string"}}
DEEP = {"a": {"a": {"a": {"a": {}}}}}

TROUBLE: dict[str, tuple[dict[str, Any], str]] = {
    "a blank at its end": ({"transaction_id": "order-1 "}, "invalid_row"),
    "a newline": ({"transaction_id": "order-1\n"}, "invalid_row"),
    "somebody else's path": ({"transaction_id": "../../subscribers/victim"}, "invalid_row"),
    "a query": ({"transaction_id": "order-7?x"}, "invalid_row"),
    "no ASCII": ({"transaction_id": "bestellung-ä"}, "invalid_row"),
    "too long": ({"transaction_id": "x" * 256}, "invalid_row"),
    "deep": ({"payload": DEEP}, "invalid_row"),
    "large": ({"payload": {"text": "x" * 400_000}}, "too_large"),
    "many violations": (
        {"workflow": "strings", "payload": {f"k{n}": n for n in range(15_000)}},
        "payload_invalid",
    ),
    "an endless schema": ({"workflow": "endless", "payload": {"x": 1}}, ""),
    "hopeless": ({"workflow": "hopeless"}, "schema_too_costly"),
}
"""What a row has, and the code with which it fails."""


def register(around: World) -> None:
    hopeless = {
        **{f"{n}": {"anyOf": [{"$ref": f"#/{n + 1}"}] * 2} for n in range(40)},
        "40": {"type": "string"},
        "additionalProperties": {"$ref": "#/0"},
    }
    around.register()
    around.register(GLOBEX)
    for key, schema in {"strings": STRINGS, "endless": ENDLESS, "hopeless": hopeless}.items():
        around.register(key=key, payload_schema=schema)


async def test_the_others_are_sent_and_each_of_these_fails_with_its_reason(
    migrated, nats_server, monkeypatch
) -> None:
    bounds = {"max_bytes": 300_000, "max_depth": 4, "check_seconds": 0.3}
    async with world(migrated, nats_server, monkeypatch, rows=bounds) as around:
        register(around)
        bad = {name: around.insert(**columns) for name, (columns, _) in TROUBLE.items()}
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += 1

        ticking = asyncio.create_task(tick())
        async with stages(around):
            good = [around.insert(GLOBEX) for _ in range(20)]
            for notification in good:
                assert (await around.ended(notification))["notification_status"] == "SENT"
            rows = {name: await around.ended(number, 60) for name, number in bad.items()}
            later = around.insert(GLOBEX)
            assert (await around.ended(later))["notification_status"] == "SENT"
            before = ticks
            await eventually(lambda: ticks > before)
        ticking.cancel()
    assert {name: row["notification_status"] for name, row in rows.items()} == dict.fromkeys(
        TROUBLE, "FAILED"
    )
    codes = {name: row["error_details"]["code"] for name, row in rows.items()}
    assert codes.pop("an endless schema") in ("payload_invalid", "schema_too_costly")
    assert codes == {name: code for name, (_, code) in TROUBLE.items() if code}


@pytest.mark.parametrize("name", ["../../subscribers/victim", "order-7?x"])
async def test_a_retraction_touches_nothing_else_at_novu(
    migrated, nats_server, monkeypatch, name
) -> None:
    async with world(migrated, nats_server, monkeypatch) as around:
        register(around)
        other = around.insert(transaction_id="order-7", payload={"delay": 60})
        async with stages(around):
            assert (await around.ended(other))["notification_status"] == "SENT"
            wrong = around.insert(transaction_id=name)
            assert (await around.ended(wrong))["error_details"]["code"] == "invalid_row"
            around.execute(
                "UPDATE notify.ent_notification SET notification_status = 'RETRACTED'"
                " WHERE id = %s",
                wrong,
            )
            await eventually(lambda: around.row(wrong)["retraction_outcome"] == "stopped")
        assert around.row(other)["retraction_outcome"] is None
