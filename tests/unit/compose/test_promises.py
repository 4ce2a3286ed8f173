"""Settings under which docs/reliability.md's promises do not hold are refused, with the reason."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trials
from hypothesis import strategies as some

from xnovu.adapters.nats.options import require_url
from xnovu.adapters.postgres.connection import require_dsn
from xnovu.compose import settings
from xnovu.compose.promises import broken, costly
from xnovu.compose.secrets import DATABASE_URL, NATS_URL, secret
from xnovu.errors import ConfigurationError


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in [n for n in os.environ if n.startswith("XNOVU_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"INGEST__LEASE": "1"}, "ingest.lease"),
        ({"PROVIDER__TIMEOUT": "60"}, "stages.trigger.timeout"),
        ({"PROVIDER__TIMEOUT": "60", "PROVIDER__SETTLE": "90"}, "stages.retract.timeout"),
        ({"PROVIDER__SETTLE": "99999"}, "provider.remembered"),
        ({"PROVIDER__SETTLE": "1"}, "be sent twice"),
        ({"STAGES__TRIGGER__BATCH": "99999999999"}, "stages.trigger.batch"),
        ({"STAGES__TRIGGER__SLOTS": "99999"}, "stages.trigger.slots"),
        ({"STAGES__STATUS__TIMEOUT": "inf"}, "stages.status.timeout"),
        ({"CONSUMERS__MINE__TIMEOUT": "-1"}, "consumers.mine.timeout"),
        ({"INGEST__LEASE": "40"}, "ingest.lease"),
        ({"TRANSPORT__RETENTION_DAYS": "0.01", "INGEST__LEASE": "2000"}, "retention_days"),
        ({"INGEST__SWEEP_IDLE": "inf"}, "ingest.sweep_idle"),
        ({"STORE__TIMEOUT": "inf"}, "store.timeout"),
    ],
)
def test_what_breaks_a_promise_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], told: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"XNOVU_{name}", value)
    with pytest.raises(ConfigurationError) as refused:
        settings.load()
    assert told in str(refused.value)


def test_the_shipped_settings_break_none_and_cost_nothing() -> None:
    assert list(broken(settings.Settings())) == []
    assert list(costly(settings.Settings())) == []


def test_what_only_costs_is_said_and_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XNOVU_STAGES__STATUS__TIMEOUT", "40")
    [told] = costly(settings.load())
    assert "transport.stop_timeout (35 s) is not longer than stages.status.timeout (40 s)" in told


@pytest.mark.parametrize("trial", ["tests/faults/sabotage/quick.toml", "bench/chaos/quick.toml"])
def test_the_trials_break_none_either(monkeypatch: pytest.MonkeyPatch, trial: str) -> None:
    monkeypatch.setenv("XNOVU_CONFIG", str(Path(__file__).parents[3] / trial))
    settings.load()


SECONDS = some.floats(0.1, 600)
TABLES = some.fixed_dictionaries(
    {
        "provider": some.fixed_dictionaries(
            {"timeout": SECONDS, "settle": SECONDS, "remembered": some.floats(1, 100_000)}
        ),
        "ingest": some.fixed_dictionaries({"lease": SECONDS}),
        "stages": some.dictionaries(
            some.sampled_from(["hydrate", "trigger", "status", "retract"]),
            some.fixed_dictionaries({"timeout": SECONDS}),
        ),
    }
)


@given(TABLES)
@trials(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_let_through_keeps_every_promise(tables: dict[str, Any]) -> None:
    """The promises once more, as docs/reliability.md has them, in numbers."""
    told = settings.Settings(**tables)
    trigger, retract = told.policy("trigger").timeout, told.policy("retract").timeout
    provider = told.provider.timeout + told.provider.settle
    kept = (
        told.provider.timeout <= told.provider.settle
        and provider < told.provider.remembered
        and 2 * told.provider.timeout < min(trigger, retract)
        and max(provider, trigger) < told.ingest.lease < told.transport.retention_days * 86_400
    )
    assert kept == (not list(broken(told)))


@pytest.mark.parametrize("text", ["foo", "postgresql://[::1", "postgresql://h:port/db", "a=b c"])
def test_what_is_no_connection_string_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://user:password@") as refused:
        require_dsn(text)
    assert text not in str(refused.value)


@pytest.mark.parametrize("text", ["nats://", "http://nats:4222", "nats://h:99999", "nats://a,,"])
def test_what_is_no_address_of_nats_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="nats://host:4222"):
        require_url(text)


@pytest.mark.parametrize(
    "text", ["nats://h", "h:4222", "tls://u:p%40ss@h:4222", "nats://a:1, nats://b:2"]
)
def test_what_is_an_address_of_nats_is_let_through(text: str) -> None:
    require_url(text)


@pytest.mark.parametrize(("name", "text"), [(DATABASE_URL, "foo"), (NATS_URL, "ftp://hidden")])
def test_a_secret_that_can_be_none_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, name: str, text: str
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ConfigurationError, match=f"^{name}: is no") as refused:
        secret(name)()
    assert text not in str(refused.value)
    (tmp_path / "file").write_text(text)
    monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "file"))
    with pytest.raises(ConfigurationError, match=rf"^{name}_FILE \(.*file\): is no"):
        secret(name)()
