"""What docs/extending.md and docs/testing.md show is run as it stands there."""

import tomllib
from pathlib import Path

import pytest

from tests.pages import module, snippets
from xnovu.adapters.webhook import WebhookOptions
from xnovu.cli.run import PARTS
from xnovu.compose.broker import transport_of
from xnovu.compose.kit import provider_of
from xnovu.compose.serve import serve
from xnovu.compose.settings import load
from xnovu.consuming.app import part_of
from xnovu.testing import a_row, memory_pipeline

OUTBOX, OUTBOX_SUITE, SMALL, SMALL_SUITE, ENRICH, ENRICH_TEST = snippets("extending.md")
OUTBOX_TABLE, WEBHOOK_TABLE, ENRICH_TABLE = snippets("extending.md", "toml")
GREETER, SCHEDULE = snippets("testing.md")

acme_outbox, acme_transport = module("acme_outbox", OUTBOX), module("acme_transport", SMALL)
enrich = module("enrich", ENRICH)
enriching = module("test_enrich", ENRICH_TEST)
asked = enriching.asked
test_the_payload_is_enriched = enriching.test_the_payload_is_enriched_and_the_shop_asked_once
TestOutbox = module("test_acme_outbox", OUTBOX_SUITE).TestOutbox
TestSmall = module("test_acme_transport", SMALL_SUITE).TestSmall
greeter = module("test_greeter", GREETER)
test_it_is_told_of_each_end = greeter.test_it_is_told_of_each_end
test_it_takes_a_batch = greeter.test_it_takes_a_batch
test_a_schedule_is_kept = module("test_schedule", SCHEDULE).test_a_schedule_is_kept


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def configured(text: str) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "my.toml").write_text(text)
        monkeypatch.setenv("XNOVU_CONFIG", str(tmp_path / "my.toml"))

    return configured


async def test_the_provider_of_the_page_is_the_one_of_its_settings(configured):
    configured(OUTBOX_TABLE)
    provider = provider_of(load())
    assert isinstance(provider, acme_outbox.Outbox)
    await provider.open()
    async with memory_pipeline(provider=provider) as pipeline:
        assert [one.status for one in await pipeline.deliver(a_row(), a_row())] == ["SENT"] * 2
    assert len(written()) == 2


def written() -> list[Path]:
    return list(Path("outbox").glob("*.mail"))


def test_the_transport_of_the_page_can_be_chosen_with_its_options(configured):
    configured('[transport]\nkind = "acme_transport:Small"\nmax_payload = 7\nstop_timeout = 3.0\n')
    settings = load()
    assert settings.transport == acme_transport.Small.Options(
        kind="acme_transport:Small", max_payload=7, stop_timeout=3.0
    )
    assert isinstance(transport_of(settings), acme_transport.Small)
    assert serve(*PARTS.values(), settings=settings)


def test_the_webhook_of_the_page_says_what_the_defaults_are(configured):
    told = WEBHOOK_TABLE.replace("# look_up", "look_up").replace("# cancel", "cancel")
    whole = tomllib.loads(told.replace("\n# ", "\n"))["provider"]
    configured(WEBHOOK_TABLE)
    settings = load()
    assert isinstance(settings.provider, WebhookOptions)
    defaults = settings.provider.model_dump()
    assert {k: v for k, v in whole.items() if "_url" not in k}.items() <= defaults.items()
    assert WebhookOptions.model_validate(whole).cancel_url


def test_the_stage_of_the_page_has_its_place_and_its_policy_by_its_settings(configured):
    configured(ENRICH_TABLE)
    settings = load()
    assert settings.pipeline.reads["trigger"] == ("enrich",)
    assert (settings.policy("enrich").slots, settings.policy("enrich").timeout) == (4, 20.0)
    assert serve(*PARTS.values(), part_of(enrich.enrich), settings=settings)
