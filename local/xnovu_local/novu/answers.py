"""What goes back over the wire, in the shapes of Novu's contract."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import uuid4

_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

Headers = tuple[tuple[str, str], ...]
JSON_TYPE = "application/json; charset=utf-8"
HTML_TYPE = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP response."""

    status: int
    body: bytes = b""
    headers: Headers = ()
    media_type: str = JSON_TYPE

    def with_headers(self, headers: Headers) -> "Answer":
        return replace(self, headers=self.headers + headers) if headers else self


@dataclass(frozen=True, slots=True)
class Silence:
    """No response at all: the connection stays open for so many seconds (None: for good)."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Reset:
    """A connection cut at once, or after half of an answer."""

    answer: Answer | None = None


Outcome = Answer | Silence | Reset


def encoded(value: object) -> bytes:
    """Compact JSON in UTF-8."""
    return _encoder.encode(value).encode(errors="surrogatepass")


def as_json(value: object, status: int = 200) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, encoded(value))


def timestamp(at: float) -> str:
    """Seconds since 1970 as Novu writes a time."""
    moment = datetime.fromtimestamp(at, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why Novu turns a request down; `more` holds the fields some kinds of error add."""

    status: int
    message: str
    more: dict[str, Any] | None = None

    def answer(self, path: str, at: float) -> Answer:
        """The problem as an error response (ErrorDto and the two shapes that extend it)."""
        body: dict[str, Any] = {
            "statusCode": self.status,
            "timestamp": timestamp(at),
            "path": path,
            "message": self.message,
        }
        if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            body["errorId"] = str(uuid4())
        return as_json(body | (self.more or {}), self.status)


def invalid(errors: dict[str, tuple[str, object]]) -> Problem:
    """Fields of the wrong type (ValidationErrorDto): field to message and value found."""
    fields = {
        field: {"messages": [message]} | ({} if value is MISSING else {"value": value})
        for field, (message, value) in errors.items()
    }
    return Problem(422, "Validation Error", {"errors": fields})


MISSING: object = object()
RATE_EXCEEDED = Answer(429, encoded("API rate limit exceeded"))
UNAVAILABLE = Answer(503, encoded("Please wait some time, then try again."))
INTERNAL_ERROR = Problem(
    500, "Internal server error, contact support and provide them with the errorId"
)
