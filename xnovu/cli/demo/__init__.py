"""The main job, shown: thousands of rows of several enterprises, and what became of each."""

import signal
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import psycopg

from xnovu.cli.console import out
from xnovu.cli.demo.novu import register
from xnovu.cli.demo.scenario import Scenario
from xnovu.cli.demo.verdict import judge
from xnovu.cli.demo.watch import watch
from xnovu.cli.dev import prepare
from xnovu.cli.stack import Stack
from xnovu.compose.secrets import DATABASE_URL

FAST = {"fsync": "off"}
"""Nobody needs the demo's data after a power cut."""


def show(rows: int, *, plain: bool) -> int:
    """Run it all in a folder that is removed afterwards; the exit code is 0 if all went right."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the folder and the servers go, too
        signal.signal(number, _end)
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="xnovu-demo-") as folder,
        Stack(Path(folder), postgres_settings=FAST) as stack,
    ):
        out.print(f"transport: {stack.transport}")
        servers = "Postgres, NATS" if stack.nats else "Postgres"
        out.print(f"starting {servers} and a local Novu …")
        stack.start_servers()
        prepare(stack)
        register(stack.novu_url)
        out.print("starting the stages: ingest → hydrate → trigger → status …")
        stack.start_stages()
        out.print(
            f"ready after {time.monotonic() - began:.1f} s; what each person would receive:"
            f" {stack.novu_url}\n"
        )
        return _run(stack, rows, plain=plain)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _run(stack: Stack, rows: int, *, plain: bool) -> int:
    scenario = Scenario(rows)
    environment: Mapping[str, str] = stack.environment()
    with psycopg.connect(environment[DATABASE_URL], autocommit=True) as database:
        scenario.register(database)
        watch(database, scenario, plain=plain)
        right = judge(database, scenario, stack.novu_url)
    if not right:
        out.print(f"\nthe end of the stages' log:\n{stack.log.read_text()[-4000:]}")
    return 0 if right else 1
