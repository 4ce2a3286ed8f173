"""What a store is tested with."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import uuid4

from xnovu.desk import Desk
from xnovu.events import Failure, Key, Retraction, StatusChanged, Workflow
from xnovu.sending import SendTimes
from xnovu.store import Outcome, Row, Store


class TrackedStore(Store, Desk, Protocol):
    """A store as the contract sees it: each row can be read, and nobody else has it Locked."""

    async def load(
        self, keys: Sequence[Key], most_bytes: int | None = None
    ) -> Mapping[Key, Row]: ...

    async def record(self, outcomes: Sequence[Outcome]) -> Sequence[StatusChanged]: ...

    async def record_retractions(
        self, outcomes: Mapping[Key, Retraction]
    ) -> Sequence[StatusChanged]: ...


class Bench(Protocol):
    """A store, and a hand that reaches around it."""

    store: TrackedStore

    def only(self, enterprise_id: str) -> TrackedStore:
        """A store upon the same tables, of one enterprise only."""
        ...

    async def workflow(self, workflow: Workflow) -> Any:
        """Register a workflow; returns what a row's notification_workflow_id must be."""
        ...

    async def change(self, notification_id: int, **columns: Any) -> None:
        """Change a row as another user of the database would."""
        ...

    async def row(self, notification_id: int) -> Mapping[str, Any]: ...

    async def remove(self, notification_id: int) -> None: ...

    async def refuse_claims(self, name: str) -> bool:
        """Let nobody claim rows of this name; whether there is a way to forbid it."""
        ...


def enterprise() -> str:
    return str(uuid4())


ACME, GLOBEX = enterprise(), enterprise()
LONG = 600.0
FAILURE = Failure(
    code="refused", stage="trigger", message="no", attempts=2, at=datetime(2026, 1, 2, tzinfo=UTC)
)


async def insert(bench: Bench, count: int = 1, **columns: Any) -> list[int]:
    row = {"enterprise_id": ACME, "recipients": [enterprise()], **columns}
    return list(await bench.store.insert([row] * count))


async def claimed(bench: Bench, count: int = 1, lease: float = LONG, **columns: Any) -> list[Key]:
    """So many new rows, claimed."""
    await insert(bench, count, **columns)
    keys = [claim.captured.key for claim in await bench.store.claim(count, lease)]
    bench.store.handed_over(keys)
    return keys


async def recorded(store: Store, outcomes: Sequence[Outcome]) -> Sequence[Any]:
    """What the store says of outcomes, where what is SENT was begun, as it is by those who send."""
    if sent := [outcome.key for outcome in outcomes if not outcome.failure]:
        await store.begin_send(sent, SendTimes())
    return await store.record(outcomes)


def others(key: Key) -> Key:
    """The same row, as another enterprise would ask for it."""
    return key._replace(enterprise_id=GLOBEX)


def from_now(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
