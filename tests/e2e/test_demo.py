"""The main job, by the one command that shows it."""

from tests.e2e.conftest import Shell


def test_the_demo_sends_everything_once_and_says_so(shell: Shell):
    shell.environment["COLUMNS"] = "80"
    done = shell.xnovu("demo", "--rows", "600", "--plain")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all 600 notifications ended as they must; none sent twice" in done.stdout
    reasons = ("payload_invalid", "provider_refused", "recipients_invalid", "workflow_not_found")
    for reason in (*reasons, "Umbrella"):
        assert reason in done.stdout
    assert "p99" in done.stdout
