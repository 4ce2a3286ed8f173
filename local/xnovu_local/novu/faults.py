"""Faults on purpose: which calls go wrong, and how."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

from pydantic import ConfigDict, TypeAdapter

from xnovu_local.faults import Occasion

from .answers import (
    HTML_TYPE,
    INTERNAL_ERROR,
    RATE_EXCEEDED,
    UNAVAILABLE,
    Answer,
    Outcome,
    Problem,
    Reset,
    Silence,
)
from .calls import Call, Endpoint

Kind = Literal[
    "latency",
    "200_html",
    "401",
    "402",
    "429",
    "500",
    "502",
    "503",
    "503_proxy",
    "504",
    "timeout_after_accept",
    "reset_before",
    "reset_after_accept",
]


@dataclass(frozen=True, slots=True)
class Fault(Occasion):
    """
    One thing that goes wrong.

    kind: what happens.
    endpoint, workflow, transaction: which calls it fits (a bulk fits by any of its events).
    seconds: the latency, the Retry-After of 429 and 503, or how long a time-out stays silent
        before the connection is cut (0: until the client gives up).
    accepted: answers with a status only: the request is carried out and its answer lost.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    kind: Kind
    endpoint: Endpoint | None = None
    workflow: str | None = None
    transaction: str | None = None
    accepted: bool = False

    @property
    def accepts(self) -> bool:
        """Whether the request is carried out all the same."""
        return self.accepted or self.kind.endswith("_after_accept")

    def fits(self, call: Call) -> bool:
        """Whether it is about this call."""
        return (
            self.endpoint in (None, call.endpoint)
            and (self.workflow is None or self.workflow in call.named("name"))
            and (self.transaction is None or self.transaction in call.transactions())
        )

    def outcome(self, call: Call, at: float, answer: Answer | None = None) -> Outcome:
        """What the client gets instead of the true answer."""
        match self.kind:
            case "timeout_after_accept":
                return Silence(self.seconds or None)
            case "reset_before":
                return Reset()
            case "reset_after_accept":
                return Reset(answer)
            case "401" | "402" | "500":
                return _PROBLEMS[self.kind].answer(call.path, at)
            case "429" | "503":
                wait = str(max(round(self.seconds), 1))
                return _RETRY_LATER[self.kind].with_headers((("Retry-After", wait),))
            case _:
                return _PAGES[self.kind]


def _page(status: int, title: str) -> Answer:
    body = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\r\n"
    return Answer(status, body.encode(), media_type=HTML_TYPE)


_PROBLEMS = {
    "401": Problem(401, "Unauthorized"),
    "402": Problem(402, "Payment Required"),
    "500": INTERNAL_ERROR,
}
_RETRY_LATER = {"429": RATE_EXCEEDED, "503": UNAVAILABLE}
_PAGES = {
    "200_html": _page(200, "Welcome to nginx!"),
    "502": _page(502, "502 Bad Gateway"),
    "503_proxy": _page(503, "503 Service Temporarily Unavailable"),
    "504": _page(504, "504 Gateway Time-out"),
}


_FAULTS = TypeAdapter(list[Fault])


def parsed_faults(document: object) -> list[Fault]:
    """Faults from JSON, one or a list; raises pydantic's ValidationError (a ValueError)."""
    faults = cast("list[Any]", document) if isinstance(document, list) else [document]
    return _FAULTS.validate_python(faults)
