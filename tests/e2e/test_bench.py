"""The trials of speed, small: that they do the work and check it, not how fast."""

import subprocess
import sys

from tests.e2e.conftest import ROOT

WITHIN = 240.0


def test_the_trials_do_all_of_their_work_once() -> None:
    command = [sys.executable, "-m", "bench", "smoke"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("| XNovu |") == 2
    assert "beside 2,000 rows of another" in done.stdout
