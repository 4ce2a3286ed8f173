"""The pipeline without a broker, on the real database: one process has all the stages."""

import asyncio
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.e2e.conftest import LONG, clean_environment, started, stop
from tests.integration.pipeline import ACME, GLOBEX, World, brokerless
from xnovu.adapters.memory.options import MemoryOptions
from xnovu.cli.run import BESIDE, PARTS
from xnovu.compose.secrets import DATABASE_URL, NOVU_KEY
from xnovu.compose.serve import serve
from xnovu.compose.settings import HealthOptions
from xnovu_local.novu import Fault
from xnovu_local.ports import free_port

__all__ = ["started"]

Start = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
async def here(migrated: str, monkeypatch: pytest.MonkeyPatch):
    async with brokerless(migrated, monkeypatch) as world:
        changes = {"transport": MemoryOptions(), "health": HealthOptions(enabled=False)}
        world.settings = world.settings.model_copy(update=changes)
        yield world


@pytest.fixture
def process(here: World, started, tmp_path: Path) -> Start:
    """Starts ``xnovu run all``, with settings as they come; tells where its health is."""

    def start(*more: str, **variables: str) -> tuple[subprocess.Popen[str], str]:
        port = free_port()
        environment = clean_environment(
            **{
                DATABASE_URL: here.database,
                NOVU_KEY: "local",
                "XNOVU_TRANSPORT__KIND": "memory",
                "XNOVU_PROVIDER__URL": here.settings.provider.url,
                "XNOVU_PROVIDER__TIMEOUT": "2",
                "XNOVU_PROVIDER__SETTLE": "2",
                "XNOVU_STAGES__TRIGGER__TIMEOUT": "5",
                "XNOVU_INGEST__LEASE": "6",
                **variables,
            }
        )
        command = (sys.executable, "-m", "xnovu", "run", *(more or ("all",)), "--port", str(port))
        running = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return started(running), f"http://127.0.0.1:{port}"

    return start


def statuses(here: World) -> dict[str, int]:
    query = "SELECT notification_status, count(*) FROM notify.ent_notification GROUP BY 1"
    return {row["notification_status"]: row["count"] for row in here.execute(query)}


async def asked(page: str) -> str:
    """In a thread: the local Novu lives in this loop."""
    return await asyncio.to_thread(_asked, page)


def _asked(page: str) -> str:
    try:
        with urllib.request.urlopen(page, timeout=5) as answer:
            return answer.read().decode()
    except (urllib.error.URLError, OSError):
        return ""


async def stopped(process: subprocess.Popen[str]) -> str:
    return await asyncio.to_thread(stop, process)


async def is_ready(health: str) -> bool:
    return '"status":"ok"' in await asked(f"{health}/readyz")


async def test_rows_end_and_consumers_hear_of_it(here: World):
    """Retries have their backoff, and what is given up ends its row, as with a broker."""
    here.novu.faults.script(Fault("503", count=2))
    sent, failed = here.insert(ACME), here.insert(GLOBEX, recipients=[])
    app = serve(*PARTS.values(), BESIDE["analytics"], settings=here.settings)
    await app.start()
    try:
        assert (await here.ended(sent))["notification_status"] == "SENT"
        row = await here.ended(failed)
        assert row["error_details"]["code"] == "recipients_invalid"
    finally:
        await app.stop()


@pytest.mark.parametrize("names", [["trigger"], ["ingest", "hydrate", "trigger", "status"]])
def test_less_than_the_whole_is_refused(here: World, names: list[str]):
    """Nobody else would ever get what these publish."""
    with pytest.raises(SystemExit, match=r"here is no .*retract: xnovu run all"):
        serve(*(PARTS[name] for name in names), settings=here.settings)


async def test_health_and_metrics_are_those_of_every_process(here: World, process: Start):
    here.insert(ACME)
    running, health = process()
    await eventually(lambda: is_ready(health), within=LONG)
    await eventually(lambda: statuses(here) == {"SENT": 1}, within=LONG)
    checks = json.loads(await asked(f"{health}/readyz"))["checks"]
    assert checks["broker"] == checks["database"] == "ok"
    done = 'xnovu_messages_total{code="",outcome="done",stage="trigger"} 1.0'
    assert done in await asked(f"{health}/metrics")
    assert "Traceback" not in await stopped(running)


async def test_processes_share_the_work_and_one_that_is_killed_loses_nothing(
    here: World, process: Start
):
    """The claims of the dead lapse, and the other one has them; nobody is notified twice."""
    first, health = process()
    second, other = process()
    for page in (health, other):
        await eventually(lambda page=page: is_ready(page), within=LONG)
    for _ in range(10):
        for _ in range(30):
            here.insert(ACME)
    await eventually(lambda: statuses(here).get("SENT", 0) >= 20, within=LONG)
    first.send_signal(signal.SIGKILL)
    for _ in range(50):
        here.insert(GLOBEX)
    await eventually(lambda: statuses(here) == {"SENT": 350}, within=LONG)
    assert here.novu.ledger.doubled() == []
    await stopped(second)


async def test_who_stops_gives_back_what_only_waits(here: World, process: Start):
    """Held back by its provider, it ends promptly, and its rows are due again at once."""
    here.novu.faults.script(*[Fault("503", endpoint=e, count=None) for e in ("trigger", "bulk")])
    running, _ = process(XNOVU_INGEST__LEASE="300")
    ids = [here.insert(ACME) for _ in range(20)]
    await eventually(lambda: statuses(here) == {"PROCESSING": 20}, within=LONG)
    await stopped(running)
    query = "SELECT count(*) FROM notify.ent_notification WHERE claimed_until <= now()"
    assert here.execute(query)[0]["count"] == len(ids)


@pytest.fixture(autouse=True)
def nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No broker: nobody may ask for one."""
    monkeypatch.delenv("XNOVU_NATS_URL", raising=False)
    yield
