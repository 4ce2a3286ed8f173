"""Faults on purpose: which requests to a local Supabase go wrong, and how."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

Kind = Literal["away", "answer_lost", "status", "latency"]


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One thing that goes wrong.

    kind: what happens. `away`: the connection is cut, nothing was done. `answer_lost`: the request
        is carried out, then the connection is cut. `status`: that status instead of an answer,
        nothing was done. `latency` holds a request up, and adds to the others and to itself; of
        the rest the first scripted one that fits a request strikes.
    status: what is answered; with `answer_lost`, instead of the cut.
    path, method: which requests it fits; `*`, `?` and `[…]` in a path as in a shell.
    nth: the first fitting request it may strike, counted from 1.
    count: how often it strikes at most; None: no end.
    seconds: the latency.
    """

    kind: Kind
    status: int | None = None
    path: str = "*"
    method: str | None = None
    nth: int = 1
    count: int | None = 1
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.kind == "status" and self.status is None:
            raise ValueError("a fault of the kind `status` needs one")

    def fits(self, method: str, path: str) -> bool:
        """Whether it is about this request."""
        return self.method in (None, method) and fnmatchcase(path, self.path)


class _Scripted:
    """A fault with its counts: fitting requests seen, strikes made."""

    __slots__ = ("fault", "seen", "struck")

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0
        self.struck = 0

    def strikes(self, method: str, path: str, spare: bool) -> bool:
        """Counts a request and says whether it is struck; `spare` only counts."""
        if not self.fault.fits(method, path):
            return False
        self.seen += 1
        if spare or self.seen < self.fault.nth or self.struck == self.fault.count:
            return False
        self.struck += 1
        return True


class FaultScript:
    """The faults to come, in the order in which they were scripted."""

    def __init__(self) -> None:
        self._scripted: list[_Scripted] = []

    def script(self, *faults: Fault) -> None:
        """Adds faults to those still to come."""
        self._scripted += map(_Scripted, faults)

    def clear(self) -> None:
        """Forgets them all: from now on everything goes well."""
        self._scripted.clear()

    def struck(self, kind: Kind) -> int:
        """How many requests were struck by scripted faults of a kind."""
        return sum(one.struck for one in self._scripted if one.fault.kind == kind)

    def strike(self, method: str, path: str) -> tuple[float, Fault | None]:
        """The seconds a request is held up, and what else happens to it."""
        held, found = 0.0, None
        for one in self._scripted:
            slow = one.fault.kind == "latency"
            if not one.strikes(method, path, spare=found is not None and not slow):
                continue
            if slow:
                held += one.fault.seconds
            else:
                found = one.fault
        return held, found
