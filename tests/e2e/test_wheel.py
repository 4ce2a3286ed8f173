"""A project outside the repository, on the wheel alone. Building needs the index: for hatchling."""

import os
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from zipfile import ZipFile

import psycopg
from psycopg.types.json import Jsonb

from tests.conftest import eventually
from tests.e2e.conftest import ROOT, Shell, stop
from tests.webhook_receiver import SECRET, receiving
from xnovu.compose.secrets import DATABASE_URL, NATS_URL, WEBHOOK_SECRET
from xnovu_local.nats import EmbeddedNats

SETTINGS = """
[transport]
prefix = "shop"
[provider]
kind = "webhook"
url = "{url}/hook"
[pipeline]
between = ["enrich"]
[health]
enabled = false
"""
SHOP = '''
"""A stage and a consumer, and an app of these with all the others."""

from pathlib import Path

from xnovu import Notification, StatusChanged, consumer, own_stage
from xnovu.compose.serve import serve
from xnovu.consuming.app import part_of
from xnovu.stages import hydrate, ingest, retract, status, trigger


@own_stage(name="enrich")
async def enrich(notification: Notification) -> Notification:
    payload = {**notification.payload, "product": "a kettle"}
    return notification.model_copy(update={"payload": payload})


@consumer(StatusChanged, name="greeter", start="all")
async def greet(event: StatusChanged) -> None:
    Path("told").write_text(f"{event.notification_id} {event.status}")


stages = (ingest, hydrate, trigger, status, retract)
app = serve(*(stage.part for stage in stages), part_of(enrich), part_of(greet))
'''
WORKFLOW = """
INSERT INTO notify.ent_notification_workflow (workflow_key, enterprise_id)
VALUES ('welcome', '11111111-1111-4111-8111-111111111111')
"""
ROW = """
INSERT INTO notify.ent_notification (enterprise_id, notification_workflow_id, recipients, payload)
VALUES ('11111111-1111-4111-8111-111111111111', 'welcome', ARRAY[gen_random_uuid()], %s)
RETURNING id
"""
STATUS = "SELECT notification_status::text FROM notify.ent_notification WHERE id = %s"


async def test_a_project_outside_the_repository(
    tmp_path: Path, migrated: str, nats_server: EmbeddedNats, started
):
    wheels = tmp_path / "wheels"
    assert contents(built(ROOT / "local", wheels)) == "xnovu_local"
    wheel = built(ROOT, wheels)
    assert contents(wheel) == "xnovu"
    folder = tmp_path / "shop"
    folder.mkdir()
    python = installed(wheel, tmp_path / "venv")
    (folder / "shop.py").write_text(SHOP)
    async with receiving() as receiver:
        (folder / "xnovu.toml").write_text(SETTINGS.format(url=receiver.url))
        shell = Shell(folder, environment(migrated, nats_server))
        process = started(shell.start(str(python), "-m", "faststream", "run", "shop:app"))
        with psycopg.connect(migrated, autocommit=True) as database:
            database.execute(WORKFLOW)
            row = database.execute(ROW, [Jsonb({"order": 7})]).fetchone()[0]
            await eventually(
                lambda: (
                    process.poll() is not None
                    or database.execute(STATUS, [row]).fetchone() == ("SENT",)
                ),
                within=60,
            )
        told = folder / "told"
        await eventually(lambda: process.poll() is not None or told.exists(), within=30)
        stop(process)
        assert told.read_text() == f"{row} SENT"
        assert [call["payload"] for call in receiver.taken.values()] == [
            {"order": 7, "product": "a kettle"}
        ]


def built(project: Path, folder: Path) -> Path:
    run("pip", "wheel", "--no-deps", "--wheel-dir", str(folder), str(project))
    named = tomllib.loads((project / "pyproject.toml").read_text())["project"]["name"]
    [wheel] = folder.glob(f"{named.replace('-', '_')}-[0-9]*.whl")
    return wheel


def contents(wheel: Path) -> str:
    """The packages in it."""
    with ZipFile(wheel) as file:
        folders = {name.partition("/")[0] for name in file.namelist()}
    return " ".join(sorted(each for each in folders if not each.endswith(".dist-info")))


def installed(wheel: Path, venv: Path) -> Path:
    """Python with this wheel and what others have made, and nothing else of ours."""
    python = venv / "bin" / "python"
    run("venv", "--without-pip", str(venv))
    run("pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    [packages] = venv.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    return python


def environment(database: str, nats: EmbeddedNats) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    ours = {DATABASE_URL: database, NATS_URL: nats.url, WEBHOOK_SECRET: SECRET}
    return {**kept, **ours, "XNOVU_CONFIG": "xnovu.toml"}


def run(module: str, *arguments: str) -> None:
    """As `./run` installs: what that finds, this finds."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
