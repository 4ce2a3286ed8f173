"""What a trial stands on: servers, durable as they are shipped, and a Novu that takes its time."""

import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg

from xnovu.adapters.postgres.migrations import migrate
from xnovu_local.nats import EmbeddedNats
from xnovu_local.novu import LocalNovu, LocalNovuOptions, running_novu
from xnovu_local.postgres import EmbeddedPostgres

WORKFLOW = "welcome"
LATENCY = 0.02
"""Seconds that Novu takes for a request."""


def enterprise(number: int) -> UUID:
    return UUID(int=number, version=4)


@dataclass(slots=True)
class Ground:
    """One trial's servers; each contender gets a database and subjects of its own."""

    folder: Path
    postgres: EmbeddedPostgres
    nats: EmbeddedNats
    url: str
    novu: LocalNovu
    made: int = 0

    def database(self) -> tuple[str, str]:
        """A migrated database and its name, which is the prefix of subjects, too."""
        self.made += 1
        name = f"trial{self.made}"
        dsn = self.postgres.create_database(name)
        migrate(dsn)
        return dsn, name


@asynccontextmanager
async def ground(latency: float = LATENCY, rate: float | None = None) -> AsyncGenerator[Ground]:
    """``latency``: seconds that Novu takes for each request; ``rate``: tokens per second."""
    with tempfile.TemporaryDirectory(prefix="xnovu-bench-") as name:
        folder = Path(name)
        options = LocalNovuOptions(latency=latency, events_held=10, rate=rate)
        async with running_novu(options) as running:
            with (
                EmbeddedPostgres(folder / "postgres") as postgres,
                EmbeddedNats(folder / "nats") as nats,
            ):
                yield Ground(folder, postgres, nats, running.url, running.novu)


def register(dsn: str, enterprises: int) -> None:
    """Let each of them have the workflow."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO notify.ent_notification_workflow (workflow_key, enterprise_id)"
            " SELECT %s, unnest(%s::uuid[])",
            [WORKFLOW, [enterprise(number) for number in range(enterprises)]],
        )


def insert(
    connection: psycopg.Connection,
    rows: int,
    enterprises: int = 1,
    first: int = 0,
    priority: int = 0,
) -> list[int]:
    """Rows of so many enterprises in turn, in one statement; their ids."""
    owners = [enterprise(first + number) for number in range(enterprises)]
    made = connection.execute(
        "INSERT INTO notify.ent_notification"
        " (enterprise_id, notification_workflow_id, recipients, payload, priority)"
        " SELECT (%s::uuid[])[1 + n %% %s], %s, ARRAY[gen_random_uuid()],"
        "   jsonb_build_object('name', 'Ada', 'order', n, 'text', repeat('x', 200)), %s"
        " FROM generate_series(1, %s) AS n RETURNING id",
        [owners, enterprises, WORKFLOW, priority, rows],
    )
    return [row for (row,) in made]


def ballast(connection: psycopg.Connection, rows: int) -> None:
    """Rows that were SENT long ago, to make the table large."""
    if not rows:
        return
    connection.execute("ALTER TABLE notify.ent_notification DISABLE TRIGGER USER")
    connection.execute(
        "INSERT INTO notify.ent_notification (enterprise_id, notification_workflow_id, recipients,"
        "   payload, notification_status, created_at, processed_at, claims)"
        " SELECT %s, %s, ARRAY[gen_random_uuid()], jsonb_build_object('order', n), 'SENT',"
        "   now() - interval '1 day', now() - interval '1 day', 1"
        " FROM generate_series(1, %s) AS n",
        [enterprise(0), WORKFLOW, rows],
    )
    connection.execute("ALTER TABLE notify.ent_notification ENABLE TRIGGER USER")
    connection.execute("VACUUM ANALYZE notify.ent_notification")
    connection.execute("CHECKPOINT")
