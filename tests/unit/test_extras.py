"""What is not installed is named, with the way out."""

import subprocess
import sys

import pytest


def run_without(missing: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command where a package is not installed."""
    hidden = f"import sys; sys.modules[{missing!r}] = None; sys.argv = {['xnovu', *arguments]!r}"
    code = f"{hidden}; from xnovu.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize("command", ["demo", "dev", "novu"])
def test_a_command_says_that_the_stand_ins_are_missing(command):
    done = run_without("xnovu_local", command)
    said = "xnovu: xnovu_local is not installed: pip install 'xnovu-local'\n"
    assert (done.returncode, done.stderr) == (1, said)
