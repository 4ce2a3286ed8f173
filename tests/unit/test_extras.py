"""What is installed on request is loaded only where it is needed, and named where it is missing."""

import subprocess
import sys

import pytest

from xnovu.extras import BROUGHT_BY

EMBEDDED = """
import asyncio
from xnovu import QueueConfig, SubscriptionManager
from xnovu.adapters.memory.provider import MemoryProvider
from xnovu.adapters.memory.store import MemoryStore
from xnovu.adapters.novu import NovuProvider, sdk
from xnovu.adapters.postgres.store import postgres_store
from xnovu.adapters.postgres.wakeups import NotifyWakeUps
from xnovu.events import Workflow

async def main():
    store, told = MemoryStore(enterprise_id="acme"), asyncio.Event()
    store.register(Workflow(workflow_key="welcome", enterprise_id="acme"))
    row = {"enterprise_id": "acme", "notification_workflow_id": "welcome", "recipients": ["ada"]}
    await store.insert([row])
    async with SubscriptionManager(
        "acme", queue=QueueConfig(), on_notification=lambda change: told.set(),
        store=store, provider=MemoryProvider(),
    ):
        await asyncio.wait_for(told.wait(), 30)

asyncio.run(main())
"""


def run(code: str, without: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Python where these packages are not installed."""
    hidden = f"import sys; sys.modules.update(dict.fromkeys({without!r}))\n"
    command = [sys.executable, "-c", hidden + code]
    return subprocess.run(command, cwd="/", capture_output=True, text=True)


def command(without: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    asked = f"sys.argv = {['xnovu', *arguments]!r}\nfrom xnovu.cli import main\nmain()"
    return run(asked, (without,))


def test_a_service_that_delivers_by_itself_loads_no_broker_and_no_supabase():
    heavy = {*BROUGHT_BY} - {"rich", "typer"}  # which a logger takes, and FastStream's command
    told = f"{EMBEDDED}\nimport sys; print({heavy!r} & sys.modules.keys() or 'none')"
    done = run(told)
    assert (done.stdout, done.returncode) == ("none\n", 0), done.stderr


def test_a_service_that_delivers_by_itself_needs_no_extra():
    done = run(EMBEDDED, tuple(BROUGHT_BY))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("missing", "arguments", "wanted"),
    [
        ("xnovu_local", ["demo"], "xnovu-local"),
        ("xnovu_local", ["dev"], "xnovu-local"),
        ("xnovu_local", ["novu"], "xnovu-local"),
        ("typer", ["show", "1"], "xnovu[cli]"),
        ("faststream", ["run", "all"], "xnovu[nats]"),
        ("nats", ["provision"], "xnovu[nats]"),
    ],
)
def test_a_command_says_what_is_missing_and_what_to_install(missing, arguments, wanted):
    done = command(missing, *arguments)
    said = f"xnovu: {missing} is not installed: pip install '{wanted}'\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_a_module_with_consumers_says_so_too():
    done = run("import xnovu; xnovu.app", ("faststream",))
    assert "faststream is not installed: pip install 'xnovu[nats]'" in done.stderr


def test_a_store_over_supabase_says_so_too():
    code = (
        "from xnovu.compose.kit import store_of\nfrom xnovu.compose.settings import Settings\n"
        "store_of(Settings(store={'kind': 'supabase'}), 'test')"
    )
    done = run(code, ("postgrest",))
    assert "postgrest is not installed: pip install 'xnovu[supabase]'" in done.stderr
