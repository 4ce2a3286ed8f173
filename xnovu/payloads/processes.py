"""Processes that check payloads: begun when there is work, and ended when they take too long."""

import asyncio
import json
import os
import signal
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import cast
from weakref import WeakValueDictionary

from xnovu.payloads import worker
from xnovu.payloads.bounds import RowOptions

LINE = 1_048_576
"""Bytes of one answer at the most."""


class End(Enum):
    """How a check came to its end."""

    ANSWERED = auto()
    TIME = auto()
    MEMORY = auto()


@dataclass(frozen=True, slots=True)
class Heard:
    """
    What a process said of a payload, and how that ended.

    ``broken``: what makes the schema none, and where. ``valid`` is None if that is not known.
    """

    end: End
    broken: str | None = None
    valid: bool | None = None
    violations: tuple[str, ...] = ()


@dataclass(slots=True)
class Checkers:
    """
    Up to so many processes, of which one enterprise has one at a time.

    What ends here, ends with its process: nothing of a check goes on once nobody waits for it.
    """

    bounds: RowOptions
    _places: asyncio.Semaphore = field(init=False)
    _turns: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    _free: list[Process] = field(default_factory=list[Process])

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.bounds.checkers)

    async def check(self, whose: str, schema: bytes, payload: bytes) -> Heard:
        """
        Have a payload checked, when it is this enterprise's turn.

        Raises:
            OSError: no process can be begun.
        """
        turn = self._turns.setdefault(whose, asyncio.Lock())
        async with turn, self._places:
            return await self._checked(schema, payload)

    async def close(self) -> None:
        while self._free:
            await _ended(self._free.pop())

    async def _checked(self, schema: bytes, payload: bytes) -> Heard:
        process = self._free.pop() if self._free else await _begun(self.bounds)
        try:
            heard = await _heard(process, schema, payload)
        except BaseException:  # whoever asked waits no longer
            await _ended(process)
            raise
        if heard.end is End.ANSWERED:
            self._free.append(process)
        return heard


async def _begun(bounds: RowOptions) -> Process:
    limits = (str(bounds.check_seconds), str(bounds.check_memory))
    program = (sys.executable, "-P", str(Path(worker.__file__)))
    unsecret = {name: value for name, value in os.environ.items() if name[:6] != "XNOVU_"}
    return await asyncio.create_subprocess_exec(
        *program, *limits, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=unsecret, limit=LINE
    )


async def _ended(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def _heard(process: Process, schema: bytes, payload: bytes) -> Heard:
    """Ask, and listen until it has said all, or is gone."""
    requests, replies = cast("StreamWriter", process.stdin), cast("StreamReader", process.stdout)
    with suppress(ConnectionError):  # it is gone; how it ended is heard below
        requests.writelines((worker.HEADER.pack(len(schema), len(payload)), schema, payload))
        await requests.drain()
    said: list[list[str]] = []
    while line := await replies.readline():
        said.append(cast("list[str]", json.loads(line)))
        if said[-1] == ["end"]:
            return _understood(said, End.ANSWERED)
    gone = await process.wait()
    return _understood(said, End.TIME if gone == -signal.SIGPROF else End.MEMORY)


def _understood(said: list[list[str]], end: End) -> Heard:
    words = {word for word, *_ in said}
    told = [rest for word, *rest in said if word == "violations"]
    broken = next((text for word, *rest in said for text in rest if word == "schema"), None)
    valid = True if "valid" in words else False if "invalid" in words else None
    return Heard(end, broken, valid, tuple(told[-1]) if told else ())
