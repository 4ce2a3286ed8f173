"""What a transport still keeps, and who reads it, as an operator asks for it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from xnovu.envelope import Address
from xnovu.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """
    Which messages of a kind: from ``since`` on, before ``until``, from number ``first`` on.

    ``stage`` is that of dead letters.
    """

    kind: str
    enterprise_id: str | None = None
    stage: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    first: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A message as it is kept; ``number`` is its place there, ``at`` when it came."""

    number: int
    at: datetime
    address: Address
    body: bytes = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict[str, str], repr=False)


class Archive(Protocol):
    """Messages that are kept, settled or not. ConfigurationError: where they are is missing."""

    async def count(self, selection: Selection) -> int:
        """How many messages are selected; those that come meanwhile may count."""
        ...

    def read(self, selection: Selection) -> AsyncGenerator[Kept]:
        """Each selected message in order, up to the last one there was when reading began."""
        ...

    async def remove(
        self, kind: str, numbers: Iterable[int], tell: Callable[[int], None] = lambda _: None
    ) -> int:
        """Take messages out for good; says how many there were, and ``tell`` how many are done."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """A mailbox: its name, what it reads, how much is unsettled, and whether somebody reads it."""

    name: str
    kinds: tuple[str, ...]
    unsettled: int
    running: bool


class Mailboxes(Protocol):
    """Those of one installation."""

    async def all(self) -> Sequence[Found]:
        """Every mailbox of the pipeline and of consumers, by name."""
        ...

    async def left_by(self, name: str) -> int:
        """
        How many messages a consumer has not settled.

        Raises:
            ConfigurationError: there is none of that name, or it runs.
        """
        ...

    async def remove(self, name: str) -> None:
        """Take a consumer away, with what waits for it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    Where to: a stage's mailbox, with ``room`` messages waiting at the most, or a subject.

    One that is ``beside`` the pipeline is a consumer's.
    """

    stage: str | None = None
    beside: bool = False
    subject: str | None = None
    room: int = 5000

    def __str__(self) -> str:
        if self.subject:
            return self.subject
        return f"{'consumer' if self.beside else 'stage'} {self.stage}"


class Replay(Protocol):
    """
    One run. What it hands to a stage is a copy that may have been handled before, and says so.

    Once ``stopping`` is set it ends after what it has begun; ``last`` is the number of the last
    message handed over.
    """

    stopping: asyncio.Event
    last: int

    async def count(self, selection: Selection) -> int:
        """How many messages would be handed over."""
        ...

    async def run(self, selection: Selection, progress: Callable[[int], None]) -> int:
        """Hand all over; says how many it were, also as it goes on."""
        ...


@dataclass(frozen=True, slots=True)
class Archives:
    """
    All of it, for a visit; ``prefix`` is that of subjects (None: there are none).

    A replay runs to a target, with so many messages a second at the most (0: as fast as its mailbox
    empties). ``now`` is what the clock shows by which messages are kept.
    """

    archive: Archive
    mailboxes: Mailboxes
    replay: Callable[[Target, float], Replay]
    now: Callable[[], Awaitable[datetime]]
    prefix: str | None = None


def require_removable(name: str, found: Sequence[Found]) -> Found:
    """Raises ConfigurationError where there is no such consumer, or it runs."""
    one = next((each for each in found if each.name == name), None)
    if not one:
        raise ConfigurationError(f"no consumer {name!r}; `xnovu consumers list` shows them")
    if one.running:
        raise ConfigurationError(f"consumer {name!r} runs: stop it first, or it comes back")
    return one
