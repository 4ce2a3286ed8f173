"""
Rows go all the way from the project to a local Novu, so that nobody is notified.

All end within DELIVERED: seconds for a Realtime that will not join (30), and some for each way.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

import pytest
from supabase import AsyncClient

from tests.conformance.project import NAME, TABLE, Project
from tests.conftest import eventually
from xnovu import SubscriptionManager
from xnovu.adapters.novu import NovuOptions
from xnovu.compose.secrets import NOVU_KEY, SUPABASE_KEY, SUPABASE_URL
from xnovu.compose.settings import Settings, WakeUpOptions
from xnovu.connection import Link
from xnovu.events import Status, StatusChanged
from xnovu_local.novu import RunningNovu, running_novu

DELIVERED = 90.0
ROWS = 20


@pytest.fixture
async def novu() -> AsyncIterator[RunningNovu]:
    async with running_novu() as novu:
        yield novu


@pytest.fixture
def settings(project: Project, novu: RunningNovu, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in {
        SUPABASE_URL: project.url,
        SUPABASE_KEY: project.key,
        NOVU_KEY: "local",
    }.items():
        monkeypatch.delenv(f"{name}_FILE", raising=False)
        monkeypatch.setenv(name, value)
    return Settings(
        store=project.options,
        provider=NovuOptions(url=novu.url, settle=1.0),
        wakeups=WakeUpOptions(),
    )


@pytest.fixture
def rows(platform: AsyncClient, acme: str, workflow: object) -> "Rows":
    return Rows(platform, acme, workflow)


class Rows:
    """The enterprise's, as its platform writes and reads them."""

    def __init__(self, platform: AsyncClient, enterprise: str, workflow: object) -> None:
        self._platform, self._enterprise, self._workflow = platform, enterprise, workflow

    async def insert(self, count: int, **columns: Any) -> Sequence[int]:
        row = {"enterprise_id": self._enterprise, "name": NAME, "payload": {"from": NAME}}
        row |= {"notification_workflow_id": self._workflow, **columns}
        made = [{"recipients": [str(uuid4())], **row} for _ in range(count)]
        answer = await self._platform.table(TABLE).insert(made).execute()
        return [row["id"] for row in answer.data]

    async def of(self, numbers: Sequence[int]) -> Sequence[Mapping[str, Any]]:
        query = self._platform.table(TABLE).select("*").in_("id", list(numbers))
        return (await query.eq("enterprise_id", self._enterprise).execute()).data

    async def ended(self, numbers: Sequence[int], status: str) -> Sequence[Mapping[str, Any]]:
        """All of them, once they are all at the same end."""

        async def there() -> Sequence[Mapping[str, Any]]:
            found = await self.of(numbers)
            assert {row["notification_status"] for row in found} == {status}
            return found

        return await eventually(there, DELIVERED)

    async def retract(self, number: int) -> None:
        change = {"notification_status": "RETRACTED", "retraction_reason": NAME}
        query = self._platform.table(TABLE).update(change).eq("id", number)
        await query.eq("enterprise_id", self._enterprise).execute()


def each_once(novu: RunningNovu, sent: Sequence[Mapping[str, Any]]) -> None:
    ledger = novu.novu.ledger
    entries = [ledger.find(row["transaction_id"]) for row in sent]
    assert {(one.accepted, one.notified) if one else None for one in entries} == {(1, 1)}
    assert (ledger.totals.accepted, ledger.doubled()) == (len(sent), [])


async def test_rows_end_as_they_must_and_each_once(
    settings: Settings, novu: RunningNovu, rows: Rows, acme: str
) -> None:
    assert settings.provider.url == novu.url, "or somebody might be notified"
    ends: list[StatusChanged] = []
    stopped = await rows.insert(1)
    await rows.retract(stopped[0])
    early = await rows.insert(ROWS // 2)
    manager = SubscriptionManager(acme, settings=settings, on_notification=ends.append)
    async with manager:
        await rows.ended(early, "SENT")
        await eventually(lambda: manager.get_status().connection.state is Link.CONNECTED, DELIVERED)
        late = await rows.insert(ROWS // 2)
        nobody = await rows.insert(1, recipients=[])
        sent = [*await rows.ended(early, "SENT"), *await rows.ended(late, "SENT")]
        (failed,) = await rows.ended(nobody, "FAILED")
        (taken,) = await rows.ended(stopped, "RETRACTED")
        await eventually(lambda: len(ends) == ROWS + 2, DELIVERED)
        status = manager.get_status()
    assert failed["error_details"]["code"] == "recipients_invalid"
    assert (taken["retraction_outcome"], taken["claims"] > 0) == ("stopped", True)
    assert sum(end.status is Status.SENT for end in ends) == ROWS
    assert (status.connection.state, status.trouble) == (Link.CONNECTED, None)
    assert status.connection.last_event is not None
    each_once(novu, sent)


async def test_two_who_share_an_enterprise_send_each_row_once(
    settings: Settings, novu: RunningNovu, rows: Rows, acme: str
) -> None:
    ends: list[StatusChanged] = []
    managers = [
        SubscriptionManager(acme, settings=settings, on_notification=ends.append) for _ in range(2)
    ]
    numbers = [*await rows.insert(ROWS)]
    async with managers[0], managers[1]:
        numbers += await rows.insert(ROWS)
        sent = await rows.ended(numbers, "SENT")
        await eventually(lambda: len(ends) == 2 * ROWS, DELIVERED)
    assert sorted(end.notification_id for end in ends) == sorted(numbers)
    each_once(novu, sent)


async def test_what_was_sent_and_is_taken_back_says_what_came_of_it(
    settings: Settings, rows: Rows, acme: str
) -> None:
    async with SubscriptionManager(acme, settings=settings):
        numbers = await rows.insert(1)
        await rows.ended(numbers, "SENT")
        await rows.retract(numbers[0])

        async def told() -> str | None:
            ((row),) = await rows.of(numbers)
            return row["retraction_outcome"]

        assert await eventually(told, DELIVERED) == "cancelled"
