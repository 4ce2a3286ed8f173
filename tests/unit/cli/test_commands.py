"""What holds for every command, without a server."""

import json
import os
from collections import deque

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as some
from typer.testing import CliRunner

import xnovu
from xnovu.adapters.nats.topology import covers
from xnovu.cli import main
from xnovu.cli.commands import cli
from xnovu.cli.demo.watch import SPAN, Look, measured
from xnovu.cli.operate.dead import require_stage
from xnovu.cli.operate.replay import require_kind, subject_of_ones_own
from xnovu.cli.show import require_id
from xnovu.cli.waiting import reason_of
from xnovu.errors import ConfigurationError

SERVERS = {"demo", "dev", "run", "novu"}
"""Commands that run something, and print no data."""


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    for name in [n for n in os.environ if n.startswith("XNOVU_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def commands(group=None, path=()):
    group = group or typer.main.get_command(cli)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize("path", [" ".join(path) for path, _ in commands()])
def test_every_command_that_prints_data_prints_json(path):
    command = {" ".join(path): command for path, command in commands()}[path]
    options = {option for parameter in command.params for option in parameter.opts}
    assert path in SERVERS or options & {"--json", "--json-out"}


def test_it_says_which_version_it_is():
    told = CliRunner().invoke(cli, ["--version"])
    assert (told.exit_code, told.stdout) == (0, f"xnovu {xnovu.__version__}\n")
    assert xnovu.__version__.split(".")[0].isdecimal()


def test_config_check_prints_text_or_json_and_never_both(monkeypatch):
    monkeypatch.setenv("XNOVU_NATS_URL", "nats://ada:hidden@nats.example:4222")
    monkeypatch.setenv("XNOVU_DATABASE_URL", "postgresql://bob:hidden@db.example/app")
    text = CliRunner().invoke(cli, ["config", "check"]).stdout
    assert "XNOVU_NATS_URL = nats://nats.example:4222" in text
    assert "XNOVU_DATABASE_URL = db.example:5432/app as bob" in text
    assert "localhost:4222" not in text
    assert "{\n" not in text
    told = json.loads(CliRunner().invoke(cli, ["config", "check", "--json"]).stdout)
    assert told["settings"]["transport"]["url"] == "nats://nats.example:4222"
    assert [each["name"] for each in told["checks"] if each["fault"]] == ["XNOVU_NOVU_KEY"]
    assert "hidden" not in text + json.dumps(told)


def test_config_check_asks_only_for_what_the_named_stages_need():
    told = json.loads(CliRunner().invoke(cli, ["config", "check", "status", "--json"]).stdout)
    assert "XNOVU_NOVU_KEY" not in {each["name"] for each in told["checks"]}


WILD = some.text(some.sampled_from("ab.*>$ \n"), min_size=1)


@given(WILD)
@settings(deadline=None)
def test_a_replay_goes_only_where_one_message_can_go(subject):
    try:
        accepted = subject_of_ones_own(subject, "ab")
    except ConfigurationError:
        return
    tokens = accepted.split(".")
    assert all(tokens)
    assert not set(accepted) & set("*> \n")
    assert not accepted.startswith("$")
    assert tokens[0] != "ab"


@pytest.mark.parametrize(
    ("subject", "told"),
    [
        (">", "wildcards"),
        ("a.*.b", "wildcards"),
        ("$JS.API.STREAM.DELETE.FOO", "the server's own"),
        ("_INBOX.x", "the server's own"),
        ("bad subject.x", "no subject"),
        ("a..b", "no subject"),
        ("xnovu.status.foo", "the pipeline's own"),
    ],
)
def test_a_subject_that_nobody_can_mean_is_refused(subject, told):
    with pytest.raises(ConfigurationError, match=told):
        subject_of_ones_own(subject, "xnovu")


@pytest.mark.parametrize(
    ("refuse", "given_", "told"),
    [
        (require_kind, "stauts", "did you mean status"),
        (require_stage, "triger", "did you mean trigger"),
        (require_stage, "foo", "there are ingest, hydrate"),
        (require_id, 2**63, "no notification's id"),
        (require_id, 99999999999999999999999, "no notification's id"),
    ],
)
def test_what_there_is_not_is_refused(refuse, given_, told):
    with pytest.raises(ConfigurationError, match=told):
        refuse(given_)


def test_a_schedule_that_never_comes_is_shown():
    waits = {"for": "schedule", "until": "infinity", "seconds": None}
    assert reason_of(waits) == "its schedule, infinity"
    assert reason_of({**waits, "seconds": "Infinity"}).endswith("roughly for ever")


def test_the_demo_tells_a_rate_over_a_few_seconds():
    """Inserts come in bursts: of a quarter of a second it would be nothing and much in turn."""
    looks, rates = deque([Look({}, 0.0)]), list[float]()
    for number in range(1, 60):
        ended = number // 2 * 250  # every half second a burst
        rates.append(measured(looks, Look({"SENT": ended}, number / 4)))
    steady = rates[int(SPAN * 4) :]
    assert min(steady) > 450
    assert max(steady) < 550


def test_a_command_says_in_one_line_what_is_wrong(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["xnovu", "replay", "stauts"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert str(ended.value).startswith("xnovu: no subject 'stauts'")
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wide", "narrow", "is_covered"),
    [
        ("x.status.>", "x.status.*", True),
        ("x.status.>", "x.status.a.b", True),
        ("x.status.>", "x.status.>", True),
        ("x.status.*", "x.status.>", False),
        ("x.status.*", "x.status.a.b", False),
        ("x.status.>", "x.status", False),
        ("x.status.>", "x.>", False),
        ("x.status.a", "x.status.*", False),
    ],
)
def test_whether_a_filter_takes_in_another(wide, narrow, is_covered):
    assert covers(wide, narrow) is is_covered
