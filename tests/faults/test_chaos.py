"""Two random runs of ``./run bench chaos``: whole installations, with a ledger at the end."""

import json
from functools import partial
from pathlib import Path

from tests import trials

WITHIN = 300.0

SEEDS = [3, 160]
"""The second is one in which a person was once notified twice."""

bench = partial(trials.bench, within=WITHIN)


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
