"""What an orchestrator asks a process: is it alive, can it work, what are its figures."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from xnovu.errors import ConfigurationError, describe
from xnovu.redaction import redact
from xnovu.serving import Bounds, HttpServer

Check = Callable[[], Awaitable[str | None]]
"""Says in words what is wrong, None if nothing is."""

CHECK_SECONDS = 1.5
"""How long a check may take, so that whoever asks has an answer within 2 seconds."""

BOUNDS = Bounds(connections=32)
"""More than an orchestrator and Prometheus need, and fewer than a stage would miss."""

SETTING = "health.port"
"""What to change if the port is taken."""

_FRESH = {"cache-control": "no-store"}


class HealthServer:
    """
    An HTTP server for ``/healthz``, ``/readyz``, ``/status`` and ``/metrics``, inside the loop.

    ``/healthz`` is 200 while the loop turns and ``live()`` has no complaint, else 503: restart
    me. ``/readyz`` makes all ``checks``, by name, and is 200 if none of them complains in time,
    else 503: leave me alone for now; what ``details`` say changes nothing of that. ``/status``
    shows ``status()`` as JSON. ``/metrics`` is what ``metrics()`` renders (content type and bytes),
    ``note`` having been told which of all these complain, so that an alert can see what an
    orchestrator does. Port 0 takes a free one.
    """

    def __init__(  # noqa: PLR0913 - all but the address is named
        self,
        host: str,
        port: int,
        *,
        checks: Mapping[str, Check],
        details: Mapping[str, Check] = MappingProxyType({}),
        live: Callable[[], str | None],
        status: Callable[[], Mapping[str, Any]],
        metrics: Callable[[], tuple[str, bytes]],
        note: Callable[[Mapping[str, bool]], None] = lambda _: None,
    ) -> None:
        self._address = (host, port)
        self._checks = {**checks, **details}
        self._deciding = frozenset(checks)
        self._live = live
        self._status = status
        self._metrics = metrics
        self._note = note
        self._running: dict[str, asyncio.Task[str | None]] = {}
        self._socket: socket.socket | None = None
        self._server: HttpServer | None = None

    @property
    def port(self) -> int:
        """The port it listens on; the one asked for before :meth:`start`."""
        return self._socket.getsockname()[1] if self._socket else self._address[1]

    async def start(self) -> None:
        """Listen from now on. Raises ConfigurationError if the address is not to be had."""
        self._socket = await asyncio.to_thread(_listen, *self._address)
        self._server = HttpServer(self._app(), BOUNDS)
        self._server.begin(self._socket)

    async def stop(self) -> None:
        """Answer what has been asked, then stop listening. Harmless if it never started."""
        for check in self._running.values():
            check.cancel()
        if self._server:
            await self._server.finish()
        self._socket = self._server = None

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/status", self._told),
                Route("/metrics", self._render),
            ]
        )

    async def _healthz(self, _: Request) -> Response:
        try:
            wrong = self._live()
        except Exception as error:  # noqa: BLE001 - who cannot say that he is well is not
            wrong = describe(error)
        return _unavailable(reason=_safe(wrong)) if wrong else _ok()

    async def _readyz(self, _: Request) -> Response:
        complaints = await self._complaints()
        answers = {name: _safe(said) if said else "ok" for name, said in complaints.items()}
        unready = any(complaints[name] for name in self._deciding)
        return _unavailable(checks=answers) if unready else _ok(checks=answers)

    async def _told(self, _: Request) -> Response:
        return Response(to_json(self._status()), 200, _FRESH, "application/json")

    async def _render(self, _: Request) -> Response:
        complaints = await self._complaints()
        self._note({name: not said for name, said in complaints.items()})
        content_type, content = self._metrics()
        return Response(content, media_type=content_type)

    async def _complaints(self) -> Mapping[str, str | None]:
        said = await asyncio.gather(*map(self._check, self._checks))
        return dict(zip(self._checks, said, strict=True))

    async def _check(self, name: str) -> str | None:
        """Make a check in the time it has, or join the one still under way, which may be stuck."""
        task = self._running.get(name)
        if task is None or task.done():
            task = self._running[name] = asyncio.ensure_future(_run(self._checks[name]))
        await asyncio.wait([task], timeout=CHECK_SECONDS)
        if not task.done() or task.cancelled():
            task.cancel()
            return f"did not answer within {CHECK_SECONDS:g} s"
        return task.result()


async def _run(check: Check) -> str | None:
    try:
        return await check()
    except Exception as error:  # noqa: BLE001 - a check that fails is a complaint
        return f"failed: {describe(error)}"


def _safe(complaint: str) -> str:
    """Whoever reaches the port may read this."""
    return redact(complaint)


def _ok(**more: object) -> Response:
    return JSONResponse({"status": "ok", **more}, 200, _FRESH)


def _unavailable(**more: object) -> Response:
    return JSONResponse({"status": "unavailable", **more}, 503, _FRESH)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host} port {port} for health and metrics ({error.strerror}):"
            f" free it, or change {SETTING}"
        ) from error
