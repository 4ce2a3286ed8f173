"""What may be configured, and that whatever is wrong is named before anything starts."""

import os
import tomllib
from pathlib import Path

import pytest

from xnovu.adapters.postgres.store import PostgresOptions
from xnovu.adapters.supabase.options import SupabaseOptions
from xnovu.compose import settings
from xnovu.compose.kit import Kit
from xnovu.compose.secrets import Secret
from xnovu.errors import ConfigurationError, Retryable, Unclear


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """No configuration but the test's own."""
    for name in [n for n in os.environ if n.startswith("XNOVU_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def written(tmp_path, monkeypatch, text: str) -> None:
    path = tmp_path / "my.toml"
    path.write_text(text)
    monkeypatch.setenv("XNOVU_CONFIG", str(path))


def test_without_any_configuration_there_are_defaults():
    assert settings.load().policy("hydrate").batch == 500


def test_a_file_sets_what_it_names(tmp_path, monkeypatch):
    written(tmp_path, monkeypatch, "[stages.trigger]\nbatch = 7\n[ingest]\nlease = 60.0\n")
    loaded = settings.load()
    assert (loaded.policy("trigger").batch, loaded.ingest.lease) == (7, 60.0)


def test_a_stage_keeps_the_defaults_that_are_not_named(tmp_path, monkeypatch):
    written(tmp_path, monkeypatch, "[stages.trigger]\nbatch = 7\n")
    trigger = settings.load().policy("trigger")
    assert trigger.slots == settings.Stages().trigger.slots == 3
    assert trigger.rules == settings.Stages().trigger.rules


def test_the_environment_goes_before_the_file(tmp_path, monkeypatch):
    written(tmp_path, monkeypatch, "[provider]\nrate = 5\n")
    monkeypatch.setenv("XNOVU_PROVIDER__RATE", "9")
    assert settings.load().provider.rate == 9


def test_the_level_of_the_log_has_a_short_name_too(tmp_path, monkeypatch):
    written(tmp_path, monkeypatch, '[log]\nlevel = "error"\nformat = "json"\n')
    monkeypatch.setenv("XNOVU_LOG_LEVEL", "DEBUG")
    assert (settings.load().log.level, settings.load().log.format) == ("debug", "json")
    monkeypatch.setenv("XNOVU_LOG__LEVEL", "warning")
    assert settings.load().log.level == "warning"
    monkeypatch.delenv("XNOVU_LOG__LEVEL")
    monkeypatch.setenv("XNOVU_LOG_LEVEL", "")
    assert settings.load().log.level == "error"
    monkeypatch.setenv("XNOVU_LOG_LEVEL", "loud")
    with pytest.raises(ConfigurationError, match=r"log\.level"):
        settings.load()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[provder]\nrate = 5\n", "provder"),
        ("[provider]\nrat = 5\n", "provider.rat"),
        ("[provider]\nrate = 'fast'\n", "provider.rate"),
        ("[stages.triger]\nbatch = 5\n", "triger"),
        ("[stages.trigger]\nbach = 5\n", "bach"),
        ("[stages.trigger.rules.timeout]\nattemps = 5\n", "attemps"),
        ("[stages.trigger]\nbatch = 0\n", "batch"),
        ("[transport]\nurl = 'nats://me:hidden@host'\n", "XNOVU_NATS_URL"),
        ("[store]\nkind = 'mysql'\n", "postgres or supabase"),
        (
            "[store]\nkind = 'supabase'\npool_max = 3\n",
            "store.pool_max is no setting where kind is",
        ),
        ("[store]\nmax_rows = 3\n", "store.max_rows is no setting where kind is postgres"),
        (
            "[provider]\nrat = 5\n",
            "my.toml: provider.rat is no setting where kind is novu: did you mean provider.rate",
        ),
        ("[stages.trigger]\nbach = 5\n", "did you mean stages.trigger.batch"),
        ("[stages.triger]\nbatch = 5\n", "did you mean stages.trigger"),
        ("[stages.trigger.rules.timeout]\nattemps = 5\n", "rules.timeout.attempts"),
        ("[consumers.mine]\nslot = 5\n", "did you mean consumers.mine.slots"),
        ("[provder]\nrate = 5\n", "did you mean provider"),
        ("store = 3\n", "postgres or supabase"),
        ("[wakeups]\nkind = 'wal'\n", "use notify, or auto"),
        ("[wakeups]\nkind = 'loud'\n", "'notify', 'realtime' or 'sweep'"),
        ("not toml", "my.toml"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, monkeypatch, text, named):
    written(tmp_path, monkeypatch, text)
    with pytest.raises(ConfigurationError, match=named):
        settings.load()


def test_a_value_is_never_repeated(tmp_path, monkeypatch):
    written(tmp_path, monkeypatch, "[provider]\nkey = 'sk_live_hidden'\n")
    with pytest.raises(ConfigurationError) as caught:
        settings.load()
    assert "hidden" not in str(caught.value)


def test_a_store_is_of_the_kind_that_is_named(tmp_path, monkeypatch):
    written(tmp_path, monkeypatch, "[store]\nkind = 'supabase'\nmax_rows = 50\n")
    assert settings.load().store == SupabaseOptions(max_rows=50)
    written(tmp_path, monkeypatch, "[store]\ntimeout = 3.0\n")
    assert settings.load().store == PostgresOptions(timeout=3.0)
    monkeypatch.setenv("XNOVU_STORE__KIND", "supabase")
    assert settings.load().store == SupabaseOptions(timeout=3.0)


def test_the_environment_may_choose_another_store_than_the_file(monkeypatch):
    """The shipped file names the other one with all its keys, and one word is to be enough."""
    monkeypatch.setenv("XNOVU_CONFIG", str(Path(__file__).parents[3] / "configs/xnovu.toml"))
    monkeypatch.setenv("XNOVU_STORE__KIND", "supabase")
    assert settings.load().store == SupabaseOptions()


def test_what_neither_store_has_is_refused_whichever_is_chosen(tmp_path, monkeypatch):
    written(tmp_path, monkeypatch, "[store]\nkind = 'postgres'\npool_max = 3\npool_min = 3\n")
    monkeypatch.setenv("XNOVU_STORE__KIND", "supabase")
    with pytest.raises(ConfigurationError, match=r"store\.pool_min"):
        settings.load()


def test_a_variable_is_named_where_it_is_the_variable_that_is_wrong(tmp_path, monkeypatch):
    written(tmp_path, monkeypatch, "[provider]\nrate = 5\n")
    monkeypatch.setenv("XNOVU_PROVIDER__RATE", "fast")
    with pytest.raises(ConfigurationError, match=r"XNOVU_PROVIDER__RATE: provider\.rate"):
        settings.load()


@pytest.mark.parametrize("name", ["XNOVU_NOVU_KYE", "XNOVU_PROVIDR__RATE", "XNOVU_PROVIDER"])
def test_an_unknown_variable_is_named(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigurationError, match=name):
        settings.load()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("XNOVU_NOVU_KYE", "XNOVU_NOVU_KEY"),
        ("XNOVU_DATABSE_URL", "XNOVU_DATABASE_URL"),
        ("XNOVU_PROVIDR__RATE", "XNOVU_PROVIDER__RATE"),
        ("XNOVU_PROVIDER_RATE", "XNOVU_PROVIDER__RATE"),
    ],
)
def test_what_was_meant_by_an_unknown_variable_is_said(monkeypatch, name, meant):
    monkeypatch.setenv(name, "hidden")
    with pytest.raises(ConfigurationError, match=f"did you mean {meant}") as caught:
        settings.load()
    assert "hidden" not in str(caught.value)


def test_variables_that_no_stage_asks_for_do_no_harm(monkeypatch):
    monkeypatch.setenv("XNOVU_SUPABASE_ANON_KEY", "sb_publishable_x")
    monkeypatch.setenv("XNOVU_PG_BIN", "nowhere")
    settings.load()


def test_a_file_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("XNOVU_CONFIG", "nowhere.toml")
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml"):
        settings.load()


def test_a_secret_comes_from_the_environment():
    assert Secret("KEY", {"KEY": "a"})() == "a"


def test_a_changed_file_is_a_changed_secret(tmp_path):
    file = tmp_path / "key"
    secret = Secret("KEY", {"KEY_FILE": str(file)})
    for value in ("first", "second"):
        file.write_text(value + "\n")
        assert secret() == value


@pytest.mark.parametrize(
    ("environment", "told"),
    [({}, "KEY is not set"), ({"KEY_FILE": "nowhere"}, "cannot read nowhere")],
)
def test_a_secret_that_is_missing_says_the_way_out(environment, told):
    with pytest.raises(ConfigurationError, match=told):
        Secret("KEY", environment)()


def test_an_empty_file_is_no_secret(tmp_path):
    file = tmp_path / "key"
    file.write_text("\n")
    with pytest.raises(ConfigurationError, match="empty"):
        Secret("KEY", {"KEY_FILE": str(file)})()


def test_the_attempts_to_send_fit_in_a_claim():
    """Once it lapses, the count begins anew."""
    loaded = settings.load()
    policy, times = loaded.policy("trigger"), Kit(loaded, "trigger").times
    unclear = Unclear("no answer", code="provider_unclear")
    for error in (unclear, Retryable("cut off", code="timeout"), ValueError("bug")):
        waits = [policy.judge(error, n).after for n in range(1, policy.attempts)]
        assert max(waits) < times.hold
        assert sum(waits) < loaded.ingest.lease


def test_a_batch_ends_before_its_process_does():
    """Else it would be cut off, and what it had sent would be looked up for once."""
    loaded = settings.load()
    longest = max(loaded.policy(name).timeout for name in settings.Stages.model_fields)
    assert longest < loaded.transport.stop_timeout


def test_a_batch_is_not_cut_off_while_the_provider_may_still_answer():
    loaded = settings.load()
    assert 2 * loaded.provider.timeout < loaded.policy("trigger").timeout


def test_the_example_says_what_the_defaults_are(monkeypatch):
    default = settings.load()
    monkeypatch.setenv("XNOVU_CONFIG", str(Path(__file__).parents[3] / "configs/xnovu.toml"))
    assert settings.load() == default


def test_the_example_of_the_other_store_says_what_its_defaults_are():
    text = (Path(__file__).parents[3] / "configs/xnovu.toml").read_text()
    _, _, block = text.partition("\n# [store]")
    lines = [line.removeprefix("# ") for line in block.partition("\n\n")[0].splitlines()[1:]]
    given = tomllib.loads("\n".join(lines))
    assert given == SupabaseOptions().model_dump()


def test_the_example_names_every_setting():
    text = (Path(__file__).parents[3] / "configs/xnovu.toml").read_text()
    for table, options in settings.load().model_dump().items():
        for key in () if table in ("stages", "consumers") else options:
            assert f"\n{key} = " in text or f"# {key} = " in text, f"{table}.{key}"
