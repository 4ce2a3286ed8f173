"""Trials of the whole system, ``./run bench``, as tests run them."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]


def bench(*arguments: str, within: float) -> str:
    """What it prints; fails if it does, or takes longer than so many seconds."""
    command = [sys.executable, "-m", "bench", *arguments]
    with tempfile.TemporaryFile("w+") as output:  # a pipe would end with its last process only
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, start_new_session=True)
        try:
            code = process.wait(within)
        except subprocess.TimeoutExpired:
            code = f"not done within {within:g} s"
        finally:
            _end(process)
        output.seek(0)
        printed = output.read()
    assert code == 0, f"{code}: {printed}"
    return printed


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all that it has started, and that may have outlived it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
