"""Carries out the strikes of a plan, and mends everything at the end."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import nats
import psycopg

from bench.chaos.plan import Strike
from bench.chaos.world import World, transport
from xnovu_local.novu import Fault

NOVU = {
    "novu 429": Fault("429", count=None, seconds=1.0),
    "novu 500": Fault("500", count=None, probability=0.7),
    "novu 503": Fault("503", count=None, seconds=1.0),
    "novu 401": Fault("401", count=None),
    "novu accepts and is silent": Fault("timeout_after_accept", count=None, probability=0.5),
    "novu accepts and hangs up": Fault("reset_after_accept", count=None, probability=0.5),
    "novu slow": Fault("latency", count=None, seconds=0.5),
}
LOCK = """
SELECT FROM notify.ent_notification WHERE id % 3 = 0 ORDER BY id FOR UPDATE SKIP LOCKED
"""
WRITES = "-c default_transaction_read_only=off"
END = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class Trouble:
    """One hand for every kind of strike."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.struck: list[str] = []
        # A server is struck by one thing at a time: nobody freezes what is just being started.
        self._turns = {name: asyncio.Lock() for name in ("nats", "postgres")}

    async def strike_all(self, strikes: tuple[Strike, ...]) -> None:
        """Each at its time, however long the others last."""
        async with asyncio.TaskGroup() as group:
            for strike in strikes:
                group.create_task(self._strike(strike))

    async def _strike(self, strike: Strike) -> None:
        await asyncio.sleep(strike.at)
        self.struck.append(strike.kind)
        await self._hand(strike)(strike)

    def _hand(self, strike: Strike) -> Callable[[Strike], Awaitable[None]]:
        if strike.kind in NOVU:
            return self._novu
        verb, what = strike.kind.split(" ", 1)
        if verb in ("lock", "forbid"):
            return self._lock if verb == "lock" else self._forbid
        if verb in ("cut", "hole"):
            return self._cut if verb == "cut" else self._hole
        return {"stage": self._stage, "nats": self._server, "postgres": self._server}.get(
            what, self._wipe
        )

    async def _stage(self, strike: Strike) -> None:
        fleet, number = self._world.fleet, strike.process
        if strike.kind.startswith("kill"):
            await asyncio.to_thread(fleet.kill, number)
            await asyncio.sleep(strike.seconds)
            fleet.mend()
        else:
            fleet.freeze(number)
            await asyncio.sleep(strike.seconds)
            fleet.thaw(number)

    async def _server(self, strike: Strike) -> None:
        verb, name = strike.kind.split(" ")
        servers = self._world.servers
        server = servers.nats if name == "nats" else servers.postgres
        async with self._turns[name]:
            if verb == "kill":
                await asyncio.to_thread(server.kill)
                await asyncio.sleep(strike.seconds)
                await asyncio.to_thread(server.start)
            else:
                server.pause()
                await asyncio.sleep(strike.seconds)
                server.resume()

    async def _cut(self, strike: Strike) -> None:
        self._world.wires[strike.kind.split(" ")[1]].cut()

    async def _hole(self, strike: Strike) -> None:
        wire = self._world.wires[strike.kind.split(" ")[1]]
        wire.close()
        await asyncio.sleep(strike.seconds)
        wire.open()

    async def _wipe(self, _: Strike) -> None:
        await wipe(self._world)

    async def _lock(self, strike: Strike) -> None:
        """Somebody else has an open transaction upon one row in three."""
        try:
            async with await psycopg.AsyncConnection.connect(self._world.dsn) as other:
                await other.execute(LOCK)
                await asyncio.sleep(strike.seconds)
                await other.rollback()
        except psycopg.Error:
            return  # the database is in other trouble, or waits for a lock that it gives to nobody

    async def _forbid(self, strike: Strike) -> None:
        """New sessions may only read, as on a stand-by, and the old ones end."""
        await self._sessions("on")
        await asyncio.sleep(strike.seconds)
        await self._sessions("off")

    async def _sessions(self, read_only: str) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._world.dsn, autocommit=True, connect_timeout=5, options=WRITES
                ) as own:
                    name = own.info.dbname
                    await own.execute(
                        f"ALTER DATABASE {name} SET default_transaction_read_only = {read_only}"
                    )
                    await own.execute(END)
                    return
            except psycopg.Error:
                await asyncio.sleep(0.1)

    async def _novu(self, strike: Strike) -> None:
        self._world.novu.script(NOVU[strike.kind])
        await asyncio.sleep(strike.seconds)
        self._world.novu.faults.clear()

    async def mend(self) -> list[int]:
        """Everything works again; says which stages had ended though nobody had killed them."""
        self._world.novu.faults.clear()
        for wire in self._world.wires.values():
            wire.open()
        for server in (self._world.servers.nats, self._world.servers.postgres):
            server.resume()
        return self._world.fleet.mend()


async def wipe(world: World) -> None:
    """Every message is gone, with all that is on its way."""
    await {"nats": _wipe_streams, "postgres": _wipe_tables}.get(transport(), _nothing)(world)


async def _nothing(_: World) -> None:
    """In memory it goes with its process."""


async def _wipe_tables(world: World) -> None:
    tables = "notify.xnovu_message, notify.xnovu_delivery, notify.xnovu_mailbox"
    with suppress(psycopg.Error):
        async with await psycopg.AsyncConnection.connect(
            world.dsn, autocommit=True, connect_timeout=5, options="-c lock_timeout=5s"
        ) as own:
            await own.execute(f"TRUNCATE {tables}")


async def _wipe_streams(world: World) -> None:
    try:
        async with asyncio.timeout(5):
            client = await nats.connect(
                world.servers.nats.url, connect_timeout=1, error_cb=_say_nothing
            )
    except (OSError, TimeoutError, nats.errors.Error):
        return  # it is away just now, which is trouble enough
    try:
        jetstream = client.jetstream(timeout=1)
        for stream in await jetstream.streams_info():
            if (stream.config.name or "").startswith(world.prefix.upper() + "_"):
                await jetstream.delete_stream(stream.config.name or "")
    except (OSError, TimeoutError, nats.errors.Error):
        return
    finally:
        await client.close()


async def _say_nothing(_: Exception) -> None:
    """By default the client prints every failed attempt, with its traceback."""
