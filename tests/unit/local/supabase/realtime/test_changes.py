"""What is told of changes, to the real client."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.conftest import eventually
from xnovu.testing.contract.store_bench import ACME, GLOBEX
from xnovu_local.supabase.realtime import RealtimeOptions, RunningRealtime, running_realtime

from .conftest import Clients, Notes


async def test_tells_of_an_insert_with_the_values_and_types_of_json(
    notes: Notes, clients: Clients
) -> None:
    listener = await clients.listener().listen().subscribe()
    assert (listener.states, listener.system) == (["SUBSCRIBED"], ["Subscribed to PostgreSQL"])
    await notes.insert(
        1,
        text="a",
        amount="1.50",
        done=True,
        tags=["x", "y"],
        data='{"deep": [1, null]}',
        at="2026-01-02T03:04:05Z",
    )
    await eventually(lambda: listener.told)
    (data,) = listener.told
    assert (data["schema"], data["table"], data["type"]) == ("notify", "note", "INSERT")
    assert data["errors"] is None
    assert "old_record" not in data
    assert data["record"] == {
        "id": 1,
        "enterprise_id": ACME,
        "text": "a",
        "amount": 1.5,
        "done": True,
        "tags": ["x", "y"],
        "data": {"deep": [1, None]},
        "at": "2026-01-02T03:04:05+00:00",
    }
    types = {column["name"]: column["type"] for column in data["columns"]}
    assert types == {
        "id": "int8",
        "enterprise_id": "uuid",
        "text": "text",
        "amount": "numeric",
        "done": "bool",
        "tags": "_text",
        "data": "jsonb",
        "at": "timestamptz",
    }
    committed = datetime.strptime(data["commit_timestamp"], "%Y-%m-%dT%H:%M:%S.%f%z")
    assert datetime.now(UTC) - committed < timedelta(minutes=1)


async def test_tells_of_nothing_before_it_is_committed(notes: Notes, clients: Clients) -> None:
    listener = await clients.listener().listen().subscribe()
    async with notes.connection.transaction(force_rollback=True):
        await notes.insert(1)
    async with notes.connection.transaction():
        await notes.insert(2)
        await notes.insert(3)
    await eventually(lambda: len(listener.ids) == 2)
    assert listener.ids == [2, 3]


async def test_an_event_is_told_to_those_who_asked_for_it(notes: Notes, clients: Clients) -> None:
    every = await clients.listener().listen("*").subscribe()
    deletes = await clients.listener().listen("DELETE").subscribe()
    await notes.insert(1, text="a")
    await notes.execute("UPDATE notify.note SET text = 'b'")
    await eventually(lambda: len(every.told) == 2)
    await notes.execute("DELETE FROM notify.note")
    await notes.execute("TRUNCATE notify.note")
    await notes.insert(2)
    await eventually(lambda: len(every.told) == 4)
    assert [each["type"] for each in every.told] == ["INSERT", "UPDATE", "DELETE", "INSERT"]
    assert [each["type"] for each in deletes.told] == ["DELETE"]
    updated, deleted = every.told[1], every.told[2]
    assert (updated["record"]["text"], updated["old_record"]) == ("b", {"id": 1})
    assert deleted["old_record"] == {"id": 1}
    assert "record" not in deleted


async def test_a_row_that_is_gone_when_it_is_looked_for_is_not_told(
    notes: Notes, clients: Clients
) -> None:
    listener = await clients.listener().listen("*").subscribe()
    async with notes.connection.transaction():
        await notes.insert(1)
        await notes.execute("DELETE FROM notify.note")
    await eventually(lambda: listener.told)
    assert [each["type"] for each in listener.told] == ["DELETE"]


async def test_whole_old_rows_where_the_table_keeps_them(notes: Notes, clients: Clients) -> None:
    await notes.execute("ALTER TABLE notify.note REPLICA IDENTITY FULL")
    listener = await clients.listener().listen("*").subscribe()
    await notes.insert(1, text="a")
    await notes.execute("UPDATE notify.note SET text = 'b'")
    await eventually(lambda: len(listener.told) == 2)
    await notes.execute("DELETE FROM notify.note")
    await eventually(lambda: len(listener.told) == 3)
    assert listener.told[1]["old_record"]["text"] == "a"
    # Of a deleted row only the key, where there are policies that cannot be asked any more.
    assert listener.told[2]["old_record"] == {"id": 1}
    await notes.execute("ALTER TABLE notify.note DISABLE ROW LEVEL SECURITY")
    await notes.insert(2, text="c")
    await notes.execute("DELETE FROM notify.note")
    await eventually(lambda: len(listener.told) == 5)
    assert listener.told[4]["old_record"]["text"] == "c"


async def test_a_large_value_left_alone_is_not_told(notes: Notes, clients: Clients) -> None:
    await notes.execute("ALTER TABLE notify.note ALTER text SET STORAGE EXTERNAL")
    listener = await clients.listener().listen("UPDATE").subscribe()
    await notes.insert(1, text="x" * 5000)
    await notes.execute("UPDATE notify.note SET done = true")
    await eventually(lambda: listener.told)
    assert "text" not in listener.told[0]["record"]
    await notes.execute("ALTER TABLE notify.note REPLICA IDENTITY FULL")
    await notes.execute("UPDATE notify.note SET done = false")
    await eventually(lambda: len(listener.told) == 2)
    assert listener.told[1]["record"]["text"] == "x" * 5000


async def test_filters_hold_back_rows(notes: Notes, clients: Clients) -> None:
    listener = await clients.listener().listen(filter=f"enterprise_id=eq.{ACME}").subscribe()
    several = await clients.listener().listen(filter="id=gt.1,text=not.in.(a,b)").subscribe()
    await notes.insert(1, enterprise_id=GLOBEX, text="c")
    await notes.insert(2, text="a")
    await notes.insert(3, text="c")
    await notes.insert(4, text=None)
    await notes.insert(5, text="d")
    await eventually(lambda: len(listener.ids) == 4)
    assert listener.ids == [2, 3, 4, 5]
    assert several.ids == [3, 5]


@pytest.mark.parametrize(
    ("written", "fits"),
    [
        ("amount=eq.1.5", True),
        ("amount=neq.1.50", False),
        ("amount=lte.1.5,amount=gte.1.5", True),
        ("amount=lt.1.5", False),
        ("text=like.h%o", True),
        ("text=ilike.H%O", True),
        ("text=not.like.h%", False),
        ("text=match.^h.*o$", True),
        ("text=imatch.^H", True),
        ("text=in.(hello,bye)", True),
        ('text=eq."hello"', True),
        ("at=is.null", True),
        ("text=not.is.null", True),
        ("done=is.true", False),
        ("at=eq.2026-01-01", False),
        ("text=isdistinct.hello", False),
        ("at=isdistinct.2026-01-01", True),
        ("tags=eq.{x}", True),
    ],
)
async def test_all_operators(notes: Notes, clients: Clients, written: str, fits: bool) -> None:
    listener = await clients.listener().listen(filter=written).listen("UPDATE").subscribe()
    await notes.insert(1, amount="1.5", text="hello", tags=["x"])
    await notes.execute("UPDATE notify.note SET done = true")
    await eventually(lambda: listener.told)
    await eventually(lambda: listener.told[-1]["type"] == "UPDATE")
    assert [each["type"] for each in listener.told][:-1] == ["INSERT"] * fits


async def test_only_the_chosen_columns_and_the_key(notes: Notes, clients: Clients) -> None:
    listener = await clients.listener().listen(select=["text"], filter="done=eq.true").subscribe()
    await notes.insert(1, text="a", done=True)
    await eventually(lambda: listener.told)
    assert listener.told[0]["record"] == {"id": 1, "text": "a"}
    assert [column["name"] for column in listener.told[0]["columns"]] == ["id", "text"]


async def test_several_subscriptions_of_a_channel_are_told_together(
    notes: Notes, clients: Clients
) -> None:
    listener = await (
        clients.listener()
        .listen()
        .listen("*", table=None)
        .listen("*", filter="id=eq.2")
        .listen(select=["id"])
        .subscribe()
    )
    await notes.insert(1, text="a")
    await eventually(lambda: len(listener.changes) == 3)
    together, apart = {id(change): change for change in listener.changes}.values()
    assert [len(change["ids"]) for change in (together, apart)] == [2, 1]
    assert [len(change["data"]["record"]) for change in (together, apart)] == [8, 1]


async def test_a_key_of_several_columns(notes: Notes, clients: Clients) -> None:
    await notes.execute("ALTER TABLE notify.note DROP CONSTRAINT note_pkey")
    await notes.execute("ALTER TABLE notify.note ADD PRIMARY KEY (enterprise_id, id)")
    listener = await clients.user().listen("*").subscribe()
    await notes.insert(1)
    await notes.insert(1, enterprise_id=GLOBEX)
    await eventually(lambda: len(listener.told) == 1)
    await notes.execute("UPDATE notify.note SET id = id + 1")
    await eventually(lambda: len(listener.told) == 2)
    assert listener.ids == [1, 2]
    assert listener.told[1]["old_record"] == {"id": 1, "enterprise_id": ACME}


async def test_many_at_once(notes: Notes, clients: Clients) -> None:
    listener = await clients.listener().listen(select=["id"]).subscribe()
    await notes.insert(*range(300))
    await eventually(lambda: len(listener.ids) == 300)
    assert listener.ids == list(range(300))


async def test_a_row_that_is_too_large_is_told_without_its_large_values(
    notes: Notes, clients: Clients
) -> None:
    listener = await clients.listener().listen().subscribe()
    await notes.insert(1, text="x" * 1024 * 1024, tags=["x" * 61], done=True)
    await eventually(lambda: listener.told)
    (data,) = listener.told
    assert data["errors"] == ["Error 413: Payload Too Large"]
    assert data["record"] == {
        "id": 1,
        "enterprise_id": ACME,
        "amount": None,
        "done": True,
        "data": None,
        "at": None,
    }
    assert len(data["columns"]) == 8


async def test_a_table_that_is_not_published_is_complained_of(
    notes: Notes, clients: Clients
) -> None:
    await notes.execute("CREATE TABLE notify.other (id int PRIMARY KEY)")
    socket = await clients.socket()
    await socket.join(table="other")
    said = (await socket.receive())["payload"]
    assert (said["status"], said["extension"]) == ("error", "postgres_changes")
    assert "Please check Realtime is enabled" in said["message"]


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"filter": "colour=eq.red"}, "invalid column for filter colour"),
        ({"filter": "id=eq.one"}, 'invalid input syntax for type bigint: "one"'),
        ({"filter": "id"}, 'Error parsing `filter` params: ["id"]'),
        ({"filter": "id=eq.1,"}, "empty segments"),
        ({"select": ["colour"]}, "invalid column for select colour"),
        ({"select": "id"}, "expected a list"),
        ({"select": ["id"], "table": "*"}, "not supported for wildcard"),
    ],
)
async def test_what_cannot_be_is_complained_of(
    running: RunningRealtime, clients: Clients, asked: dict[str, object], complaint: str
) -> None:
    socket = await clients.socket()
    await socket.join(**asked)
    said = (await socket.receive())["payload"]
    assert said["status"] == "error"
    assert complaint in said["message"]
    assert running.realtime.log.count("not_subscribed") == 1


async def test_a_poll_may_take_its_time(database: str, notes: Notes, clients: Clients) -> None:
    options = RealtimeOptions(poll=0.1)
    async with running_realtime(database, clients.keys, options) as slow:
        others = Clients(slow.url, clients.keys)
        listener = await others.listener().listen().subscribe()
        await notes.insert(1)
        await notes.insert(2)
        await eventually(lambda: listener.ids == [1, 2])
        slow.realtime.outage(60)
        await others.close()
