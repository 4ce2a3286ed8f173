"""The one hook from which everything can be watched: logs, metrics, the fleet's pauses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from xnovu.events import Key
from xnovu.policy import Dead, Done, Fate, Hold, Retry


@dataclass(frozen=True, slots=True)
class Report:
    """
    One batch, seen from outside: who, what became of each, and the seconds it took.

    What names no row has no key.
    """

    stage: str
    fates: Sequence[tuple[Key | None, Fate]]
    seconds: float


def outcome(fate: Fate) -> tuple[str, str]:
    """What became of a message, in a word, and the code that says why."""
    match fate:
        case Done():
            return "done", ""
        case Retry(code=code):
            return "retry", code
        case Dead(code=code):
            return "dead", code


class Observer(Protocol):
    """The one hook: told of every batch that comes in, is held, and is finished."""

    def began(self, stage: str, size: int) -> None: ...

    def held(self, stage: str, size: int, hold: Hold) -> None: ...

    def finished(self, report: Report) -> None: ...


class Unobserved:
    """An observer that looks away."""

    def began(self, stage: str, size: int) -> None: ...

    def held(self, stage: str, size: int, hold: Hold) -> None: ...

    def finished(self, report: Report) -> None: ...
