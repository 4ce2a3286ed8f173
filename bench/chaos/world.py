"""One installation for one run: servers, wires to them, a Novu, a database of its own."""

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.chaos.fleet import Fleet
from bench.chaos.proxy import Wire
from xnovu.adapters.postgres.migrations import migrate
from xnovu_local.nats import EmbeddedNats
from xnovu_local.novu import LocalNovu, LocalNovuOptions, running_novu
from xnovu_local.postgres import EmbeddedPostgres

QUICK = Path(__file__).with_name("quick.toml")
KIND = "XNOVU_TRANSPORT__KIND"


def transport() -> str:
    """On which one the stages are, by the word that chooses it for them, too."""
    return os.environ.get(KIND, "nats")


def _of_transport(prefix: str) -> dict[str, str]:
    """Its settings; those of the file are NATS'."""
    match transport():
        case "nats":
            return {"XNOVU_TRANSPORT__PREFIX": prefix}
        case "postgres":
            return {"XNOVU_TRANSPORT__LEASE": "4"}
        case _:
            return {}


@dataclass(frozen=True, slots=True)
class Servers:
    """What the runs of one process share."""

    folder: Path
    postgres: EmbeddedPostgres
    nats: EmbeddedNats


@dataclass(frozen=True, slots=True)
class World:
    """What one run has."""

    servers: Servers
    dsn: str
    prefix: str
    novu: LocalNovu
    wires: Mapping[str, Wire]
    fleet: Fleet


@asynccontextmanager
async def servers() -> AsyncGenerator[Servers]:
    """Postgres and NATS, both killable: what they have confirmed is on disk or in the kernel."""
    with tempfile.TemporaryDirectory(prefix="xnovu-chaos-") as name:
        folder = Path(name)
        with (
            EmbeddedPostgres(folder / "postgres", settings={"fsync": "off"}) as postgres,
            EmbeddedNats(folder / "nats") as nats,
        ):
            yield Servers(folder, postgres, nats)


@asynccontextmanager
async def world(
    servers: Servers, prefix: str, processes: Sequence[Sequence[str]], config: Path = QUICK
) -> AsyncGenerator[World]:
    """A database, subjects and a Novu that no other run has; no stage runs yet."""
    dsn = await asyncio.to_thread(servers.postgres.create_database, prefix)
    await asyncio.to_thread(migrate, dsn)
    async with AsyncExitStack() as stack:
        options = LocalNovuOptions(fan_out_delay=0.1, dedupe_gap=0.05)
        running = await stack.enter_async_context(running_novu(options))
        targets = {"postgres": dsn, "nats": servers.nats.url, "novu": running.url}
        wires = {name: await _wire(stack, url) for name, url in targets.items()}
        through = {name: _through(url, wires[name]) for name, url in targets.items()}
        environment = {
            "XNOVU_CONFIG": str(config),
            **_of_transport(prefix),
            "XNOVU_DATABASE_URL": through["postgres"],
            "XNOVU_NATS_URL": through["nats"],
            "XNOVU_PROVIDER__URL": through["novu"],
            "XNOVU_NOVU_KEY": "local",
            "XNOVU_HEALTH__ENABLED": "false",
        }
        log = servers.folder / f"{prefix}.log"
        fleet = Fleet(processes, environment, log)
        stack.callback(fleet.stop)
        yield World(servers, dsn, prefix, running.novu, wires, fleet)


async def _wire(stack: AsyncExitStack, url: str) -> Wire:
    parts = urlsplit(url)
    wire = Wire(parts.hostname or "127.0.0.1", parts.port or 0)
    await wire.start()
    stack.push_async_callback(wire.stop)
    return wire


def _through(url: str, wire: Wire) -> str:
    parts = urlsplit(url)
    who = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return parts._replace(netloc=f"{who}127.0.0.1:{wire.port}").geturl()
