"""The local Novu as an ASGI application: event API, control endpoints and the live page."""

from functools import cache
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from .control import control_routes
from .endpoints import event_routes, not_found
from .state import LocalNovu

_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; connect-src 'self'; img-src data:;"
        " script-src 'unsafe-inline'; style-src 'unsafe-inline'"
    ),
    "X-Content-Type-Options": "nosniff",
}


def create_app(novu: LocalNovu | None = None) -> Starlette:
    """An application around a local Novu (a new one by default, found at `app.state.novu`)."""
    novu = novu or LocalNovu()
    routes = [*event_routes(novu), *control_routes(novu), Route("/", page)]
    app = Starlette(routes=routes, exception_handlers={HTTPException: not_found})
    app.router.redirect_slashes = False
    app.state.novu = novu
    return app


async def page(request: Request) -> HTMLResponse:
    """The page of what people would have received."""
    return HTMLResponse(_page(), headers=_PAGE_HEADERS)


@cache
def _page() -> str:
    return files(__package__ or "").joinpath("page.html").read_text(encoding="utf-8")
