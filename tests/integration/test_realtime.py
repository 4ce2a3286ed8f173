"""Supabase's hints: given for what is new or changed by others, and within an enterprise."""

import json
from collections.abc import AsyncIterator

import psycopg
import pytest

from tests.builders import recorded
from tests.conftest import eventually
from tests.realtime_fixtures import Listening, listening
from tests.realtime_project import Project, project, supabase_realtime
from xnovu.store import Outcome
from xnovu.testing.contract.store_bench import ACME, FAILURE, GLOBEX

__all__ = ["project", "supabase_realtime"]


@pytest.fixture(params=[(), (ACME,)], ids=["everyone's", "one enterprise's"])
async def told(
    request: pytest.FixtureRequest, supabase_realtime: Project
) -> AsyncIterator[Listening]:
    """Connected; what it heard so far is forgotten."""
    url, key = supabase_realtime.url, supabase_realtime.keys.secret
    async with listening(lambda: url, lambda: key, request.param) as told:
        await told.connected()
        told.ear.heard = 0
        yield told
        assert told.now.reconnects == 0


async def woken(project: Project, told: Listening, *kinds: str) -> None:
    """By changes of these kinds in this order and no others, once by each."""
    await project.insert()
    expected = [f"{kind} notify.ent_notification" for kind in (*kinds, "INSERT")]
    log = project.realtime.log
    await eventually(lambda: [each.detail for each in log if each.what == "told"] == expected)
    await eventually(lambda: told.ear.heard == len(expected))


async def test_new_rows_wake(supabase_realtime: Project, told: Listening) -> None:
    await supabase_realtime.insert(3)
    await woken(supabase_realtime, told, "INSERT", "INSERT", "INSERT")
    assert told.now.last_event


async def test_what_people_change_wakes(supabase_realtime: Project, told: Listening) -> None:
    store = supabase_realtime.store
    await supabase_realtime.insert()
    (claim,) = await store.claim(1, 60.0)
    await store.record([Outcome(claim.captured.key, FAILURE)])
    (key,) = await store.redrive([claim.captured.key])
    await store.retract([key])
    async with await psycopg.AsyncConnection.connect(
        supabase_realtime.dsn, autocommit=True
    ) as connection:
        await connection.execute(
            "UPDATE notify.ent_notification SET notification_status = 'PENDING'"
        )
    await woken(supabase_realtime, told, "INSERT", "UPDATE", "UPDATE", "UPDATE")


async def test_its_own_work_wakes_nobody(supabase_realtime: Project, told: Listening) -> None:
    store = supabase_realtime.store
    await supabase_realtime.insert(2)
    first, second = [claim.captured.key for claim in await store.claim(9, 60.0)]
    await store.release([first])
    await store.claim(9, 60.0)
    await recorded(store, [Outcome(first), Outcome(second, FAILURE)])
    await woken(supabase_realtime, told, "INSERT", "INSERT")


async def test_only_the_enterprises_asked_for_wake(supabase_realtime: Project) -> None:
    url, key = supabase_realtime.url, supabase_realtime.keys.secret
    async with listening(lambda: url, lambda: key, (ACME,)) as told:
        await told.connected()
        told.ear.heard = 0
        await supabase_realtime.insert(enterprise_id=GLOBEX)
        (claim,) = await supabase_realtime.store.claim(1, 60.0)
        await supabase_realtime.store.retract([claim.captured.key])
        await woken(supabase_realtime, told)


async def test_a_users_token_lets_see_their_enterprise_alone(supabase_realtime: Project) -> None:
    url, key = supabase_realtime.url, supabase_realtime.keys.publishable
    token = supabase_realtime.token(ACME)
    async with listening(lambda: url, lambda: key, token=lambda: token) as told:
        await told.connected()
        told.ear.heard = 0
        await supabase_realtime.insert(5, enterprise_id=GLOBEX)
        await woken(supabase_realtime, told)


async def test_only_the_key_column_is_sent(supabase_realtime: Project, told: Listening) -> None:
    session = told.wakeups._session
    assert session
    frames: list[str | bytes] = []
    hear = session._hear

    def spied(frame: str | bytes) -> None:
        frames.append(frame)
        hear(frame)

    session._client._hear = spied
    (number,) = await supabase_realtime.insert()
    await woken(supabase_realtime, told, "INSERT")
    (told_first, _) = [data for data in map(_data, frames) if data]
    assert told_first["record"] == {"id": number}


def _data(frame: str | bytes) -> dict[str, object] | None:
    return json.loads(frame)["payload"].get("data")


async def test_a_table_that_is_not_published_is_told_with_the_way_out(
    supabase_realtime: Project,
) -> None:
    url, key = supabase_realtime.url, supabase_realtime.keys.secret
    way_out = "PUBLICATION supabase_realtime {} TABLE notify.ent_notification"
    async with await psycopg.AsyncConnection.connect(
        supabase_realtime.dsn, autocommit=True
    ) as connection:
        await connection.execute(f"ALTER {way_out.format('DROP')}".encode())
        async with listening(lambda: url, lambda: key, (ACME,)) as told:
            await told.down(f"ALTER {way_out.format('ADD')}")
            await connection.execute(f"ALTER {way_out.format('ADD')}".encode())
            await told.connected()
