"""A Realtime server without a database: it says what a test has it say."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

SUBSCRIBED = "Subscribed to PostgreSQL"
CHANGE = {
    "schema": "notify",
    "table": "ent_notification",
    "type": "INSERT",
    "commit_timestamp": "2026-01-01T00:00:00.000Z",
    "errors": None,
    "columns": [{"name": "id", "type": "int8"}],
    "record": {"id": 7},
}


class Realtime:
    """
    ``status`` is what a handshake is answered, ``refuse`` why a join is refused, ``confirms``
    whether a join that is not is confirmed, ``answers`` whether heartbeats are, ``parses`` whether
    it understands two filters in one.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.refuse: str | None = None
        self.confirms = self.answers = self.parses = True
        self.keys: list[str] = []
        self.tokens: list[str] = []
        self.joins: list[dict[str, Any]] = []
        self.channels: dict[str, tuple[ServerConnection, list[int]]] = {}
        self.server: Server | None = None

    @property
    def url(self) -> str:
        assert self.server
        return f"http://127.0.0.1:{next(iter(self.server.sockets)).getsockname()[1]}"

    @property
    def connections(self) -> int:
        assert self.server
        return len(self.server.connections)

    async def say(self, event: str, payload: object, topic: str | None = None) -> None:
        """Say it on one channel, or on all of them; who is just leaving does not hear it."""
        for name, (connection, _) in list(self.channels.items()):
            if topic in (None, name):
                with suppress(ConnectionClosed):
                    await connection.send(_frame(name, event, payload))

    async def change(self, topic: str | None = None, **data: object) -> None:
        """Tell one channel of a change, or all, as if it matched all their bindings."""
        for name, (_, ids) in list(self.channels.items()):
            if topic in (None, name):
                payload = {"ids": ids, "data": CHANGE | data}
                await self.say("postgres_changes", payload, name)

    async def confirm(self, topic: str | None = None) -> None:
        await self.system("ok", SUBSCRIBED, topic)

    async def system(self, status: str, words: str, topic: str | None = None) -> None:
        told = {"extension": "postgres_changes", "status": status, "message": words}
        await self.say("system", {"channel": "any", **told}, topic)

    def handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        self.keys += parse_qs(urlsplit(request.path).query)["apikey"]
        return connection.respond(HTTPStatus(self.status), "{}") if self.status else None

    async def serve(self, connection: ServerConnection) -> None:
        try:
            async for frame in connection:
                await self._hear(connection, json.loads(frame))
        except ConnectionClosed:
            pass
        finally:
            self.channels = {n: c for n, c in self.channels.items() if c[0] is not connection}

    async def _hear(self, connection: ServerConnection, message: dict[str, Any]) -> None:
        match message["event"]:
            case "heartbeat" if self.answers:
                await connection.send(_reply(message, "ok", {}))
            case "phx_join":
                await self._join(connection, message)
            case "access_token":
                self.tokens.append(message["payload"]["access_token"])
            case _:
                pass

    async def _join(self, connection: ServerConnection, message: dict[str, Any]) -> None:
        topic, payload = message["topic"], message["payload"]
        self.joins.append(payload)
        if self.refuse:
            await connection.send(_reply(message, "error", {"reason": self.refuse}))
            return
        asked = payload["config"]["postgres_changes"]
        bindings = [{**one, "id": number} for number, one in enumerate(asked, 1)]
        self.channels[topic] = connection, [one["id"] for one in bindings]
        await connection.send(_reply(message, "ok", {"postgres_changes": bindings}))
        if not self.parses and any("),enterprise_id" in one.get("filter", "") for one in asked):
            words = "`in` filter value must be wrapped by parentheses"
            await self.system("error", f"Error parsing `filter` params: {words}", topic)
        elif self.confirms:
            await self.confirm(topic)


@asynccontextmanager
async def running() -> AsyncIterator[Realtime]:
    realtime = Realtime()
    async with serve(
        realtime.serve, "127.0.0.1", 0, process_request=realtime.handshake
    ) as realtime.server:
        yield realtime


def _frame(topic: str, event: str, payload: object, ref: str | None = None) -> str:
    return json.dumps({"topic": topic, "event": event, "payload": payload, "ref": ref})


def _reply(message: dict[str, Any], status: str, response: object) -> str:
    payload = {"status": status, "response": response}
    return _frame(message["topic"], "phx_reply", payload, message["ref"])
