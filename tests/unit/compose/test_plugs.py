"""A plug of one's own is named by the settings; what is wrong with it is said before it is used."""

import pytest

from tests.pages import module
from xnovu import ports
from xnovu.compose import settings
from xnovu.compose.broker import nats_url, peers_of, transport_of
from xnovu.compose.kit import provider_of
from xnovu.compose.plugs import PROVIDER, TRANSPORT
from xnovu.compose.secrets import WEBHOOK_SECRET
from xnovu.errors import ConfigurationError

module(
    "plugged",
    """
from xnovu.adapters.memory.provider import MemoryProvider
from xnovu.options import ProviderOptions, TransportOptions

class Half:
    async def trigger(self, calls, until): ...

class Whole(MemoryProvider):
    class Options(ProviderOptions, frozen=True):
        region: str
        retries: int = 3
    def __init__(self, options):
        super().__init__()
        self.options = options
    async def open(self): ...
    async def close(self): ...
    async def ready(self): ...

class Plain(Whole):
    Options = ProviderOptions

class Broken(Plain):
    def __init__(self, options):
        raise KeyError("a secret")

class Confused(Plain):
    Options = TransportOptions

number = 3
""",
)


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def chosen(monkeypatch, **provider: str) -> settings.Settings:
    for key, value in provider.items():
        monkeypatch.setenv(f"XNOVU_PROVIDER__{key.upper()}", value)
    return settings.load()


def test_its_options_are_what_it_declares(monkeypatch):
    loaded = chosen(monkeypatch, kind="plugged:Whole", region="eu", retries="5", settle="11")
    provider = provider_of(loaded)
    assert (provider.options.region, provider.options.retries) == ("eu", 5)
    assert (provider.options.settle, provider.options.timeout) == (11.0, 10.0)
    assert loaded.model_dump()["provider"]["region"] == "eu"


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"kind": "nowhere.at_all:Class"}, "no module named 'nowhere': is it installed"),
        ({"kind": "plugged:Nobody"}, "there is no 'Nobody' in plugged"),
        ({"kind": "plugged:Half"}, "is no provider: it lacks open, close, ready, cancel"),
        ({"kind": "plugged:number"}, "plugged:number is no provider: it lacks"),
        ({"kind": "plugged:Confused"}, "its Options are no ProviderOptions"),
        ({"kind": "plugged:Whole"}, "provider.region: Field required"),
        (
            {"kind": "plugged:Whole", "region": "eu", "key": "hidden"},
            "provider.key is no setting",
        ),
        (
            {"kind": "plugged:Plain", "region": "eu"},
            "region is no setting where kind is your own",
        ),
        ({"kind": "novo"}, "kind is novu, webhook, or your own package.module:Class"),
        ({"kind": "webhook"}, "provider.url: Field required"),
    ],
)
def test_what_is_wrong_is_named(monkeypatch, table, told):
    with pytest.raises(ConfigurationError, match=told) as caught:
        chosen(monkeypatch, **table)
    assert "hidden" not in str(caught.value)


def test_one_that_cannot_be_made_is_named_without_what_it_says(monkeypatch):
    loaded = chosen(monkeypatch, kind="plugged:Broken")
    with pytest.raises(ConfigurationError, match="plugged:Broken is not made: KeyError") as caught:
        provider_of(loaded)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("socket", "protocols"),
    [
        (PROVIDER, (ports.Provider, ports.Resource)),
        (TRANSPORT, (ports.Transport,)),
    ],
)
def test_what_it_must_have_is_what_the_ports_say(socket, protocols):
    said = {
        name
        for protocol in protocols
        for each in protocol.__mro__
        for name in (*vars(each), *getattr(each, "__annotations__", ()))
        if not name.startswith("_")
    }
    assert set(socket.methods) == said


def test_a_word_in_the_environment_chooses_another_kind_than_the_file(monkeypatch, tmp_path):
    """The file's table is that kind's, and is left alone."""
    text = '[transport]\nkind = "nats"\nprefix = "x"\n[provider]\nkind = "novu"\nrate = 3.0\n'
    (tmp_path / "my.toml").write_text(f'{text}[store]\nkind = "postgres"\npool_max = 9\n')
    monkeypatch.setenv("XNOVU_CONFIG", str(tmp_path / "my.toml"))
    assert settings.load().transport.prefix == "x"
    for table, kind in {"transport": "memory", "provider": "webhook", "store": "supabase"}.items():
        monkeypatch.setenv(f"XNOVU_{table.upper()}__KIND", kind)
    monkeypatch.setenv("XNOVU_PROVIDER__URL", "http://x/hook")
    loaded = settings.load()
    assert (loaded.transport.kind, loaded.provider.kind) == ("memory", "webhook")
    assert loaded.store.kind == "supabase"


def test_what_needs_streams_says_so_where_there_are_none(monkeypatch):
    monkeypatch.setenv("XNOVU_TRANSPORT__KIND", "memory")
    loaded = settings.load()
    with pytest.raises(ConfigurationError, match=r'transport\.kind is "memory"'):
        nats_url(loaded)
    assert peers_of(loaded, transport_of(loaded)) is None


def test_a_webhook_has_a_secret(monkeypatch):
    loaded = chosen(monkeypatch, kind="webhook", url="http://x/hook")
    with pytest.raises(ConfigurationError, match=WEBHOOK_SECRET):
        provider_of(loaded)
