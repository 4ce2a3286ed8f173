"""Two random runs of ``./run bench chaos``: whole installations, with a ledger at the end."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WITHIN = 300.0

SEEDS = [3, 160]
"""The second is one in which a person was once notified twice."""


def bench(*arguments: str) -> str:
    command = [sys.executable, "-m", "bench", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_everything_comes_to_its_end_once(tmp_path: Path) -> None:
    """And a seed that the log has is not run again, but stands in the table."""
    log = tmp_path / "chaos.jsonl"
    run = ("chaos", "--seeds", ",".join(map(str, SEEDS)), "--jobs", "2", "--log", str(log))
    told, written = bench(*run), log.read_text()
    assert sorted(json.loads(line)["seed"] for line in written.splitlines()) == SEEDS
    table = bench(*run)
    assert (log.read_text(), bench("chaos-table", str(log))) == (written, table)
    assert told.endswith(table)
    assert "| **lost** | 0 |" in table
    assert "| **doubled** | 0 |" in table
