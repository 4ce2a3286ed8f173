"""The image and the services, as far as they can be checked without an engine that runs them."""

import asyncio
import json
import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import nats
import pytest
import yaml

from tests.conftest import eventually
from xnovu.cli.run import PARTS
from xnovu.compose.settings import Settings
from xnovu_local.nats import nats_binary

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
LONG_RUNNING = [name for name in SERVICES if name != "setup"]


@pytest.mark.parametrize("stage", PARTS)
def test_every_stage_is_a_service_that_can_be_scaled(stage):
    service = SERVICES[stage]
    assert service["command"] == ["run", stage]
    assert not {"container_name", "ports"} & service.keys()
    assert service["depends_on"]["setup"]["condition"] == "service_completed_successfully"


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_every_service_is_watched_and_comes_back(name):
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("stage", PARTS)
def test_a_stage_has_time_to_finish_what_it_has_in_hand(stage):
    grace = int(SERVICES[stage]["stop_grace_period"].removesuffix("s"))
    assert grace > Settings().transport.stop_timeout


def test_a_service_depends_on_services_there_are():
    for service in SERVICES.values():
        assert set(service.get("depends_on", ())) <= SERVICES.keys()
    assert {v.split(":")[0] for v in named_volumes()} == set(COMPOSE["volumes"])


def named_volumes():
    mounts = (mount for service in SERVICES.values() for mount in service.get("volumes", ()))
    return [mount for mount in mounts if not mount.startswith(".")]


@pytest.mark.parametrize("name", SERVICES)
def test_who_breaks_into_a_container_finds_nothing_to_use(name):
    """No file system to write, no capability and no way to one, bounds on memory and processes."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert bytes_of(service["mem_limit"])
    assert 0 < service["pids_limit"] <= 512
    assert not {"privileged", "network_mode", "pid", "ipc", "devices"} & service.keys()
    assert all("docker.sock" not in mount for mount in service.get("volumes", ()))
    assert service["logging"]["options"]["max-size"]


def bytes_of(text: str) -> int:
    return int(text[:-1]) * {"m": 2**20, "g": 2**30}[text[-1]]


@pytest.mark.parametrize("name", ["hydrate", "supabase"])
def test_checks_of_payloads_have_the_memory_they_may_take(name):
    rows = Settings().rows
    needed = rows.checkers * rows.check_memory + bytes_of("512m")
    assert bytes_of(SERVICES[name]["mem_limit"]) >= needed


@pytest.mark.parametrize("name", [*PARTS, "supabase"])
def test_a_refused_key_restarts_nothing(name):
    """Where Novu refuses the key, /readyz complains for as long as it does; /healthz does not."""
    asked = " ".join(SERVICES[name]["healthcheck"]["test"])
    assert "/healthz" in asked
    assert "/readyz" not in asked


@pytest.mark.parametrize("name", SERVICES)
def test_who_need_not_know_a_secret_is_not_given_it(name):
    given = {secret_name(each) for each in SERVICES[name].get("secrets", ())}
    assert given <= COMPOSE["secrets"].keys()
    assert ("novu_key" in given) == (name in ("trigger", "retract", "supabase"))
    assert ("outside" in SERVICES[name]["networks"]) == (
        name in ("trigger", "retract", "supabase", "novu")
    )
    files = [v for v in SERVICES[name].get("environment", {}).values() if "/run/secrets/" in v]
    assert {file.rpartition("/")[2] for file in files} <= given


def secret_name(given: object) -> str:
    return given["source"] if isinstance(given, dict) else str(given)


def test_the_database_and_the_broker_are_in_a_network_of_their_own():
    assert COMPOSE["networks"]["data"]["internal"]
    for name in ("postgres", "nats"):
        assert SERVICES[name]["networks"] == ["data"]
        assert "ports" not in SERVICES[name]


def test_metrics_can_be_reached_from_one_network():
    assert all("metrics" in SERVICES[name]["networks"] for name in PARTS)


def test_images_can_be_pinned_by_digest():
    """No registry is asked here, so none is known: each is an argument."""
    built = {"build": SERVICES["ingest"]["build"]["args"]["PYTHON_IMAGE"]}
    images = {name: SERVICES[name]["image"] for name in ("postgres", "nats")}
    for image in (built | images).values():
        assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[\w./-]+:[\w.-]+\}", image)
    assert dockerfile().count("FROM ${PYTHON_IMAGE}") == dockerfile().count("FROM ")


def test_secrets_are_made_once_and_kept(tmp_path):
    """A folder of its owner's alone; passwords at random; what is there stays."""
    script = tmp_path / "configs" / "secrets.sh"
    script.parent.mkdir()
    shutil.copy(ROOT / "configs" / "secrets.sh", script)
    made = [secrets_made(script, key) for key in ("one", "two")]
    assert made[0] == made[1]
    folder = tmp_path / "secrets"
    assert folder.stat().st_mode & 0o777 == 0o700
    files = {Path(each["file"]).name for each in COMPOSE["secrets"].values()}
    assert files == made[0].keys() - {"nats_password"}
    assert made[0]["novu_key"] == "one"
    assert made[0]["postgres_password"] in made[0]["database_url"]
    assert made[0]["nats_password"] in made[0]["nats_url"]


def secrets_made(script: Path, key: str) -> dict[str, str]:
    environment = {"PATH": "/usr/bin:/bin", "XNOVU_NOVU_KEY": key, "XNOVU_SUPABASE_KEY": "s"}
    subprocess.run(["sh", script], env=environment, check=True)
    folder = script.parent.parent / "secrets"
    return {file.name: file.read_text().strip() for file in folder.iterdir()}


async def test_the_broker_lets_nobody_in_without_the_password(tmp_path):
    """Its configuration as compose mounts it, on a real server."""
    configs = tmp_path / "configs"
    configs.mkdir()
    shutil.copy(ROOT / "configs" / "secrets.sh", configs)
    made = secrets_made(configs / "secrets.sh", "key")
    (tmp_path / "auth.conf").write_text(made["nats_auth.conf"])
    text = (ROOT / "configs" / "nats.conf").read_text()
    text = text.replace("/data", str(tmp_path / "data")).replace("127.0.0.1:8222", '"127.0.0.1:-1"')
    (tmp_path / "nats.conf").write_text(text)
    command = [nats_binary(), "-c", tmp_path / "nats.conf", "-a", "127.0.0.1", "-p", "-1"]
    command += ["--ports_file_dir", tmp_path]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:  # noqa: ASYNC220
        try:
            port = await eventually(lambda: listening_on(tmp_path))
            await asyncio.to_thread(said_without_a_password, port)
            let_in = await nats.connect(made["nats_url"].replace("nats:4222", f"127.0.0.1:{port}"))
            await let_in.close()
        finally:
            server.kill()


def listening_on(folder: Path) -> str | None:
    found = next(folder.glob("*.ports"), None)
    urls = json.loads(found.read_text() or "{}").get("nats", ()) if found else ()
    return urls[0].rpartition(":")[2] if urls else None


def said_without_a_password(port: str) -> None:
    with socket.create_connection(("127.0.0.1", int(port)), timeout=10) as client:
        client.sendall(b"CONNECT {}\r\nPING\r\n")
        with client.makefile() as said:
            assert "'Authorization Violation'" in said.read()


def test_what_is_mounted_from_here_is_here():
    for service in SERVICES.values():
        for mount in service.get("volumes", ()):
            if mount.startswith("."):
                assert (ROOT / mount.split(":")[0]).is_file()


def test_no_secret_is_in_the_file_or_in_an_environment():
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert (
                name.endswith("_FILE")
                or not re.search("PASSWORD|KEY|_URL$", name)
                or (name == "XNOVU_PROVIDER__URL")
            ), value
    assert all(each["file"].startswith("./secrets/") for each in COMPOSE["secrets"].values())
    assert "secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_variables_are_those_the_settings_know(monkeypatch):
    from xnovu.compose import settings

    for name in SERVICES["trigger"]["environment"]:
        monkeypatch.setenv(name, "http://novu:8025")
    for name, value in re.findall(r"(XNOVU_\w+)=(\S+)", dockerfile()):
        monkeypatch.setenv(name, value)
    loaded = settings.load()
    assert loaded.health.host == "0.0.0.0"
    assert loaded.provider.url == "http://novu:8025"


def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text()


def test_the_image_copies_what_there_is_and_what_is_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for line in dockerfile().splitlines():
        if line.startswith("COPY") and "--from" not in line:
            source = shlex.split(line)[1]
            assert (ROOT / source).exists()
            assert f"!{source}" in ignored


def test_the_image_stops_as_a_stage_wants_to_be_stopped():
    assert "STOPSIGNAL SIGTERM" in dockerfile()
    assert "USER xnovu" in dockerfile()


def test_compose_itself_understands_the_file():
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not on this machine")
    environment = {"XNOVU_NOVU_KEY": "x", "PATH": "/usr/bin:/bin"}
    command = [docker, "compose", "--profile", "local-novu", "config", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
