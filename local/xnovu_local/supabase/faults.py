"""Faults on purpose: which requests to a local Supabase go wrong, and how."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from xnovu_local.faults import Occasion

Kind = Literal["away", "answer_lost", "status", "latency"]


@dataclass(frozen=True, slots=True)
class Fault(Occasion):
    """
    One thing that goes wrong.

    kind: what happens. `away`: the connection is cut, nothing was done. `answer_lost`: the request
        is carried out, then the connection is cut. `status`: that status instead of an answer,
        nothing was done. `latency` holds a request up.
    status: what is answered; with `answer_lost`, instead of the cut.
    path, method: which requests it fits; `*`, `?` and `[…]` in a path as in a shell.
    """

    kind: Kind
    status: int | None = None
    path: str = "*"
    method: str | None = None

    def __post_init__(self) -> None:
        if self.kind == "status" and self.status is None:
            raise ValueError("a fault of the kind `status` needs one")

    def fits(self, method: str, path: str) -> bool:
        """Whether it is about this request."""
        return self.method in (None, method) and fnmatchcase(path, self.path)
