"""A Supabase project that is looked at, and a fence around all rows there but the suite's own."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
from postgrest import APIError
from supabase import AsyncClient, AsyncClientOptions, acreate_client

from tests.conftest import eventually
from xnovu.adapters.supabase.options import SupabaseOptions
from xnovu.adapters.supabase.store import SupabaseFunctions
from xnovu.errors import Permanent, XNovuError
from xnovu.sql.store import SqlStore

NAME = "xnovu conformance"
"""Of every row, and of every workflow, that the suite leaves in a project."""

WORKFLOW = "xnovu-conformance"
TABLE, WORKFLOWS, AUDIT = "ent_notification", "ent_notification_workflow", "ent_notification_audit"

NEVER = "2999-01-01T00:00:00Z"

SCOPED = frozenset({"claim", "claim_retractions", "next_due", "failed", "history"})
"""What would otherwise be about everybody's rows."""

OF_NO_ROW = frozenset({"claimed", "state", "xnovu_told"})
"""What takes nothing: rows of a random token, the schema's version, an echo."""

OTHERS_AT_WORK = 3.0
"""Seconds in which stages elsewhere would have taken a row: hints, and a sweep every 0.75 s."""


@dataclass(frozen=True, slots=True)
class Project:
    """Where it is and who is let in, and the enterprises that the suite has made up for itself."""

    url: str
    key: str = field(repr=False)
    anon_key: str | None = field(default=None, repr=False)
    jwt_secret: str | None = field(default=None, repr=False)
    max_rows: int = SupabaseOptions().max_rows
    own: set[str] = field(default_factory=set[str])

    def enterprise(self) -> str:
        """Nobody's so far."""
        self.own.add(made := str(uuid4()))
        return made

    @property
    def options(self) -> SupabaseOptions:
        return SupabaseOptions(max_rows=self.max_rows)

    @asynccontextmanager
    async def functions(self) -> AsyncIterator["Fenced"]:
        functions = Fenced(self)
        await functions.open()
        try:
            yield functions
        finally:
            await functions.close()

    @asynccontextmanager
    async def store(self, enterprise: str) -> AsyncIterator[SqlStore]:
        """The store of one of the suite's enterprises."""
        store = SqlStore(Fenced(self), enterprise)
        await store.open()
        try:
            yield store
        finally:
            await store.close()

    @asynccontextmanager
    async def client(self, key: str | None = None, token: str = "") -> AsyncIterator[AsyncClient]:
        """Supabase's own, to schema notify: a platform's, or with another key a user's."""
        async with httpx.AsyncClient(timeout=60) as http:
            options = AsyncClientOptions(
                schema="notify", auto_refresh_token=False, persist_session=False, httpx_client=http
            )
            client = await acreate_client(self.url, key or self.key, options)
            if token:
                client.postgrest.auth(token)
            yield client


class Fenced(SupabaseFunctions):
    """Nothing is asked that is not about the suite's own enterprises alone."""

    def __init__(self, project: Project) -> None:
        super().__init__(lambda: project.url, lambda: project.key, project.options)
        self._own = project.own

    async def call(self, function: str, **arguments: Any) -> Sequence[Any]:
        if not self._may(function, arguments):
            raise AssertionError(f"{function} might be about rows that are not the suite's")
        return await super().call(function, **arguments)

    def _may(self, function: str, arguments: Mapping[str, Any]) -> bool:
        if function in SCOPED:
            return arguments.get("of_enterprise") in self._own
        listed = [value for value in arguments.values() if isinstance(value, list | tuple)]
        rows = [each for value in listed for each in value if isinstance(each, Mapping)]
        owners = {str(row.get("enterprise_id")) for row in rows}
        return function in OF_NO_ROW or (bool(listed) and owners <= self._own)


async def refusal(project: Project) -> str | None:
    """Why nothing may be tried there; None if all that is tried stays among the suite's rows."""
    enterprise = project.enterprise()
    try:
        async with project.store(enterprise) as store, project.functions() as functions:
            if problem := await store.ready():
                return problem
            # Of no rows at all: claims that cannot be kept to one enterprise are not understood.
            for claim in ("claim", "claim_retractions"):
                scope = {"of_enterprise": enterprise, "token": str(uuid4())}
                await functions.call(claim, max_rows=0, lease_seconds=0.0, **scope)
            return await _others_at_work(store, enterprise)
    except XNovuError as error:
        return str(error)


async def _others_at_work(store: SqlStore, enterprise: str) -> str | None:
    """Whether somebody takes a row that nobody could send: it has no workflow."""
    (row,) = await store.insert([{"enterprise_id": enterprise, "name": NAME}])

    async def taken() -> bool:
        found = await store.history(row)
        return bool(found and found["notification"]["claims"])

    try:
        await eventually(taken, OTHERS_AT_WORK)
    except AssertionError:
        return None
    return "stages are at work there and take the suite's rows: stop them for the while"


async def registered(client: AsyncClient, store: SqlStore) -> object:
    """What a row of the store's enterprise calls its workflow, which it has from now on."""
    row = {"workflow_key": WORKFLOW, "enterprise_id": store.enterprise_id, "name": NAME}
    (workflow,) = (await client.table(WORKFLOWS).insert(row).execute()).data
    probe = {"enterprise_id": store.enterprise_id, "name": NAME, "scheduled_for": NEVER}
    try:
        await store.insert([{**probe, "notification_workflow_id": WORKFLOW}])
    except Permanent:  # a table that was there before may refer to an id
        return workflow["id"]
    return WORKFLOW


@dataclass(frozen=True, slots=True)
class Left:
    """What the suite could not take away."""

    rows: int
    lines: int
    enterprises: int


async def clean_up(project: Project) -> Left:
    """Nothing of the suite's is due any more; what the API lets it delete is gone."""
    async with project.client() as client:
        found = [await _cleaned(client, enterprise) for enterprise in sorted(project.own)]
    rows, lines = (sum(counts) for counts in zip(*found, strict=True))
    return Left(rows, lines, len(found))


async def _cleaned(client: AsyncClient, enterprise: str) -> tuple[int, int]:
    """How many rows and lines of the audit stay."""

    def of(query: Any) -> Any:
        return query.eq("enterprise_id", enterprise)

    back = {"notification_status": "RETRACTED", "retraction_reason": NAME}
    waiting = of(client.table(TABLE).update(back))
    await waiting.in_("notification_status", ["PENDING", "PROCESSING"]).execute()
    await of(client.table(TABLE).update({"claimed_until": None})).execute()
    await of(client.table(WORKFLOWS).delete()).execute()
    with suppress(APIError):  # the migrations grant the service key no such right
        await of(client.table(TABLE).delete()).execute()
    counts = [of(client.table(t).select("id", count="exact", head=True)) for t in (TABLE, AUDIT)]
    rows, lines = await asyncio.gather(*(count.execute() for count in counts))
    return rows.count or 0, lines.count or 0
