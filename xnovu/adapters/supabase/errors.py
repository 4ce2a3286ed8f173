"""
What Supabase's REST API answers, as one of xnovu.errors; never a value, a detail or a key.

The body's code goes before the status: PostgREST's own (``PGRST…``), or Postgres's SQLSTATE, which
it hands on. Without one, somebody in front of PostgREST has answered.
"""

import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, cast

import httpx
from pydantic_core import from_json

from xnovu.errors import ConfigurationError, Paused, Permanent, XNovuError
from xnovu.reaching import why_unreached
from xnovu.sql.errors import UNAVAILABLE, AnswerLost, Complaint, translate

_AUTH = ("store_auth", "Supabase refuses the API key")
_FORBIDDEN = ("store_forbidden", "Supabase refuses: is it the service key?")
_PAUSES = {
    401: _AUTH,
    402: ("store_payment", "Supabase asks for payment"),
    403: _FORBIDDEN,
    407: ("store_auth", "a proxy asks for credentials"),
    408: (UNAVAILABLE, "Supabase did not wait for the request"),
    429: ("rate_limited", "Supabase's rate limit is reached"),
}
"""Statuses with which nothing was done: code, and what to tell."""

_NOT_MIGRATED = frozenset({"PGRST202", "PGRST203", "PGRST205", "42883", "42P01"})
_UNREACHED = frozenset({"PGRST000", "PGRST002", "PGRST003"})
_SQLSTATE = re.compile(r"[0-9A-Z]{5}")
_NAMED = re.compile(
    r'null value in (column) "([^"]+)" of relation "[^"]+" violates not-null constraint'
    r'|duplicate key value violates unique (constraint) "([^"]+)"'
    r'|conflicting key value violates exclusion (constraint) "([^"]+)"'
    r'|new row for relation "[^"]+" violates check (constraint) "([^"]+)"'
    r'|(?:insert or update|update or delete) on table "[^"]+" violates foreign key'
    r' (constraint) "([^"]+)"(?: on table "[^"]+")?'
)
"""Postgres' own messages of class 23, which name things; the platform's may hold values."""
_MAX_WAIT = 3600.0
_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)


@contextmanager
def translated(place: Callable[[], str] = str) -> Generator[None]:
    """
    Whatever the client raises inside comes out as one of xnovu.errors.

    ``place`` tells where the project is: host and port.
    """
    try:
        yield
    except TimeoutError:
        raise AnswerLost(f"Supabase{_at(place)} does not answer") from None
    except _NEVER_SENT as error:
        raise Paused(
            f"Supabase{_at(place)} cannot be reached: {_why(error)}", code=UNAVAILABLE
        ) from None
    except httpx.HTTPError as error:
        message = f"Supabase's answer was lost{_at(place)} ({type(error).__name__})"
        raise AnswerLost(message) from None
    except (ValueError, RecursionError) as error:
        message = f"a value that JSON cannot carry ({type(error).__name__})"
        raise Permanent(message, code="invalid_row") from None


def _why(error: Exception) -> str:
    if isinstance(error, httpx.PoolTimeout):
        return "no connection of store.connections came free in time"
    return why_unreached(error) or type(error).__name__


def _at(place: Callable[[], str]) -> str:
    return f" at {where}" if (where := place()) else ""


async def refuse(response: httpx.Response) -> None:
    """
    Raise what an answer means that is no function's result; a hook of the HTTP client.

    The client itself would keep neither status nor headers of it.
    """
    if response.is_success and _is_json(response):
        return
    await response.aread()
    raise refusal(response)


def refusal(response: httpx.Response) -> XNovuError:
    """The class of an answer that is no result."""
    said = _json(response)
    code = str(said.get("code") or "")
    if code in _NOT_MIGRATED:
        return _not_migrated(code)
    if _SQLSTATE.fullmatch(code):
        return _complaint(code, said)
    return _of_postgrest(code) or _of_status(response, code)


def _of_postgrest(code: str) -> XNovuError | None:
    """PostgREST's own codes: https://docs.postgrest.org/en/stable/references/errors.html."""
    if code in _UNREACHED:
        return Paused(f"the database is not available ({code})", code=UNAVAILABLE)
    if code == "PGRST106":
        return ConfigurationError(
            "Supabase does not expose schema notify:"
            " add notify to the exposed schemas (API settings of the project)"
        )
    if code.startswith("PGRST3"):  # the key is a JWT that has expired, or is none
        return Paused(f"Supabase refuses the API key ({code})", code="store_auth")
    return None


def _of_status(response: httpx.Response, code: str) -> XNovuError:
    status = response.status_code
    told = f"{status}, {code}" if code else str(status)
    if status in _PAUSES:
        word, message = _PAUSES[status]
        return Paused(f"{message} ({told})", code=word, after=_retry_after(response))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:  # from whomever: it may have been done
        return AnswerLost(f"Supabase is not available ({told})")
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Permanent("Supabase refused it (413): it is too large", code="invalid_row")
    if code:
        return Permanent(f"Supabase refused the request ({told})", code="refused_by_database")
    where = response.url.host if _asked(response) else "its URL"
    return ConfigurationError(
        f"there is no Supabase project at {where} ({told}): is XNOVU_SUPABASE_URL its API URL?"
    )


def _asked(response: httpx.Response) -> bool:
    """Whether the answer knows its request: without one it has no URL."""
    try:
        return bool(response.request)
    except RuntimeError:
        return False


def _complaint(state: str, said: Mapping[str, Any]) -> XNovuError:
    message, hint = _text(said.get("message")), _text(said.get("hint"))
    named = _named(message or "") if state.startswith("23") else {}
    column, constraint = named.get("column"), named.get("constraint")
    error = translate(Complaint(state, message, hint, column, constraint))
    if error.code == "store_forbidden":
        return Paused(f"{error}: is it the service key?", code=error.code)
    return error


def _named(message: str) -> dict[str, str]:
    """What of the row a message of Postgres' own is about."""
    found = _NAMED.fullmatch(message)
    parts = [part for part in found.groups() if part] if found else []
    return {parts[0]: parts[1]} if parts else {}


def _not_migrated(code: str) -> ConfigurationError:
    return ConfigurationError(
        f"the database is not migrated ({code}): run `xnovu migrate`;"
        " if it is, let Supabase know: NOTIFY pgrst, 'reload schema'"
    )


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds that Supabase asks to wait."""
    asked = response.headers.get("retry-after", "")
    return min(float(asked), _MAX_WAIT) if asked.isdecimal() else None


def _is_json(response: httpx.Response) -> bool:
    return "json" in response.headers.get("content-type", "")


def _json(response: httpx.Response) -> Mapping[str, Any]:
    """The object of a body; empty if it is none."""
    try:
        body = from_json(response.content)
    except ValueError:
        return {}
    return cast("Mapping[str, Any]", body) if isinstance(body, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
