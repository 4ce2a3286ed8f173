"""Where a stage's time goes: one stage at a time, a batch at a time, with all of its work there."""

import os
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import wraps
from typing import Any
from unittest.mock import patch

import psycopg

from bench.speed.ground import Ground, insert, register
from bench.speed.jobs import until
from xnovu.adapters.nats import transport
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.novu import NovuOptions
from xnovu.adapters.table import TableOptions
from xnovu.adapters.table.window import Window
from xnovu.cli.run import PARTS
from xnovu.cli.setup import provisioned
from xnovu.compose.secrets import DATABASE_URL, NATS_URL, NOVU_KEY
from xnovu.compose.serve import serve
from xnovu.compose.settings import HealthOptions, LogOptions, Settings, Stages
from xnovu.sql.store import SqlStore
from xnovu.stage import Actor

PHASES = ("open", "work", "emit", "settle")
STAGES = ("ingest", "hydrate", "trigger", "status")
Spent = dict[str, dict[str, float]]
"""Seconds by stage and phase."""


class Stopwatch:
    """Adds up what a phase of the stage that is at work takes."""

    def __init__(self) -> None:
        self.stage = ""
        self.done = 0
        self.spent: Spent = defaultdict(lambda: dict.fromkeys(PHASES, 0.0))

    def of(self, phase: str, function: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        """The function, timed."""

        @wraps(function)
        async def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return await function(*arguments, **named)
            finally:
                self.spent[self.stage][phase] += time.perf_counter() - began

        return timed

    def opening(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same of what does not wait; counts messages."""

        @wraps(function)
        def timed(*arguments: Any) -> Any:
            began = time.perf_counter()
            self.done += 1
            try:
                return function(*arguments)
            finally:
                self.spent[self.stage]["open"] += time.perf_counter() - began

        return timed


@contextmanager
def _timed(watch: Stopwatch) -> Generator[None]:
    with (
        patch.object(Actor, "_open", watch.opening(Actor._open)),
        patch.object(Actor, "_work", watch.of("work", Actor._work)),
        patch.object(Actor, "_emit", watch.of("emit", Actor._emit)),
        patch.object(transport, "settle", watch.of("settle", transport.settle)),
        patch.object(SqlStore, "claim", watch.of("settle", SqlStore.claim)),
        patch.object(Window, "room", lambda window: window.stride.size),  # nobody takes it up yet
    ):
        yield


async def breakdown(ground: Ground, rows: int) -> Spent:
    """Microseconds per message, by stage and phase; ingest settles its rows as it claims them."""
    dsn, prefix = ground.database()
    register(dsn, 6)
    with psycopg.connect(dsn, autocommit=True) as connection:
        insert(connection, rows, 6)
    secrets = {DATABASE_URL: dsn, NATS_URL: ground.nats.url, NOVU_KEY: "local"}
    watch = Stopwatch()
    with patch.dict(os.environ, secrets), _timed(watch):
        settings = _settings(ground, prefix)
        await provisioned(settings)
        for watch.stage in STAGES:
            watch.done = 0
            app = serve(PARTS[watch.stage], settings=settings)
            await app.start()
            await until(lambda: watch.done >= rows)
            await app.stop()
    return {
        stage: {phase: seconds / rows * 1e6 for phase, seconds in spent.items()}
        for stage, spent in watch.spent.items()
    }


def _settings(ground: Ground, prefix: str) -> Settings:
    return Settings(
        transport=NatsOptions(url=ground.nats.url, prefix=prefix),
        provider=NovuOptions(url=ground.url),
        ingest=TableOptions(backlog=1_000_000),
        stages=Stages.model_validate({stage: {"slots": 1, "batch": 100} for stage in STAGES}),
        health=HealthOptions(enabled=False),
        log=LogOptions(level="warning"),
    )
