"""The image and the services, as far as they can be checked without an engine that runs them."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from xnovu.cli.run import PARTS
from xnovu.compose.settings import Settings

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


def test_what_is_mounted_from_here_is_here():
    for service in SERVICES.values():
        for mount in service.get("volumes", ()):
            if mount.startswith("."):
                assert (ROOT / mount.split(":")[0]).is_file()


def test_no_secret_has_a_value_in_the_file():
    assert SERVICES["trigger"]["environment"]["XNOVU_NOVU_KEY"].startswith("${XNOVU_NOVU_KEY:?")


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
