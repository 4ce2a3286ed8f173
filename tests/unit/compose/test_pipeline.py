"""The order of the stages, with some of one's own in it, and what may be set of them."""

import pytest

from xnovu.compose.pipeline import Pipeline
from xnovu.compose.settings import Settings, load
from xnovu.errors import ConfigurationError
from xnovu.events import KINDS, Hydrated, hydrated_by

TWO = Pipeline(between=("enrich", "price"))


def test_each_stage_reads_what_the_one_before_it_tells():
    assert TWO.stages == ("ingest", "hydrate", "enrich", "price", "trigger", "status", "retract")
    assert TWO.downstream == ("hydrate", "enrich", "price", "trigger", "status")
    assert TWO.reads == {
        "hydrate": ("ingest",),
        "enrich": ("hydrate",),
        "price": ("enrich",),
        "trigger": ("price",),
        "status": ("trigger", "dead"),
        "retract": ("retract",),
    }


def test_what_they_give_up_of_what_they_read_ends_a_row():
    assert TWO.leading == {
        "ingest": "ingest",
        "hydrate": "ingest",
        "enrich": "hydrate",
        "price": "enrich",
        "trigger": "price",
    }


def test_who_names_them_can_read_what_they_tell():
    for name in TWO.between:
        assert KINDS[name] is hydrated_by(name)
        assert issubclass(KINDS[name], Hydrated)
        assert KINDS[name].kind == name
    assert Hydrated.kind == "hydrate"


@pytest.mark.parametrize(
    "names",
    [["trigger"], ["status"], ["dead"], ["later"], ["all"], ["Enrich"], ["a.b"], [""], ["7"]],
)
def test_a_name_that_is_anothers_is_refused(names: list[str]):
    before = dict(KINDS)
    with pytest.raises(ValueError, match="can be no stage's name"):
        Pipeline.model_validate({"between": names})
    assert before == KINDS


def test_a_stage_is_there_once():
    with pytest.raises(ValueError, match="named twice"):
        Pipeline(between=("enrich", "enrich"))


def test_the_environment_may_name_them_and_what_they_may_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XNOVU_PIPELINE__BETWEEN", '["enrich", "price"]')
    monkeypatch.setenv("XNOVU_STAGES__PRICE__BATCH", "7")
    settings = load()
    assert settings.policy("price").batch == 7
    assert settings.policy("enrich").batch == 100
    assert {"stages.enrich", "stages.price"} < {name for name, _ in settings.policies()}


def test_a_stage_that_is_in_no_pipeline_is_refused_by_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XNOVU_PIPELINE__BETWEEN", '["enrich"]')
    monkeypatch.setenv("XNOVU_STAGES__PRICE__BATCH", "7")
    with pytest.raises(ConfigurationError, match=r"stages\.price is no setting"):
        load()


def test_a_wrong_key_of_ones_own_stage_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XNOVU_PIPELINE__BETWEEN", '["enrich"]')
    monkeypatch.setenv("XNOVU_STAGES__ENRICH__BACH", "7")
    with pytest.raises(ConfigurationError, match=r"did you mean stages\.enrich\.batch"):
        load()


def test_without_any_it_is_as_it_was():
    assert Settings().pipeline.downstream == ("hydrate", "trigger", "status")
