"""Keeps a whole XNovu running on this machine, for development."""

import asyncio
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from uuid import UUID, uuid5

import psycopg

from xnovu.adapters.postgres import migrations
from xnovu.cli.console import out
from xnovu.cli.setup import provisioned
from xnovu.cli.stack import Stack
from xnovu.compose.secrets import DATABASE_URL
from xnovu.compose.settings import load
from xnovu_local.supabase import RunningSupabase

EXAMPLE = UUID("0b5c6a52-6d55-4f0e-8d0c-9d4c6f0e7a11")
"""The enterprise, and the name space of the subscriber, that the printed example uses."""

WELCOME = """
INSERT INTO notify.ent_notification_workflow (workflow_key, enterprise_id, name)
SELECT 'welcome', %(enterprise)s, 'Welcome' WHERE NOT EXISTS (
    SELECT FROM notify.ent_notification_workflow
    WHERE workflow_key = 'welcome' AND enterprise_id = %(enterprise)s)
"""


def keep_running(folder: Path, *, supabase: bool = False) -> None:
    """Start everything, print where it is, and wait for SIGINT or SIGTERM."""
    told = threading.Event()

    def tell(number: int, frame: FrameType | None) -> None:
        told.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, tell)
    with Stack(folder.absolute(), supabase=supabase) as stack:
        out.print(f"transport: {stack.transport}")
        out.print(f"starting in {folder} …")
        stack.start_servers()
        prepare(stack)
        stack.start_stages()
        _print(stack, folder)
        told.wait()
        out.print("stopping …")


def prepare(stack: Stack) -> None:
    """Migrate the stack's database and provision its streams, in this process's settings."""
    stack.adopt()
    migrations.migrate(stack.environment()[DATABASE_URL])
    asyncio.run(provisioned(load()))


def _print(stack: Stack, folder: Path) -> None:
    environment = stack.environment()
    with psycopg.connect(environment[DATABASE_URL]) as database:
        database.execute(WELCOME, {"enterprise": EXAMPLE})
    file = folder / "environment"
    file.touch(mode=0o600)
    file.write_text(_exports(environment))
    if stack.supabase:
        _print_supabase(stack.supabase)
    out.print(
        f"Novu     {stack.novu_url}  what people would have received\n"
        f"health   {stack.health_url}/readyz  {stack.health_url}/metrics\n"
        f"logs     {stack.log}\n\n"
        "In another terminal:\n"
        f"  . {file}\n"
        f"  xnovu send -e {EXAMPLE} -w welcome -r {uuid5(EXAMPLE, 'someone')} --wait 10\n"
        '  psql "$XNOVU_DATABASE_URL"\n\n'
        "Ctrl-C stops everything; the data stays."
    )


def _print_supabase(supabase: RunningSupabase) -> None:
    """For client applications; a user of the example's enterprise, for an hour."""
    out.print(
        f"Supabase {supabase.url}\n"
        f"  anon   {supabase.anon_key}\n"
        f"  user   {supabase.keys.user_token(EXAMPLE)}\n"
    )


def _exports(environment: Mapping[str, str]) -> str:
    """For the shell: the variables, and the command `xnovu` itself."""
    lines = [f"export {name}='{value}'" for name, value in environment.items()]
    return "\n".join((*lines, f'export PATH="{Path(sys.executable).parent}:$PATH"', ""))
