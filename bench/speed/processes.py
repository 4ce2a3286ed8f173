"""What processes use, and holding them still (Linux: ``/proc``)."""

import asyncio
import os
import signal
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
QUIET = 0.5
"""Seconds in which processes that wait use next to nothing."""
AT_REST = 0.05
"""Of a core, for each process."""


def with_children(processes: Sequence[int]) -> list[int]:
    """They and all that descends from them."""
    found = list(processes)
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            with suppress(OSError):
                found.extend(map(int, task.read_text().split()))
    return found


def named(program: str) -> list[int]:
    """Our own children and theirs that run this program."""
    found: list[int] = []
    for pid in with_children([os.getpid()]):
        with suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().strip() == program:
                found.append(pid)
    return found


def cpu_seconds(processes: Sequence[int]) -> float:
    """What they have used so far."""
    return sum(map(_ticks, processes)) / TICKS


def peak_memory(processes: Sequence[int]) -> float:
    """The most that any of them has held, in MB."""
    return max(_peak(pid) for pid in processes)


def freeze(processes: Sequence[int]) -> None:
    _signal(processes, signal.SIGSTOP)


def thaw(processes: Iterable[int]) -> None:
    _signal(processes, signal.SIGCONT)


def _signal(processes: Iterable[int], what: signal.Signals) -> None:
    for pid in processes:
        with suppress(ProcessLookupError):  # a peer's supervisor may have replaced it
            os.kill(pid, what)


async def at_rest(processes: Sequence[int]) -> None:
    """Wait until they only wait; for five seconds at most, as some are never at rest."""
    for _ in range(10):
        before = cpu_seconds(processes)
        await asyncio.sleep(QUIET)
        if cpu_seconds(processes) - before < QUIET * AT_REST * len(processes):
            return


def _ticks(pid: int) -> int:
    """Of the process; 0 if it is gone."""
    with suppress(OSError):
        return sum(map(int, _fields(pid)[11:13]))
    return 0


def _fields(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _peak(pid: int) -> float:
    """0 of one that is gone."""
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        found = (int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
        return next(found, 0.0)
    return 0.0
