"""
Realtime's hints come through, within bounds; nothing is lost where they do not.

Joined is when the database listens, not before: by default within 30 s, and after a failure within
another 30 s. A hint takes a poll of the log (0.5 s at Supabase) and the way here.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from uuid import uuid4

import pytest

from tests.conformance.project import NAME, Project
from tests.conformance.test_functions import FAILURE, LEASE
from tests.conftest import eventually
from tests.realtime_fixtures import Listening, listening
from xnovu.adapters.supabase.realtime_session import Patience
from xnovu.sql.store import SqlStore
from xnovu.store import Outcome
from xnovu_local.supabase import Keys

JOINED = 65.0
HINT = 10.0


def listen(
    project: Project, *enterprises: str, key: str | None = None, token: str | None = None
) -> AbstractAsyncContextManager[Listening]:
    """With the patience of every day."""
    return listening(
        lambda: project.url,
        lambda: key or project.key,
        enterprises,
        token=(lambda: token) if token else None,
        usual=Patience(),
    )


async def insert(store: SqlStore) -> None:
    row = {"enterprise_id": store.enterprise_id, "recipients": [str(uuid4())], "name": NAME}
    await store.insert([row])


async def woken(told: Listening, times: int) -> None:
    """So often in all, since it was connected."""
    await eventually(lambda: told.ear.heard >= times, HINT)
    assert told.ear.heard == times


@pytest.fixture
async def told(project: Project, acme: str) -> AsyncIterator[Listening]:
    """Of the one enterprise's rows; connected, and quiet so far."""
    async with listen(project, acme) as told:
        await told.connected(within=JOINED)
        told.ear.heard = 0
        yield told
        assert told.diary.losses == []


async def test_new_rows_wake(told: Listening, store: SqlStore) -> None:
    for times in (1, 2, 3):
        await insert(store)
        await woken(told, times)
    assert told.now.last_event


async def test_what_people_change_wakes_and_xnovus_own_work_does_not(
    told: Listening, store: SqlStore
) -> None:
    await insert(store)
    await woken(told, 1)
    (claim,) = await store.claim(9, LEASE)
    await store.record([Outcome(claim.captured.key, FAILURE)])
    (again,) = await store.redrive([claim.captured.key])
    await woken(told, 2)
    await store.retract([again])
    await woken(told, 3)


async def test_other_enterprises_wake_nobody(
    told: Listening, project: Project, store: SqlStore, globex: str
) -> None:
    async with project.store(globex) as others:
        await insert(others)
    await insert(store)
    await woken(told, 1)


async def test_one_channel_tells_of_all_enterprises(project: Project, store: SqlStore) -> None:
    """Of other people's rows, too: they are not looked at."""
    async with listen(project) as told:
        await told.connected(within=JOINED)
        before = told.now.last_event
        await insert(store)
        await eventually(lambda: told.now.last_event != before, HINT)


async def test_a_users_token_lets_see_the_own_enterprise_alone(
    project: Project, anon_key: str, keys: Keys, store: SqlStore, acme: str, globex: str
) -> None:
    async with (
        listen(project, key=anon_key, token=keys.user_token(acme)) as told,
        project.store(globex) as others,
    ):
        await told.connected(within=JOINED)
        told.ear.heard = 0
        await insert(others)
        await insert(store)
        await woken(told, 1)


async def test_a_wrong_key_is_refused_and_said_so(project: Project) -> None:
    async with listen(project, key="sb_secret_of-no-project") as told:
        await told.down("the server refuses the key", JOINED)
