"""Who does the work: XNovu's stages in processes of their own, the limit program, and peers."""

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import psycopg

from bench.chaos.fleet import Fleet
from bench.speed import limit
from bench.speed.ground import Ground
from bench.speed.processes import with_children

CONFIG = Path(__file__).parents[2] / "configs" / "xnovu.toml"
STAGES = (("ingest",), ("hydrate",), ("trigger",), ("status",))
PEERS = {"PgQueuer": "pgqueuer", "taskiq": "taskiq", "Procrastinate": "procrastinate"}
WORKERS = {"celery": 1, "taskiq": 1}
"""Worker processes of a peer, where they are not two; these have children."""


class Contender(Protocol):
    """Starts workers on a database of its own."""

    dsn: str

    async def start(self) -> None:
        """The workers."""
        ...

    async def inserted(self, rows: Sequence[int]) -> None:
        """Make jobs of these rows, where a row alone does not do."""
        ...

    def stop(self) -> None: ...

    def processes(self) -> Sequence[int]: ...


class XNovu:
    """The four stages, with the settings as they are shipped."""

    def __init__(
        self,
        ground: Ground,
        stages: Sequence[Sequence[str]] = STAGES,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.dsn, prefix = ground.database()
        environment = {
            "XNOVU_CONFIG": str(CONFIG),
            "XNOVU_TRANSPORT__PREFIX": prefix,
            "XNOVU_DATABASE_URL": self.dsn,
            "XNOVU_NATS_URL": ground.nats.url,
            "XNOVU_PROVIDER__URL": ground.url,
            "XNOVU_NOVU_KEY": "local",
            "XNOVU_HEALTH__ENABLED": "false",
        }
        log = ground.folder / f"{prefix}.log"
        self._fleet = Fleet(stages, environment | dict(settings or {}), log)

    async def start(self) -> None:
        await asyncio.to_thread(self._fleet.provision)
        self._fleet.start()
        await self._fleet.started()

    async def inserted(self, rows: Sequence[int]) -> None:
        """Nothing: to insert a row is all there is to do."""

    def stop(self) -> None:
        self._fleet.stop()

    def processes(self) -> Sequence[int]:
        return self._fleet.processes


class Limit:
    """The limit program, on a table that has no more than it needs."""

    def __init__(self, ground: Ground) -> None:
        self.dsn = lean(ground)
        self._environment = {**os.environ, "BENCH_DSN": self.dsn, "BENCH_NOVU": ground.url}
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        command = [sys.executable, "-m", "bench.speed.limit"]
        self._process = subprocess.Popen(command, env=self._environment)
        while not self._works():
            if self._process.poll() is not None:
                raise RuntimeError("the limit program cannot start")
            time.sleep(0.05)

    async def inserted(self, rows: Sequence[int]) -> None:
        """Nothing, likewise."""

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    def processes(self) -> Sequence[int]:
        return [self._process.pid] if self._process else []

    def _works(self) -> bool:
        with psycopg.connect(self.dsn) as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            found = connection.execute(query).fetchone()
        return bool(found and found[0] > limit.AT_ONCE)


class Peer:
    """Another's job queue: a process that makes jobs, and those that do them."""

    def __init__(self, ground: Ground, module: str) -> None:
        self.dsn, self._module = lean(ground), module
        self._environment = os.environ | {
            "BENCH_DSN": self.dsn,
            "BENCH_NOVU": ground.url,
            "BENCH_NATS": ground.nats.url,
            "BENCH_NAME": self.dsn.rpartition("/")[2],
        }
        self._log = ground.folder / f"{module}.log"
        self._producer: subprocess.Popen[bytes] | None = None
        self._workers: list[subprocess.Popen[bytes]] = []

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._producer = self._started("producer", log.fileno())
            await asyncio.to_thread(self._answered)
            for _ in range(WORKERS.get(self._module, 2)):
                self._workers.append(self._started("worker", log.fileno()))

    def _started(self, what: str, log: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"bench.speed.peers.{self._module}", what]
        ends = subprocess.PIPE if what == "producer" else log
        return subprocess.Popen(
            command, env=self._environment, stdin=subprocess.PIPE, stdout=ends, stderr=log
        )

    async def inserted(self, rows: Sequence[int]) -> None:
        await asyncio.to_thread(self._make, rows)

    def _make(self, rows: Sequence[int]) -> None:
        assert self._producer and self._producer.stdin
        self._producer.stdin.write(json.dumps(list(rows)).encode() + b"\n")
        self._producer.stdin.flush()
        self._answered()

    def _answered(self) -> None:
        assert self._producer and self._producer.stdout
        if not self._producer.stdout.readline():
            raise RuntimeError(f"{self._module} cannot start: {self._log.read_text()[-2000:]}")

    def stop(self) -> None:
        for pid in (*self.processes(), *([self._producer.pid] if self._producer else ())):
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
        for process in (*self._workers, self._producer):
            if process:
                process.wait()

    def processes(self) -> Sequence[int]:
        return with_children([worker.pid for worker in self._workers])


def lean(ground: Ground) -> str:
    """A database whose table has no more than such programs need."""
    dsn, _ = ground.database()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(limit.LEAN)
        connection.execute(limit.INDEX)
    return dsn


def peers() -> Mapping[str, str]:
    """Those that are installed, by the names they call themselves."""
    known = {**PEERS, "Celery": "celery"}
    return {name: module for name, module in known.items() if importlib.util.find_spec(module)}
