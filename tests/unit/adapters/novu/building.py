"""Calls to make, and a Novu that answers what a test wants."""

import json
import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from xnovu.adapters.novu import NovuOptions, NovuProvider
from xnovu.errors import XNovuError
from xnovu.events import Notification
from xnovu.peers import Peers
from xnovu.ports import Trigger

ANY_TIME = math.inf
"""Until when requests may begin, where it does not matter."""

KEY = "a-key-nobody-may-see"
TRIGGER = "/v1/events/trigger"
BULK = "/v1/events/trigger/bulk"
NOTIFICATIONS = "/v1/notifications"
LIMITS = {"RateLimit-Policy": '300;w=5;burst=330;category="trigger";cost="single"'}

Answer = Callable[[httpx.Request], httpx.Response]


def transaction(number: int) -> str:
    return f"7d3c1b0e-0000-4000-8000-{number:012d}"


def call(
    number: int,
    payload: dict[str, Any] | None = None,
    recipients: tuple[str, ...] = ("ada@example.org",),
    *,
    look_up: bool = False,
    send: bool = True,
    **fields: Any,
) -> Trigger:
    notification = Notification(
        **{
            "id": number,
            "enterprise_id": "acme",
            "workflow_key": "welcome",
            "transaction_id": transaction(number),
            "recipients": recipients,
            "payload": {"text": "Dear Ada"} if payload is None else payload,
            **fields,
        }
    )
    return Trigger(transaction(number), notification, recipients, look_up, send)


def taken(request: httpx.Request) -> httpx.Response:
    """Everything accepted, nothing known of earlier."""
    if request.method == "GET":
        return listing()
    body = json.loads(request.content)
    if request.url.path == BULK:
        return httpx.Response(201, json={"data": [_processed(one) for one in body["events"]]})
    return httpx.Response(201, json={"data": _processed(body)})


def _processed(event: dict[str, Any]) -> dict[str, Any]:
    return {"acknowledged": True, "status": "processed", "transactionId": event["transactionId"]}


def listing(*transactions: str) -> httpx.Response:
    """The answer to a look-up."""
    ids = {"_environmentId": "e", "_organizationId": "o", "_subscriberId": "s"}
    found = [{**ids, "transactionId": one} for one in transactions]
    return httpx.Response(200, json={"page": 0, "pageSize": 10, "hasMore": False, "data": found})


def problem(status: int, message: object = "no", **more: Any) -> httpx.Response:
    """An error as Novu writes it."""
    told = {"statusCode": status, "timestamp": "2026-01-01T00:00:00Z", "path": TRIGGER}
    return httpx.Response(status, json={**told, "message": message, **more})


class Scripted(httpx.MockTransport):
    """Answers of the script in turn, then ``taken``; remembers what was asked."""

    def __init__(self, *script: Answer | httpx.Response | Exception) -> None:
        super().__init__(self._answer)
        self.script = list(script)
        self.requests: list[httpx.Request] = []

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        match self.script.pop(0) if self.script else taken:
            case Exception() as error:
                raise error
            case httpx.Response() as response:
                return response
            case answer:
                return answer(request)

    @property
    def paths(self) -> list[str]:
        return [request.url.path for request in self.requests]

    @property
    def keys(self) -> list[str]:
        return [r.headers["idempotency-key"] for r in self.requests if r.method == "POST"]


@asynccontextmanager
async def opened(
    transport: httpx.AsyncBaseTransport | None = None, peers: Peers | None = None, **options: Any
) -> AsyncGenerator[NovuProvider]:
    settings = {"url": "http://novu.test", "environment": "test", **options}
    provider = NovuProvider(NovuOptions(**settings), lambda: KEY, peers=peers, transport=transport)
    await provider.open()
    try:
        yield provider
    finally:
        await provider.close()


def codes(verdicts: Sequence[XNovuError | None]) -> list[str | None]:
    """The code of each, None for the accepted."""
    return [verdict and verdict.code for verdict in verdicts]
