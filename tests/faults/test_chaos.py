"""A few random runs of ``./run bench chaos``: whole installations, with a ledger at the end."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITHIN = 300.0

SEEDS = (3, 160)
"""The second is one in which a person was once notified twice."""


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_comes_to_its_end_once(seed: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "chaos", "--seeds", str(seed)]
    run = [*command, "--log", str(tmp_path / "chaos.jsonl")]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN)
    assert done.returncode == 0, done.stdout + done.stderr
    table = [sys.executable, "-m", "bench", "chaos-table", str(tmp_path / "chaos.jsonl")]
    told = subprocess.run(table, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN)
    assert told.returncode == 0, told.stderr
    assert "| **doubled** | 0 |" in told.stdout
