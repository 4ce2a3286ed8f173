"""Every kind of response has the shape that Novu's contract gives it."""

from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from xnovu_local.novu import Fault, Step, Workflow

from .conftest import Stand, event

TEXT: dict[str, Any] = {"type": "string"}
ITEM: dict[str, Any] = {
    "type": "object",
    "required": ["acknowledged", "status"],
    "additionalProperties": False,
    "properties": {
        "acknowledged": {"type": "boolean"},
        "status": {
            "enum": [
                "error",
                "trigger_not_active",
                "no_workflow_active_steps_defined",
                "no_workflow_steps_defined",
                "processed",
                "no_tenant_found",
                "invalid_recipients",
            ]
        },
        "error": {"type": "array", "items": TEXT},
        "transactionId": TEXT,
    },
}


def wrapped(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["data"],
        "additionalProperties": False,
        "properties": {"data": data},
    }


ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["statusCode", "timestamp", "path"],
    "properties": {
        "statusCode": {"type": "number"},
        "timestamp": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"},
        "path": {"type": "string", "pattern": "^/v1/"},
        "message": {"type": ["string", "number", "boolean", "object", "array", "null"]},
        "ctx": {"type": "object"},
        "errorId": TEXT,
    },
}
INVALID: dict[str, Any] = {
    **ERROR,
    "required": [*ERROR["required"], "errors"],
    "properties": {
        **ERROR["properties"],
        "errors": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["messages"],
                "properties": {"messages": {"type": "array", "items": TEXT}},
            },
        },
    },
}
PAYLOAD: dict[str, Any] = {
    **ERROR,
    "required": [*ERROR["required"], "type", "errors"],
    "properties": {
        **ERROR["properties"],
        "type": TEXT,
        "schema": {"type": "object"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": TEXT, "message": TEXT, "schemaPath": TEXT},
            },
        },
    },
}
NOTIFICATIONS: dict[str, Any] = {
    "type": "object",
    "required": ["hasMore", "data", "pageSize", "page"],
    "properties": {
        "hasMore": {"type": "boolean"},
        "pageSize": {"type": "number"},
        "page": {"type": "number"},
        "data": {
            "type": "array",
            "items": {
                "type": "object",
                "required": [
                    "_environmentId",
                    "_organizationId",
                    "_subscriberId",
                    "transactionId",
                ],
                "properties": {
                    "_id": TEXT,
                    "_environmentId": TEXT,
                    "_organizationId": TEXT,
                    "_subscriberId": TEXT,
                    "_templateId": TEXT,
                    "transactionId": TEXT,
                    "createdAt": TEXT,
                    "channels": {"items": {"enum": ["in_app", "email", "sms", "chat", "push"]}},
                },
            },
        },
    },
}
SINGLE, BULK = wrapped(ITEM), wrapped({"type": "array", "items": ITEM})
CANCELLED = wrapped({"type": "boolean"})


def conforms(answer: httpx.Response, status: int, schema: dict[str, Any]) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(answer.json())


async def test_successes(stand: Stand) -> None:
    conforms(await stand.trigger(), 201, SINGLE)
    conforms(await stand.bulk(event("a"), event("b", to=[])), 201, BULK)
    stand.clock.advance()
    looked = await stand.client.get("/v1/notifications", params={"transactionId": "t1"})
    assert looked.json()["data"]
    conforms(looked, 200, NOTIFICATIONS)
    for transaction in ("t1", "unknown"):
        answer = await stand.client.delete(f"/v1/events/trigger/{transaction}")
        conforms(answer, 200, CANCELLED)


async def test_refusals(stand: Stand) -> None:
    stand.register(
        Workflow("off", active=False),
        Workflow("empty", steps=()),
        Workflow("asleep", steps=(Step(active=False),)),
        Workflow("tenant", refuses="no_tenant_found"),
        Workflow("error", refuses="error"),
        Workflow("strict", payload_schema={"type": "object", "required": ["n"]}),
    )
    names = ("off", "empty", "asleep", "tenant", "error", "strict", "unknown")
    conforms(await stand.bulk(*(event(name=name) for name in names)), 201, BULK)
    for name in ("off", "empty", "asleep", "tenant"):
        conforms(await stand.trigger(event(name=name)), 201, SINGLE)
    conforms(await stand.trigger(event(name="unknown")), 422, ERROR)
    conforms(await stand.trigger(event(name="error")), 400, ERROR)
    conforms(await stand.trigger(event(name="strict")), 400, PAYLOAD)


async def test_errors(stand: Stand) -> None:
    conforms(await stand.trigger({}), 422, INVALID)
    conforms(await stand.bulk(), 422, INVALID)
    conforms(await stand.trigger(event(to=["x"] * 101)), 400, ERROR)
    large = event(payload={"text": "x" * 600_000})
    conforms(await stand.trigger(large), 413, ERROR)
    conforms(await stand.bulk(large), 413, ERROR)
    conforms(await stand.trigger(Authorization="no"), 401, ERROR)
    conforms(await stand.client.get("/v1/nothing"), 404, ERROR)
    conforms(await stand.client.put("/v1/events/trigger"), 405, ERROR)
    stand.novu.change(idempotency=True)
    await stand.trigger(event("a"), **{"Idempotency-Key": "k"})
    conforms(await stand.trigger(event("b"), **{"Idempotency-Key": "k"}), 422, INVALID)


@pytest.mark.parametrize(
    ("fault", "status", "schema"),
    [
        (Fault("401"), 401, ERROR),
        (Fault("402"), 402, ERROR),
        (Fault("429"), 429, TEXT),
        (Fault("500"), 500, {**ERROR, "required": [*ERROR["required"], "errorId"]}),
        (Fault("503"), 503, TEXT),
    ],
)
async def test_faults(stand: Stand, fault: Fault, status: int, schema: dict[str, Any]) -> None:
    stand.novu.script(fault)
    conforms(await stand.trigger(), status, schema)


async def test_limits(stand: Stand) -> None:
    stand.novu.change(rate=1)
    conforms(await stand.bulk(event()), 429, TEXT)
