"""One installation for one case: a database, subjects and a Novu of its own, and its processes."""

import asyncio
import multiprocessing
import signal
import tomllib
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, takewhile
from pathlib import Path

import nats
import psycopg
from nats.aio.client import Client
from nats.js.api import ConsumerInfo, RawStreamMsg
from nats.js.errors import NotFoundError
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from tests.faults.sabotage import job, saboteur
from tests.faults.sabotage.job import Wave
from tests.faults.sabotage.saboteur import DONE, UNHEARD, Deed, Orders
from xnovu.adapters.nats.arrival import MESSAGE_ID
from xnovu.adapters.nats.topology import kinds_of, retries_of, stream_name
from xnovu.adapters.postgres.migrations import migrate
from xnovu.cli.run import PARTS
from xnovu.cli.setup import provisioned
from xnovu.compose.secrets import DATABASE_URL, NATS_URL, NOVU_KEY
from xnovu.compose.settings import Settings
from xnovu_local.nats import EmbeddedNats
from xnovu_local.novu import create_app
from xnovu_local.postgres import EmbeddedPostgres
from xnovu_local.serving import Served

QUICK = Path(__file__).with_name("quick.toml")
PRELOAD = [
    "tests.faults.sabotage.saboteur",
    "xnovu.cli.run",
    "xnovu.adapters.novu.sdk",
    "novu_py.messages",
    "novu_py.notifications",
    "httpcore",
    "anyio._backends._asyncio",
]
"""Whatever is loaded before processes are forked, none of them has to load."""
TOGETHER = "0.1"
"""Seconds in which rows meet in one batch, so that what happens first does not vary."""
TEMPLATE = "saboteur"
WAVE = "~"
"""The line of the diary that tells of the beginning of one."""
IN_HAND = """
SELECT id, format('%s:%s/%s/%s/%s',
    CASE notification_status WHEN 'RETRACTED' THEN 'retract' ELSE 'ingest' END,
    enterprise_id, id, generation, claims) AS message
FROM notify.ent_notification WHERE claimed_until > now()
"""
LAPSE = "UPDATE notify.ent_notification SET claimed_until = now() WHERE id = ANY(%s)"


@dataclass
class Ground:
    """What all cases share: the servers, and a database to be copied."""

    postgres: EmbeddedPostgres
    broker: EmbeddedNats
    client: Client
    folder: Path
    calls: dict[str, str]
    forks: multiprocessing.context.ForkServerContext
    numbers: Iterator[int] = field(default_factory=lambda: count(1))


@asynccontextmanager
async def prepared(
    postgres: EmbeddedPostgres, broker: EmbeddedNats, folder: Path
) -> AsyncIterator[Ground]:
    dsn = postgres.create_database(TEMPLATE)
    migrate(dsn)
    with psycopg.connect(dsn, autocommit=True) as database:
        # So that the calls of a row have the same names in each copy; by default it is random.
        database.execute("ALTER TABLE notify.ent_notification ALTER generation SET DEFAULT 0")
    calls = job.lay_out(dsn)
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(PRELOAD)
    client = await nats.connect(broker.url)
    try:
        yield Ground(postgres, broker, client, folder, calls, forks)
    finally:
        await client.close()
        _drop(postgres, TEMPLATE)


@asynccontextmanager
async def _copied(ground: Ground, name: str) -> AsyncIterator[str]:
    """A database like the template; made beside the event loop, which Novu answers on."""
    await asyncio.to_thread(_copy, ground.postgres, name)
    try:
        yield ground.postgres.create_database(name)
    finally:
        await asyncio.to_thread(_drop, ground.postgres, name)


def _copy(postgres: EmbeddedPostgres, name: str) -> None:
    with psycopg.connect(postgres.dsn, autocommit=True) as database:
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        database.execute(copy.format(sql.Identifier(name), sql.Identifier(TEMPLATE)))


def _drop(postgres: EmbeddedPostgres, name: str) -> None:
    with psycopg.connect(postgres.dsn, autocommit=True) as database:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        database.execute(drop.format(sql.Identifier(name)))


@dataclass
class Installation:
    """Everything around the stages, and the process they are in."""

    ground: Ground
    name: str
    dsn: str
    novu: job.Novu
    novu_url: str
    deeds: Sequence[Deed]
    database: psycopg.Connection[DictRow]
    process: multiprocessing.process.BaseProcess | None = None
    stranded: Counter[int] = field(default_factory=Counter[int])
    """How often each row was in the hands of a claimer who died."""

    @property
    def diary(self) -> Path:
        return self.ground.folder / f"{self.name}.diary"

    @property
    def log(self) -> Path:
        return self.ground.folder / f"{self.name}.log"

    def passages(self) -> list[str]:
        """What has gone through the doors: all of it, or what came upon a deed in its wave."""
        lines = [line for line in self._lines() if not line.startswith(UNHEARD)]
        deeds = [number for number, line in enumerate(lines) if line.startswith(DONE)]
        if not deeds:
            return [line for line in lines if line != WAVE]
        return list(takewhile(lambda line: line != WAVE, lines[deeds[-1] + 1 :]))

    @property
    def unheard(self) -> Counter[int]:
        """How often each row was claimed by a call whose answer was lost."""
        return Counter(int(line[1:]) for line in self._lines() if line.startswith(UNHEARD))

    @property
    def left(self) -> Sequence[Deed]:
        """The deeds that are still to be done."""
        return self.deeds[sum(line.startswith(DONE) for line in self._lines()) :]

    def begin_wave(self, wave: Wave) -> None:
        with self.diary.open("a") as diary:
            diary.write(f"{WAVE}\n")
        self.database.execute(wave.begin.encode())

    def begin(self) -> None:
        """A process for all the stages, with a saboteur who does what is still to be done."""
        orders = Orders(
            deeds=tuple(self.left), diary=self.diary, prefix=self.name, calls=self.ground.calls
        )
        given = (orders, self._environment(), self.log)
        self.process = self.ground.forks.Process(target=saboteur.work, args=given, daemon=True)
        self.process.start()

    async def look_after(self) -> None:
        """Whoever was killed is replaced; nobody else may have ended. Raises RuntimeError."""
        process = self.process
        if process and not process.is_alive():
            if process.exitcode != -signal.SIGKILL:
                raise RuntimeError(f"a process has ended by itself: {process.exitcode}")
            await self._let_claims_lapse()
            self.begin()

    async def _let_claims_lapse(self) -> None:
        """Time passes for what the dead had claimed and not handed on."""
        known = {(message.headers or {}).get(MESSAGE_ID) for message in await self.messages()}
        claimed = self.database.execute(IN_HAND).fetchall()
        stranded = [row["id"] for row in claimed if row["message"] not in known]
        self.database.execute(LAPSE, [stranded])
        self.database.execute("DELETE FROM notify.xnovu_claim")
        self.stranded.update(stranded)

    def surprises(self) -> list[str]:
        """Lines of the log that tell of an error of no known class."""
        words = ("Traceback", '"unexpected"')
        return [line for line in self._log() if any(word in line for word in words)]

    def last_words(self) -> str:
        """The end of the log."""
        return "\n".join(self._log()[-20:])

    def end(self) -> None:
        if self.process:
            self.process.kill()
            self.process.join()

    async def consumers(self) -> list[ConsumerInfo]:
        manager = self.ground.client.jsm()
        return [info for name in self._streams for info in await manager.consumers_info(name)]

    async def messages(self) -> list[RawStreamMsg]:
        """Everything that is on a stream."""
        return [message for name in self._streams async for message in self._messages(name)]

    async def forget_streams(self) -> None:
        for name in self._streams:
            await self.ground.client.jsm().delete_stream(name)

    @property
    def _streams(self) -> list[str]:
        copies = [retries_of(part.name) for part in PARTS.values() if not part.from_table]
        return [stream_name(self.name, kind) for kind in (*kinds_of([]), *copies)]

    async def _messages(self, stream: str) -> AsyncIterator[RawStreamMsg]:
        manager = self.ground.client.jsm()
        state = (await manager.stream_info(stream)).state
        for number in range(max(state.first_seq, 1), state.last_seq + 1):
            with suppress(NotFoundError):
                yield await manager.get_msg(stream, number, direct=True)

    def _lines(self) -> list[str]:
        return self.diary.read_text().splitlines() if self.diary.exists() else []

    def _log(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def _environment(self) -> dict[str, str]:
        return {
            "XNOVU_CONFIG": str(QUICK),
            "XNOVU_TRANSPORT__PREFIX": self.name,
            "XNOVU_STAGES__HYDRATE__LINGER": TOGETHER,
            "XNOVU_STAGES__TRIGGER__LINGER": TOGETHER,
            "XNOVU_PROVIDER__URL": self.novu_url,
            DATABASE_URL: self.dsn,
            NATS_URL: self.ground.broker.url,
            NOVU_KEY: "local",
            "SSL_CERT_DIR": str(self.ground.folder),  # no certificates: to read them takes long
        }


@asynccontextmanager
async def installed(
    ground: Ground, deeds: Sequence[Deed], **novu: float
) -> AsyncIterator[Installation]:
    """A copy of the job, and nobody at work on it yet."""
    name = f"saboteur{next(ground.numbers)}"
    async with _copied(ground, name) as dsn:
        around = job.Novu(dsn, ground.calls, **novu)
        served = Served(create_app(around))
        await served.start()
        with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as database:
            here = Installation(ground, name, dsn, around, served.url, deeds, database)
            try:
                await _provisioned(here)
                yield here
            finally:
                here.end()
                around.stop()
                await served.stop()
                await here.forget_streams()


async def _provisioned(here: Installation) -> None:
    tables = tomllib.loads(QUICK.read_text())
    tables["transport"] |= {"url": here.ground.broker.url, "prefix": here.name}
    await provisioned(Settings(**tables))
