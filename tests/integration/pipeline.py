"""All four stages in this process, on a real Postgres, a real NATS and the local Novu."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import nats
import psycopg
import pytest
from nats.js.api import DeliverPolicy
from nats.js.errors import NotFoundError
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from tests.builders import namespace
from tests.conftest import eventually
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.topology import kinds_of, retries_of, stream_name
from xnovu.adapters.novu import NovuOptions
from xnovu.adapters.postgres.store import PostgresOptions
from xnovu.cli.run import PARTS
from xnovu.cli.setup import provisioned
from xnovu.compose.secrets import DATABASE_URL, NATS_URL, NOVU_KEY
from xnovu.compose.serve import serve
from xnovu.compose.settings import HealthOptions, Settings, Stages
from xnovu.envelope import decode
from xnovu.events import Event
from xnovu_local.nats import EmbeddedNats
from xnovu_local.novu import LocalNovu, running_novu

ACME = UUID("11111111-1111-4111-8111-111111111111")
GLOBEX = UUID("22222222-2222-4222-8222-222222222222")
ENDED = ("SENT", "FAILED", "RETRACTED")


@dataclass
class World:
    """Everything around the pipeline, and the means to look at it."""

    database: str
    nats_url: str
    novu: LocalNovu
    settings: Settings

    def execute(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        with psycopg.connect(self.database, row_factory=dict_row) as connection:
            cursor = connection.execute(query, arguments)
            return cursor.fetchall() if cursor.description else []

    def register(
        self, enterprise: UUID | str | None = ACME, key: str = "welcome", **columns: Any
    ) -> None:
        names = ["workflow_key", "enterprise_id", *columns]
        self._insert("ent_notification_workflow", names, [key, enterprise, *columns.values()])

    def insert(
        self,
        enterprise: UUID | str | None = ACME,
        workflow: str | int = "welcome",
        **columns: Any,
    ) -> int:
        columns.setdefault("recipients", [uuid4()])
        names = ["notification_workflow_id", "enterprise_id", *columns]
        return self._insert("ent_notification", names, [workflow, enterprise, *columns.values()])

    def _insert(self, table: str, names: list[str], values: list[Any]) -> int:
        adapted = [Jsonb(value) if isinstance(value, dict) else value for value in values]
        places = ", ".join(["%s"] * len(names))
        query = f"INSERT INTO notify.{table} ({', '.join(names)}) VALUES ({places}) RETURNING id"
        return self.execute(query, *adapted)[0]["id"]

    def row(self, notification: int) -> dict[str, Any]:
        [row] = self.execute("SELECT * FROM notify.ent_notification WHERE id = %s", notification)
        return row

    async def ended(self, notification: int, within: float = 60.0) -> dict[str, Any]:
        """The row once it has ended."""
        await eventually(lambda: self.row(notification)["notification_status"] in ENDED, within)
        return self.row(notification)

    def audit(self, notification: int) -> list[tuple[str, str]]:
        rows = self.execute(
            "SELECT from_status, to_status FROM notify.ent_notification_audit"
            " WHERE notification_id = %s ORDER BY id",
            notification,
        )
        return [(row["from_status"], row["to_status"]) for row in rows]

    async def events(self, subject: str) -> list[tuple[str, Event]]:
        """What stands on the subjects that match, each with its subject."""
        prefix = self.settings.transport.prefix
        client = await nats.connect(self.nats_url)
        try:
            jetstream = client.jetstream()
            pattern = f"{prefix}.{subject}"
            stream = await jetstream.find_stream_name_by_subject(pattern)
            info = await jetstream.stream_info(stream, subjects_filter=pattern)
            count = sum((info.state.subjects or {}).values())
            reader = await jetstream.subscribe(
                pattern, ordered_consumer=True, deliver_policy=DeliverPolicy.ALL
            )
            found = [await reader.next_msg(timeout=10) for _ in range(count)]
            return [(m.subject.removeprefix(f"{prefix}."), _event(m)) for m in found]
        finally:
            await client.close()

    async def wipe_broker(self) -> None:
        """Every stream is gone, and made anew."""
        client = await nats.connect(self.nats_url)
        jetstream = client.jetstream()
        for kind in (*kinds_of([]), *map(retries_of, PARTS)):  # a list of streams ends at 256
            with suppress(NotFoundError):
                await jetstream.delete_stream(stream_name(self.settings.transport.prefix, kind))
        await client.close()
        await provisioned(self.settings)

    async def publish(self, subject: str, body: bytes, id: str) -> None:
        client = await nats.connect(self.nats_url)
        subject = f"{self.settings.transport.prefix}.{subject}"
        await client.jetstream().publish(subject, body, headers={"Nats-Msg-Id": id})
        await client.close()


def _event(message: Any) -> Event:
    return decode({"id": message.headers["Nats-Msg-Id"]}, message.data).event


@asynccontextmanager
async def world(
    database: str, nats_server: EmbeddedNats, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> AsyncIterator[World]:
    """Provisioned; no stage runs yet. Settle times are short: Novu is near."""
    async with running_novu() as novu:
        secrets = {DATABASE_URL: database, NATS_URL: nats_server.url, NOVU_KEY: "local"}
        for name, value in secrets.items():
            monkeypatch.setenv(name, value)
        options = {"url": novu.url, "settle": 0.1, "timeout": 5.0, **settings.pop("provider", {})}
        chosen = Settings(
            transport=NatsOptions(**namespace()),
            provider=NovuOptions(**options),
            health=HealthOptions(enabled=False),
            **settings,
        )
        await provisioned(chosen)
        yield World(database, nats_server.url, novu.novu, chosen)


@asynccontextmanager
async def brokerless(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """What a service that embeds the pipeline has: a database of two enterprises, and Novu."""
    for name, value in {DATABASE_URL: database, NOVU_KEY: "local"}.items():
        monkeypatch.setenv(name, value)
    async with running_novu() as novu:
        around = World(database, "", novu.novu, quick(novu.url))
        for enterprise in (ACME, GLOBEX):
            around.register(enterprise)
        yield around


def quick(novu_url: str) -> Settings:
    """Settings with short waits, for servers that are near."""
    brief = {"backoff": 0.05, "pause_max": 0.2}
    return Settings(
        provider=NovuOptions(url=novu_url, settle=0.1, timeout=5.0),
        store=PostgresOptions(timeout=2.0),
        stages=Stages.model_validate(dict.fromkeys(Stages.model_fields, brief)),
    )


@asynccontextmanager
async def stages(around: World, *names: str) -> AsyncIterator[None]:
    """These stages at work, or all."""
    app = serve(*(PARTS[name] for name in names or PARTS), settings=around.settings)
    await app.start()
    try:
        yield
    finally:
        await app.stop()
