"""The local Novu as an ASGI application: event API, control endpoints and the live page."""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from .control import control_routes
from .endpoints import event_routes, not_found
from .guard import Guard
from .state import LocalNovu

_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; connect-src 'self'; img-src data:;"
        " script-src 'unsafe-inline'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
}


def create_app(novu: LocalNovu | None = None, names: Iterable[str] = ()) -> Starlette:
    """
    An application around a local Novu (a new one by default, found at `app.state.novu`).

    It answers under localhost, addresses, and these names.
    """
    novu = novu or LocalNovu()
    routes = [*event_routes(novu), *control_routes(novu), Route("/", page)]
    guard = Middleware(Guard, novu.clock, tuple(names))
    app = Starlette(
        routes=routes, middleware=[guard], exception_handlers={HTTPException: not_found}
    )
    app.router.redirect_slashes = False
    app.state.novu = novu
    return app


async def page(request: Request) -> HTMLResponse:
    """The page of what people would have received."""
    return HTMLResponse(_page(), headers=_PAGE_HEADERS)


@cache
def _page() -> str:
    return files(__package__ or "").joinpath("page.html").read_text(encoding="utf-8")
