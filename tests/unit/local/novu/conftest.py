"""A local Novu for each test: over ASGI with a clock wound by hand, or on a real socket."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from xnovu_local.novu import LocalNovu, LocalNovuOptions, ManualClock, Workflow, create_app

KEY = {"Authorization": "ApiKey secret"}


def event(transaction: str | None = "t1", to: object = "ada", **fields: Any) -> dict[str, Any]:
    """A trigger as a client would send it."""
    named = {} if transaction is None else {"transactionId": transaction}
    return {"name": "welcome", "to": to, "payload": {"text": "hello"}, **named, **fields}


@dataclass
class Stand:
    """A local Novu, its clock, and a client that is let in."""

    novu: LocalNovu
    clock: ManualClock
    client: httpx.AsyncClient

    async def trigger(self, one: Any = None, **headers: str) -> httpx.Response:
        body = event() if one is None else one
        return await self.client.post("/v1/events/trigger", json=body, headers=headers)

    async def bulk(self, *events: Any, **headers: str) -> httpx.Response:
        body = {"events": list(events)}
        return await self.client.post("/v1/events/trigger/bulk", json=body, headers=headers)

    async def cancel(self, transaction: str) -> bool:
        answer = await self.client.delete(f"/v1/events/trigger/{transaction}")
        return answer.json()["data"]

    async def seen(self, transaction: str, **query: Any) -> dict[str, Any]:
        query = {"transactionId": transaction, **query}
        return (await self.client.get("/v1/notifications", params=query)).json()

    async def settled(self, transaction: str = "t1") -> dict[str, Any]:
        """What the ledger says once everything due now has been done."""
        self.clock.advance()
        answer = await self.client.get("/_local/ledger", params={"transactionId": transaction})
        return answer.json()["transactions"][0]

    def register(self, *workflows: Workflow) -> None:
        self.novu.workflows.replace(workflows)


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    clock = ManualClock()
    novu = LocalNovu(LocalNovuOptions(api_key="secret"), clock=clock)
    transport = httpx.ASGITransport(create_app(novu))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1", headers=KEY
    ) as client:
        yield Stand(novu, clock, client)
