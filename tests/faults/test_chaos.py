"""Two random runs of ``./run bench chaos``: whole installations, with a ledger at the end."""

import json
from functools import partial
from pathlib import Path

import pytest

from tests import trials

WITHIN = 300.0

SEEDS = {"nats": [3, 160], "postgres": [3], "memory": [8]}
"""By transport. The second is one in which a person was once notified twice."""

bench = partial(trials.bench, within=WITHIN)


@pytest.mark.parametrize("transport", SEEDS)
def test_everything_comes_to_its_end_once(
    transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a seed that the log has is not run again, but stands in the table."""
    log = tmp_path / "chaos.jsonl"
    monkeypatch.setenv("XNOVU_TRANSPORT__KIND", transport)
    seeds = ",".join(map(str, SEEDS[transport]))
    run = ("chaos", "--seeds", seeds, "--jobs", "2", "--log", str(log))
    told, written = bench(*run), log.read_text()
    assert sorted(json.loads(line)["seed"] for line in written.splitlines()) == SEEDS[transport]
    table = bench("chaos-table", str(log))
    assert bench(*run).endswith(table)
    assert log.read_text() == written
    assert told.endswith(table)
    assert "| **lost** | 0 |" in table
    assert "| **doubled** | 0 |" in table
