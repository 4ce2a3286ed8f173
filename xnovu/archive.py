"""What a transport still keeps, and who reads it, as an operator asks for it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from xnovu.envelope import Address
from xnovu.errors import ConfigurationError

WINDOW = 200
"""Messages that are handed over together."""
LOOK_AGAIN = 0.2
"""Seconds until a full mailbox is looked at again."""


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


class Recipient(Protocol):
    """Who is handed messages once more."""

    async def waiting(self) -> int:
        """How many it has not settled."""
        ...

    async def take(self, messages: Sequence[Kept]) -> None:
        """Have them, in order; raises ConfigurationError where nobody is there."""
        ...


class Replay:
    """
    One run. Who is handed a message may have handled it before.

    ``rate`` is messages a second at the most (0: as fast as the mailbox empties), ``room`` how many
    may wait there. Once ``stopping`` is set it ends after what it has begun; ``last`` is the number
    of the last message handed over.
    """

    def __init__(self, archive: Archive, recipient: Recipient, room: int, rate: float) -> None:
        self._archive, self._recipient, self._room, self._rate = archive, recipient, room, rate
        self.stopping = asyncio.Event()
        self.last = 0

    async def count(self, selection: Selection) -> int:
        """How many messages would be handed over."""
        return await self._archive.count(selection)

    async def run(self, selection: Selection, progress: Callable[[int], None]) -> int:
        """Hand all over; says how many it were, also as it goes on."""
        done, began = 0, asyncio.get_running_loop().time()
        async with aclosing(self._windows(selection)) as windows:
            async for window in windows:
                await self._have_room()
                await self._recipient.take(window)
                done, self.last = done + len(window), window[-1].number
                progress(done)
                if self._rate:
                    due = began + done / self._rate - asyncio.get_running_loop().time()
                    await self._rest(due)
                if self.stopping.is_set():
                    break
        return done

    async def _windows(self, selection: Selection) -> AsyncGenerator[list[Kept]]:
        size = min(WINDOW, max(1, int(self._rate))) if self._rate else WINDOW
        window: list[Kept] = []
        async with aclosing(self._archive.read(selection)) as reading:
            async for kept in reading:
                window.append(kept)
                if len(window) == size:
                    yield window
                    window = []
        if window:
            yield window

    async def _have_room(self) -> None:
        """Wait while the mailbox is full: the replay must not push aside what is new."""
        while not self.stopping.is_set() and await self._recipient.waiting() >= self._room:
            await self._rest(LOOK_AGAIN)

    async def _rest(self, seconds: float) -> None:
        if seconds > 0:
            await asyncio.wait([asyncio.ensure_future(self.stopping.wait())], timeout=seconds)


@dataclass(frozen=True, slots=True)
class Archives:
    """
    All of it, for a visit; ``prefix`` is that of subjects (None: there are none).

    ``recipient`` is who stands for a target. ``now`` is what the clock shows by which messages are
    kept.
    """

    archive: Archive
    mailboxes: Mailboxes
    recipient: Callable[[Target], Recipient]
    now: Callable[[], Awaitable[datetime]]
    prefix: str | None = None

    def replay(self, target: Target, rate: float) -> Replay:
        """A run, not begun yet. Raises ConfigurationError for a target that is none here."""
        return Replay(self.archive, self.recipient(target), target.room, rate)


def require_removable(name: str, found: Sequence[Found]) -> Found:
    """Raises ConfigurationError where there is no such consumer, or it runs."""
    one = next((each for each in found if each.name == name), None)
    if not one:
        raise ConfigurationError(f"no consumer {name!r}; `xnovu consumers list` shows them")
    if one.running:
        raise ConfigurationError(f"consumer {name!r} runs: stop it first, or it comes back")
    return one
