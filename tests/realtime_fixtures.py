"""Wake-ups by Realtime that were started, what they have said since, and that they clean up."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from tests.conftest import eventually
from xnovu.adapters.supabase.options import RealtimeOptions
from xnovu.adapters.supabase.realtime import RealtimeWakeUps
from xnovu.adapters.supabase.realtime_session import Patience
from xnovu.connection import Connection, Line, Link

KEY = "sb_secret_nobody_may_see"
QUICK = Patience(backoff=0.01, backoff_max=0.05, ping=0.05, key=0.02)

Text = Callable[[], str]


class Ear:
    """Counts the hints and passes them on; ``fails`` at the next, if told to."""

    def __init__(self) -> None:
        self.heard = 0
        self.fails = False
        self.others: list[Callable[[], None]] = []

    def __call__(self) -> None:
        self.heard += 1
        for other in self.others:
            other()
        fails, self.fails = self.fails, False
        if fails:
            raise RuntimeError("bug")


class Diary(Line):
    """Remembers all that was said of a connection."""

    def __init__(self, ear: Ear) -> None:
        super().__init__("wake-ups by Realtime")
        self.ear = ear
        self.losses: list[str] = []
        self.heard_at_loss = 0

    def lost(self, reason: str, *, planned: bool = False) -> None:
        super().lost(reason, planned=planned)
        self.losses.append(reason)
        self.heard_at_loss = self.ear.heard


class Listening:
    """Wake-ups, and how they fare."""

    def __init__(self, wakeups: RealtimeWakeUps) -> None:
        self.wakeups = wakeups
        self.ear = Ear()
        self.diary = wakeups._line = Diary(self.ear)

    @property
    def now(self) -> Connection:
        return self.wakeups.connection

    async def connected(self, times: int = 1, within: float = 15.0) -> None:
        """Up for the so-manieth time at least; it has looked at the table since."""
        await eventually(
            lambda: self.now.state is Link.CONNECTED and self.now.reconnects >= times - 1, within
        )
        assert self.now.reason == ""
        assert self.ear.heard > self.diary.heard_at_loss

    async def lost(self, reason: str, within: float = 15.0) -> None:
        """It was down for this reason, and said so."""
        await eventually(lambda: any(reason in loss for loss in self.diary.losses), within)

    async def down(self, reason: str, within: float = 15.0) -> None:
        """It is down for this reason, and says so."""
        await eventually(lambda: reason in self.now.reason, within)
        assert self.now.state is not Link.CONNECTED


@asynccontextmanager
async def listening(
    url: Text,
    key: Text = lambda: KEY,
    enterprises: tuple[str, ...] = (),
    *,
    token: Text | None = None,
    usual: Patience = QUICK,
    **patience: float,
) -> AsyncIterator[Listening]:
    """Started; in the end stopped, with no task left behind."""
    wakeups = RealtimeWakeUps(
        url,
        key,
        RealtimeOptions(enterprises=frozenset(enterprises)),
        token=token,
        patience=replace(usual, **patience),
    )
    told = Listening(wakeups)
    await wakeups.start(told.ear)
    try:
        yield told
    finally:
        await wakeups.stop()
    assert told.now.state is Link.STOPPED
    assert [task for task in asyncio.all_tasks() if _is_the_clients(task)] == []


def _is_the_clients(task: asyncio.Task[object]) -> bool:
    """Tasks of a server live in the same loop."""
    code = getattr(task.get_coro(), "cr_code", None)
    file = code.co_filename if code else ""
    return "/site-packages/realtime/" in file or "/xnovu/adapters/supabase/" in file
