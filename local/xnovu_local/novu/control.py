"""The switches of the local Novu and the data of its page, under `/_local`."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from .answers import Answer, Problem, as_json
from .faults import parsed_faults
from .state import LocalNovu
from .workflows import parsed_workflows

MAX_LISTED = 500
Handler = Callable[["Control", Request], Awaitable[Answer]]


class Control:
    """The handlers of the control endpoints; a ValueError is a 400."""

    def __init__(self, novu: LocalNovu) -> None:
        self._novu = novu

    async def inbox(self, request: Request) -> Answer:
        """What subscribers received, the newest first, and the counts the page shows."""
        query = request.query_params
        limit = min(int(query.get("limit", "200")), MAX_LISTED)
        after, subscriber = int(query.get("after", "0")), query.get("subscriber", "")
        received = self._novu.inbox.latest(limit, after, subscriber)
        return as_json(
            {
                "at": self._novu.clock.now(),
                "totals": self._novu.ledger.shown_totals(),
                "held": len(self._novu.inbox),
                "received": [one.shown() for one in received],
            }
        )

    async def ledger(self, request: Request) -> Answer:
        """The totals and the doubled; with transactionId what became of those transactions."""
        ledger = self._novu.ledger
        asked = request.query_params.getlist("transactionId")
        found = ((one, ledger.find(one)) for one in asked)
        return as_json(
            {
                "totals": ledger.shown_totals(),
                "doubled": ledger.doubled()[:MAX_LISTED],
                "transactions": [entry.shown(one) for one, entry in found if entry is not None],
            }
        )

    async def reset(self, request: Request) -> Answer:
        self._novu.reset()
        return Answer(204)

    async def options(self, request: Request) -> Answer:
        return as_json(self._novu.options.shown())

    async def put_options(self, request: Request) -> Answer:
        changes = await _document(request)
        if not isinstance(changes, dict):
            raise ValueError("options are an object")
        self._novu.change(**cast("dict[str, Any]", changes))
        return as_json(self._novu.options.shown())

    async def workflows(self, request: Request) -> Answer:
        return as_json(self._novu.workflows.shown())

    async def put_workflows(self, request: Request) -> Answer:
        self._novu.workflows.replace(parsed_workflows(await _document(request)))
        return as_json(self._novu.workflows.shown())

    async def faults(self, request: Request) -> Answer:
        return as_json({"faults": self._novu.faults.shown()})

    async def post_faults(self, request: Request) -> Answer:
        self._novu.script(*parsed_faults(await _document(request)))
        return as_json({"faults": self._novu.faults.shown()}, 201)

    async def delete_faults(self, request: Request) -> Answer:
        self._novu.faults.clear()
        return Answer(204)


async def _document(request: Request) -> object:
    return json.loads(await request.body())


_HANDLERS: list[tuple[str, str, Handler]] = [
    ("/_local/inbox", "GET", Control.inbox),
    ("/_local/ledger", "GET", Control.ledger),
    ("/_local/reset", "POST", Control.reset),
    ("/_local/options", "GET", Control.options),
    ("/_local/options", "PUT", Control.put_options),
    ("/_local/workflows", "GET", Control.workflows),
    ("/_local/workflows", "PUT", Control.put_workflows),
    ("/_local/faults", "GET", Control.faults),
    ("/_local/faults", "POST", Control.post_faults),
    ("/_local/faults", "DELETE", Control.delete_faults),
]


def _route(novu: LocalNovu, path: str, method: str, handler: Handler) -> Route:
    control = Control(novu)

    async def endpoint(request: Request) -> Response:
        try:
            answer = await handler(control, request)
        except ValueError as error:
            answer = Problem(400, str(error)).answer(path, novu.clock.now())
        return Response(answer.body, answer.status, media_type=answer.media_type)

    return Route(path, endpoint, methods=[method])


def control_routes(novu: LocalNovu) -> list[BaseRoute]:
    """The routes under `/_local`."""
    return [_route(novu, path, method, handler) for path, method, handler in _HANDLERS]
