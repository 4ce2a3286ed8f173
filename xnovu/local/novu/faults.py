"""Faults on purpose: which calls go wrong, and how."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from random import Random
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import ConfigDict, Field, TypeAdapter

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
class Fault:
    """
    One thing that goes wrong.

    kind: what happens. `latency` adds to the others and to itself; of the rest the first
        scripted one that fits a call strikes.
    endpoint, workflow, transaction: which calls it fits (a bulk fits by any of its events).
    nth: the first fitting call it may strike, counted from 1.
    count: how often it strikes at most; None: no end.
    probability, seed: how likely it strikes a fitting call, drawn from a generator of its own.
    seconds: the latency, the Retry-After of 429 and 503, or how long a time-out stays silent
        before the connection is cut (0: until the client gives up).
    accepted: answers with a status only: the request is carried out and its answer lost.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    kind: Kind
    endpoint: Endpoint | None = None
    workflow: str | None = None
    transaction: str | None = None
    nth: Annotated[int, Field(ge=1)] = 1
    count: Annotated[int, Field(ge=1)] | None = 1
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    seed: int = 0
    seconds: Annotated[float, Field(ge=0)] = 0.0
    accepted: bool = False

    @property
    def accepts(self) -> bool:
        """Whether the request is carried out all the same."""
        return self.accepted or self.kind.endswith("_after_accept")

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


class _Scripted:
    """A fault with its counts: fitting calls seen, strikes made."""

    __slots__ = ("_random", "fault", "seen", "struck")

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0
        self.struck = 0
        self._random = Random(fault.seed)  # noqa: S311 - repeatable on purpose

    def strikes(self, call: Call, spare: bool) -> bool:
        """Counts a call and says whether it is struck; `spare` only counts."""
        fault = self.fault
        if not _fits(fault, call):
            return False
        self.seen += 1
        if spare or self.seen < fault.nth or self.struck == fault.count:
            return False
        if fault.probability < 1 and self._random.random() >= fault.probability:
            return False
        self.struck += 1
        return True


def _fits(fault: Fault, call: Call) -> bool:
    return (
        fault.endpoint in (None, call.endpoint)
        and (fault.workflow is None or fault.workflow in call.named("name"))
        and (fault.transaction is None or fault.transaction in call.transactions())
    )


class FaultScript:
    """The faults to come, in the order in which they were scripted."""

    __slots__ = ("_scripted",)

    def __init__(self) -> None:
        self._scripted: list[_Scripted] = []

    def add(self, faults: Iterable[Fault]) -> None:
        self._scripted += [_Scripted(fault) for fault in faults]

    def clear(self) -> None:
        self._scripted.clear()

    def strike(self, call: Call) -> tuple[float, Fault | None]:
        """The seconds a call is held up, and what else happens to it."""
        held, struck = 0.0, None
        for scripted in self._scripted:
            slow = scripted.fault.kind == "latency"
            if not scripted.strikes(call, spare=struck is not None and not slow):
                continue
            if slow:
                held += scripted.fault.seconds
            else:
                struck = scripted.fault
        return held, struck

    def shown(self) -> list[dict[str, Any]]:
        return [
            {**asdict(one.fault), "seen": one.seen, "struck": one.struck} for one in self._scripted
        ]


@cache
def _adapter() -> TypeAdapter[list[Fault]]:
    return TypeAdapter(list[Fault])


def parsed_faults(document: object) -> list[Fault]:
    """Faults from JSON, one or a list; raises pydantic's ValidationError (a ValueError)."""
    faults = cast("list[Any]", document) if isinstance(document, list) else [document]
    return _adapter().validate_python(faults)
