"""Faults on purpose: which of the scripted ones strike a call."""

from collections.abc import Callable
from dataclasses import KW_ONLY, asdict, dataclass
from random import Random
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field


@dataclass(frozen=True, slots=True)
class Occasion:
    """
    When a fault strikes; a stand-in's own says of which kinds there are, and which calls it fits.

    kind: what happens. `latency` adds to the others and to itself.
    nth: the first fitting call it may strike, counted from 1.
    count: how often it strikes at most; None: no end.
    probability, seed: how likely it strikes a fitting call, drawn from a generator of its own.
    seconds: how long it takes.
    """

    kind: str
    _: KW_ONLY
    nth: Annotated[int, Field(ge=1)] = 1
    count: Annotated[int, Field(ge=1)] | None = 1
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    seed: int = 0
    seconds: Annotated[float, Field(ge=0)] = 0.0


FaultT = TypeVar("FaultT", bound=Occasion)


class _Scripted(Generic[FaultT]):
    """A fault with its counts: fitting calls seen, strikes made."""

    __slots__ = ("_random", "fault", "seen", "struck")

    def __init__(self, fault: FaultT) -> None:
        self.fault = fault
        self.seen = 0
        self.struck = 0
        self._random = Random(fault.seed)  # noqa: S311 - repeatable on purpose

    def strikes(self, *, spare: bool) -> bool:
        """Counts a fitting call and says whether it is struck; `spare` only counts."""
        fault = self.fault
        self.seen += 1
        if spare or self.seen < fault.nth or self.struck == fault.count:
            return False
        if fault.probability < 1 and self._random.random() >= fault.probability:
            return False
        self.struck += 1
        return True


class FaultScript(Generic[FaultT]):
    """The faults to come; of those that fit a call, the first one in the script strikes."""

    def __init__(self) -> None:
        self._scripted: list[_Scripted[FaultT]] = []

    def script(self, *faults: FaultT) -> None:
        """Adds faults to those still to come."""
        self._scripted += [_Scripted(fault) for fault in faults]

    def clear(self) -> None:
        """Forgets them all: from now on everything goes well."""
        self._scripted.clear()

    def struck(self, kind: str) -> int:
        """How many calls were struck by scripted faults of a kind."""
        return sum(one.struck for one in self._scripted if one.fault.kind == kind)

    def strike(self, fits: Callable[[FaultT], bool]) -> tuple[float, FaultT | None]:
        """The seconds a call is held up, and what else happens to it."""
        held, found = 0.0, None
        for one in self._scripted:
            slow = one.fault.kind == "latency"
            if not fits(one.fault) or not one.strikes(spare=found is not None and not slow):
                continue
            if slow:
                held += one.fault.seconds
            else:
                found = one.fault
        return held, found

    def shown(self) -> list[dict[str, Any]]:
        """The faults as JSON, with their counts."""
        return [
            {**asdict(one.fault), "seen": one.seen, "struck": one.struck} for one in self._scripted
        ]
