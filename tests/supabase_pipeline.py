"""The whole of XNovu in this process, on a local Supabase: a platform's rows, and all stages."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.pipeline import World, world
from tests.platform_table import Platform
from tests.realtime_fixtures import QUICK, Listening
from xnovu.adapters.supabase.options import SupabaseOptions
from xnovu.adapters.supabase.realtime import RealtimeWakeUps
from xnovu.adapters.supabase.realtime_session import Patience
from xnovu.adapters.table import TableSource
from xnovu.cli.run import PARTS
from xnovu.compose.broker import nats_transport
from xnovu.compose.house import House
from xnovu.compose.kit import Kit
from xnovu.compose.secrets import DATABASE_URL, SUPABASE_KEY, SUPABASE_URL
from xnovu.compose.settings import Stages, WakeUpOptions
from xnovu.connection import Connection
from xnovu.ports import WakeUps
from xnovu_local.nats import EmbeddedNats
from xnovu_local.supabase import Keys, RunningSupabase, running_supabase
from xnovu_local.supabase.realtime import LocalRealtime, RealtimeOptions, local_realtime

STAGES = {stage: {"backoff": 0.05, "pause_max": 0.2} for stage in Stages.model_fields}
"""What is held is tried again within 0.2 s; by default it is a second for ingest, else 15."""

CALL = 5.0
"""Seconds that a call to the REST API may take; 15 by default."""

FAST = RealtimeOptions(poll=0.0, resubscribe_delay=0.01, join_error_delay=0.01)


class Overheard(Listening):
    """The wake-ups of a pipeline, and all that they have said."""

    @property
    def connection(self) -> Connection:
        return self.now

    async def start(self, wake: Callable[[], None]) -> None:
        self.ear.others.append(wake)
        await self.wakeups.start(self.ear)

    def missed(self, rows: int) -> None:
        self.wakeups.missed(rows)

    async def stop(self) -> None:
        await self.wakeups.stop()


@dataclass(slots=True)
class OverheardKit(Kit):
    """What the settings give; the wake-ups are overheard and have a patience of their own."""

    patience: Patience = field(default_factory=Patience)
    told: Overheard | None = None

    def wakeups(self) -> WakeUps | None:
        given = Kit.wakeups(self)
        assert isinstance(given, RealtimeWakeUps)
        given._patience = self.patience
        self.told = Overheard(given)
        return self.told


@asynccontextmanager
async def stages_at_work(kit: Kit) -> AsyncIterator[House]:
    """All of them, started and stopped as the command does it."""
    transport = nats_transport(kit.settings)
    house = House(tuple(PARTS.values()), kit, transport)
    await house.open()
    await transport.start()
    await house.begin()
    try:
        yield house
    finally:
        await house.finish()
        await transport.stop()
        await house.close()


def paused(house: House) -> set[str]:
    """Why stages wait just now."""
    return {labels["code"] for labels, value in _samples(house, "xnovu_paused") if value}


def ever_paused(house: House) -> set[str]:
    """Why stages have waited, be it for a moment."""
    return {labels["code"] for labels, _ in _samples(house, "xnovu_holds_total")}


def _samples(house: House, name: str) -> Sequence[tuple[Mapping[str, str], float]]:
    """As the health server shows them."""
    _, text = house.metrics.render()
    families = text_string_to_metric_families(text.decode())
    samples = [sample for family in families for sample in family.samples]
    return [(sample.labels, sample.value) for sample in samples if sample.name == name]


@dataclass(slots=True)
class AtWork:
    """All stages, and what they say of themselves."""

    house: House
    told: Overheard

    @property
    def table(self) -> TableSource:
        assert self.house.table
        return self.house.table

    @property
    def status(self) -> dict[str, Any]:
        """Of the wake-ups, as the health server shows it."""
        return self.house.status()["wakeups"]


@dataclass(slots=True)
class Installation(Platform):
    """A project, a broker and a Novu; the stages know the project's URL, and its key by a file."""

    around: World
    supabase: RunningSupabase
    realtime: LocalRealtime
    key_file: Path

    def listen_for(self, enterprises: Sequence[UUID]) -> None:
        """From the next start on there is a channel for each of these."""
        wakeups = WakeUpOptions(enterprises=frozenset(map(str, enterprises)))
        self.around.settings = self.around.settings.model_copy(update={"wakeups": wakeups})

    @asynccontextmanager
    async def at_work(self, **patience: float) -> AsyncIterator[AtWork]:
        """All stages, connected to everything."""
        wanted = replace(QUICK, **patience)
        kit = OverheardKit(self.around.settings, "all", patience=wanted)
        async with stages_at_work(kit) as house:
            assert kit.told
            await kit.told.connected()
            yield AtWork(house, kit.told)


@asynccontextmanager
async def installation(
    project: str, nats_server: EmbeddedNats, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> AsyncIterator[Installation]:
    """With one enterprise that has its workflow; no stage is at work."""
    served: list[LocalRealtime] = []

    @asynccontextmanager
    async def realtime(dsn: str, keys: Keys) -> AsyncIterator[LocalRealtime]:
        async with local_realtime(dsn, keys, FAST) as running:
            served.append(running)
            yield running

    options = {"stages": STAGES, "store": SupabaseOptions(timeout=CALL)}
    with psycopg.connect(project, autocommit=True) as database:
        async with (
            running_supabase(project, realtime=realtime) as supabase,
            world(project, nats_server, monkeypatch, **options) as around,
        ):
            key_file = folder / "supabase-key"
            key_file.write_text(supabase.keys.secret)
            monkeypatch.delenv(DATABASE_URL)
            monkeypatch.setenv(SUPABASE_URL, supabase.url)
            monkeypatch.setenv(f"{SUPABASE_KEY}_FILE", str(key_file))
            around.register()
            yield Installation(database, around.novu, around, supabase, served[0], key_file)


@pytest.fixture
async def here(
    project: str,
    postgrest_program: Path,
    nats_server: EmbeddedNats,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> AsyncIterator[Installation]:
    async with installation(project, nats_server, monkeypatch, tmp_path) as here:
        yield here
