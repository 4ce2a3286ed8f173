"""A service that takes webhooks, as docs/extending.md asks of one, with faults to order."""

import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from xnovu_local.serving import Served, cut

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes now").decode()
OTHER = "whsec_" + base64.b64encode(b"another one of as many bytes now").decode()


@dataclass
class Receiver:
    """Takes each ``webhook-id`` once; ``calls`` are those it was asked for, ``taken`` once each."""

    secret: str = SECRET
    url: str = ""
    taken: dict[str, dict[str, Any]] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    asked: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    answers: list[Response | str] = field(default_factory=list)
    down: bool = False

    def app(self) -> Starlette:
        one = "/calls/{name}"
        return Starlette(
            routes=[
                Route("/hook", self._take, methods=["POST"]),
                Route(one, self._look_up, methods=["GET"]),
                Route(one, self._cancel, methods=["POST"]),
            ]
        )

    async def _take(self, request: Request) -> Response:
        if refused := await self._refused(request):
            return refused
        name = request.headers["webhook-id"]
        data = json.loads(await request.body())["data"]
        assert data["transaction_id"] == name
        self.asked[name] += 1
        if data["workflow_key"] == "refused":
            return Response(status_code=422)
        answer = self.answers.pop(0) if self.answers else Response(status_code=202)
        if answer == "lost":
            self.taken.setdefault(name, data)
            await cut(request.scope, request.receive)
        if isinstance(answer, Response) and answer.status_code < 300:
            self.taken.setdefault(name, data)
        return answer if isinstance(answer, Response) else Response()

    async def _look_up(self, request: Request) -> Response:
        if refused := await self._refused(request):
            return refused
        return JSONResponse({"found": request.path_params["name"] in self.taken})

    async def _cancel(self, request: Request) -> Response:
        if refused := await self._refused(request):
            return refused
        made = self.taken.get(request.path_params["name"])
        if not made:
            return JSONResponse({"outcome": "unknown"})
        spared = made["workflow_key"] in ("digest", "inbox")
        return JSONResponse({"outcome": "cancelled" if spared else "too_late"})

    async def _refused(self, request: Request) -> Response | None:
        if self.down:
            return Response(status_code=503, headers={"retry-after": "0"})
        if not self._is_signed(request.headers, await request.body()):
            self.wrong.append(request.url.path)
            return Response(status_code=401)
        return None

    def _is_signed(self, headers: Any, body: bytes) -> bool:
        """As the specification says, by its own words."""
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        right = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
        given = [each.split(",") for each in headers["webhook-signature"].split(" ")]
        return ["v1", right] in given


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    served = Served(receiver.app())
    await served.start()
    receiver.url = served.url
    try:
        yield receiver
    finally:
        await served.stop()
