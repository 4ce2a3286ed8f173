"""The embedded NATS: it starts, stops, is killed and frozen, and comes back with its streams."""

import sys
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest

from tests.conftest import eventually
from tests.unit.local.supervisor import reachable, supervisor
from xnovu_local import folder
from xnovu_local.errors import LocalServerError
from xnovu_local.nats import EmbeddedNats, healthy, nats_binary


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedNats]:
    with EmbeddedNats(tmp_path / "nats", settings={"sync_interval": "always"}) as server:
        yield server


def monitor_port(server: EmbeddedNats) -> int:
    return int(server.monitor_url.rpartition(":")[2])


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "PATIENCE", 0.1)


async def test_starts_with_jetstream_and_room_for_large_messages(server: EmbeddedNats) -> None:
    async with await nats.connect(server.url) as client:
        assert client.max_payload == 8 * 1024 * 1024
        assert (await client.jetstream().account_info()).streams == 0


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_comes_back_on_the_same_port_with_its_messages(
    server: EmbeddedNats, end: str
) -> None:
    async with await nats.connect(server.url) as client:
        stream = client.jetstream()
        await stream.add_stream(name="kept", subjects=["kept"])
        await stream.publish("kept", b"hello")
    url = server.url
    getattr(server, end)()
    assert not healthy(monitor_port(server))
    server.start()
    assert server.url == url
    async with await nats.connect(server.url) as client:
        assert (await client.jetstream().get_msg("kept", 1)).data == b"hello"


def test_a_later_server_of_the_folder_takes_the_same_port(tmp_path: Path) -> None:
    with EmbeddedNats(tmp_path) as first:
        url = first.url
    with EmbeddedNats(tmp_path) as second:
        assert second.url == url


def test_pause_freezes_and_resume_lets_go_on(server: EmbeddedNats) -> None:
    server.pause()
    assert server.running
    assert not healthy(monitor_port(server))
    server.resume()
    assert healthy(monitor_port(server))


def test_stops_even_while_paused(server: EmbeddedNats) -> None:
    server.pause()
    server.stop()
    assert not server.running


def test_a_second_server_in_the_folder_is_refused(server: EmbeddedNats, tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match=r"already runs in .* give this one another folder"):
        EmbeddedNats(tmp_path / "nats").start()
    assert healthy(monitor_port(server))


def test_a_wrong_setting_shows_the_end_of_the_log(tmp_path: Path) -> None:
    server = EmbeddedNats(tmp_path, settings={"max_payload": "'many'"})
    with pytest.raises(LocalServerError, match=r"did not start(.|\n)*nats\.conf"):
        server.start()
    assert not server.running


def test_no_address_before_the_first_start(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match="start it first"):
        _ = EmbeddedNats(tmp_path).url


def test_the_environment_may_name_another_binary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = nats_binary()
    (tmp_path / "other").symlink_to(packaged)
    monkeypatch.setenv("XNOVU_NATS_BIN", str(tmp_path / "other"))
    assert nats_binary() == tmp_path / "other"


def test_a_missing_binary_names_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XNOVU_NATS_BIN", str(tmp_path / "none"))
    with pytest.raises(LocalServerError, match="pip install xnovu-local"):
        EmbeddedNats(tmp_path).start()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux ties a child's life to its parent's")
async def test_dies_with_its_parent(tmp_path: Path) -> None:
    with supervisor("nats", tmp_path) as (parent, url):
        assert reachable(url)
        parent.kill()
    await eventually(lambda: not reachable(url))
    with EmbeddedNats(tmp_path) as successor:
        assert successor.url == url
