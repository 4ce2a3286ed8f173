"""The outcome table: what may come back from Novu, and what it means."""

from dataclasses import dataclass
from typing import Any

import httpx

from tests.unit.adapters.novu.building import problem
from xnovu.errors import Paused, Permanent, Unclear, XNovuError

HTML = {"content-type": "text/html; charset=utf-8"}


def answered(status: str, **more: Any) -> httpx.Response:
    return httpx.Response(201, json={"data": {"acknowledged": True, "status": status, **more}})


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: what comes back, and what that means (None: accepted)."""

    answer: httpx.Response | Exception
    kind: type[XNovuError] | None
    code: str = ""
    after: float | None = None


UNMADE = {
    "a header nobody may send": Line(httpx.LocalProtocolError("x"), Permanent, "request_invalid"),
    "another scheme": Line(httpx.UnsupportedProtocol("x"), Permanent, "request_invalid"),
    "no URL": Line(httpx.InvalidURL("x"), Permanent, "request_invalid"),
    "not to be encoded": Line(
        UnicodeEncodeError("ascii", "x", 0, 1, "x"), Permanent, "request_invalid"
    ),
}
"""What httpx says before anything is sent: the call's own fault."""
ABOUT_THE_EVENT = {
    "201 processed": Line(answered("processed"), None),
    "200 processed": Line(httpx.Response(200, json={"data": {"status": "processed"}}), None),
    "201 unknown status": Line(answered("enqueued_for_later"), None),
    "200 unknown status": Line(httpx.Response(200, json={"data": {"status": "new"}}), None),
    **{
        f"201 {status}": Line(answered(status), Permanent, "provider_refused")
        for status in (
            "error",
            "trigger_not_active",
            "no_tenant_found",
            "invalid_recipients",
            "no_workflow_steps_defined",
            "no_workflow_active_steps_defined",
            "subscriber_id_missing",
        )
    },
    "201 template_not_found": Line(answered("template_not_found"), Permanent, "workflow_not_found"),
    "400": Line(problem(400), Permanent, "provider_refused"),
    "400 without JSON": Line(httpx.Response(400, text="no"), Permanent, "provider_refused"),
    "400 payload": Line(
        problem(
            400,
            "Payload validation failed",
            type="PAYLOAD_VALIDATION_ERROR",
            errors=[{"field": "a", "message": "must be a number", "value": "Dear Ada"}],
        ),
        Permanent,
        "payload_invalid",
    ),
    "422": Line(problem(422), Permanent, "provider_refused"),
    "422 fields": Line(
        problem(422, "Validation Error", errors={"to": {"messages": ["wrong"], "value": "x"}}),
        Permanent,
        "payload_invalid",
    ),
    "422 workflow": Line(problem(422, "workflow_not_found"), Permanent, "workflow_not_found"),
    "413": Line(problem(413), Permanent, "too_large"),
    "415": Line(problem(415), Permanent, "provider_refused"),
}
NOT_ABOUT_IT = {
    "401": Line(problem(401), Paused, "provider_auth"),
    "402": Line(problem(402), Paused, "provider_payment"),
    "403": Line(problem(403), Paused, "provider_auth"),
    "404": Line(problem(404, "Cannot POST"), Paused, "provider_address"),
    "404 of a proxy": Line(httpx.Response(404, text="x", headers=HTML), Paused, "provider_address"),
    "405": Line(problem(405), Paused, "provider_address"),
    "301": Line(httpx.Response(301, headers={"location": "/"}), Paused, "provider_address"),
    "200 html": Line(httpx.Response(200, text="<p>", headers=HTML), Paused, "provider_address"),
    "408": Line(problem(408), Paused, "provider_unavailable"),
    "429": Line(
        httpx.Response(429, json="API rate limit exceeded", headers={"Retry-After": "7"}),
        Paused,
        "rate_limited",
        7.0,
    ),
    "429 without a time": Line(httpx.Response(429, text="slow"), Paused, "rate_limited"),
    "429 with nonsense": Line(
        httpx.Response(429, headers={"Retry-After": "nan"}), Paused, "rate_limited"
    ),
    "503 of Novu's limiter": Line(
        httpx.Response(503, json="Please wait", headers={"Retry-After": "2"}),
        Paused,
        "provider_unavailable",
        2.0,
    ),
    "503 of Novu": Line(problem(503), Paused, "provider_unavailable"),
    "connect": Line(httpx.ConnectError("refused"), Paused, "provider_unavailable"),
    "DNS": Line(httpx.ConnectError("Name or service"), Paused, "provider_unavailable"),
    "connect time-out": Line(httpx.ConnectTimeout("x"), Paused, "provider_unavailable"),
    "pool time-out": Line(httpx.PoolTimeout("x"), Paused, "provider_unavailable"),
    "proxy": Line(httpx.ProxyError("x"), Paused, "provider_unavailable"),
    "409": Line(problem(409, "currently being processed"), Unclear, "provider_unclear"),
    "500": Line(problem(500), Unclear, "provider_unclear"),
    "502": Line(httpx.Response(502, text="x"), Unclear, "provider_unclear"),
    "503 of a proxy": Line(
        httpx.Response(503, text="<p>", headers=HTML), Unclear, "provider_unclear"
    ),
    "503 of a gateway": Line(
        httpx.Response(503, json={"message": "x"}), Unclear, "provider_unclear"
    ),
    "504": Line(httpx.Response(504), Unclear, "provider_unclear"),
    "520": Line(httpx.Response(520), Unclear, "provider_unclear"),
    "204": Line(httpx.Response(204), Unclear, "provider_unclear"),
    "read time-out": Line(httpx.ReadTimeout("x"), Unclear, "provider_unclear"),
    "write time-out": Line(httpx.WriteTimeout("x"), Unclear, "provider_unclear"),
    "reset": Line(httpx.ReadError("x"), Unclear, "provider_unclear"),
    "cut off": Line(httpx.RemoteProtocolError("x"), Unclear, "provider_unclear"),
    "total time-out": Line(TimeoutError(), Unclear, "provider_unclear"),
    "anything else": Line(RuntimeError("x"), Unclear, "provider_unclear"),
    "201 no JSON": Line(httpx.Response(201, text="{"), Unclear, "provider_unclear"),
    "201 no data": Line(httpx.Response(201, json={}), Unclear, "provider_unclear"),
    "201 a string": Line(httpx.Response(201, json="ok"), Unclear, "provider_unclear"),
    "201 no status": Line(
        httpx.Response(201, json={"data": {"acknowledged": True}}),
        Unclear,
        "provider_unclear",
    ),
    "201 html": Line(httpx.Response(201, text="<p>", headers=HTML), Unclear, "provider_unclear"),
}
TABLE = ABOUT_THE_EVENT | UNMADE | NOT_ABOUT_IT
