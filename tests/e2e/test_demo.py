"""The main job, by the one command that shows it."""

import signal
import sys
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.e2e.conftest import LONG, Shell


@pytest.mark.parametrize("transport", ["nats", "postgres", "memory"])
def test_the_demo_sends_everything_once_and_says_so(shell: Shell, transport: str):
    shell.environment |= {"COLUMNS": "80", "XNOVU_TRANSPORT__KIND": transport}
    done = shell.xnovu("demo", "--rows", "2000", "--plain")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"transport: {transport}\n")
    assert "all 2000 notifications ended as they must; none sent twice" in done.stdout
    reasons = ("payload_invalid", "provider_refused", "recipients_invalid", "workflow_not_found")
    for reason in (*reasons, "Umbrella"):
        assert reason in done.stdout
    assert "p99" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_demo_that_is_stopped_leaves_nothing(shell: Shell, started, tmp_path: Path, number):
    shell.environment["TMPDIR"] = str(tmp_path)
    demo = started(shell.start(sys.executable, "-m", "xnovu", "demo", "--plain"))
    await eventually(lambda: list(tmp_path.glob("xnovu-demo-*/stages/server.log")), within=60)
    demo.send_signal(number)
    output, _ = demo.communicate(timeout=LONG)
    assert demo.returncode == 128 + number
    assert "Traceback" not in output
    await eventually(lambda: not list(tmp_path.iterdir()), within=10)
