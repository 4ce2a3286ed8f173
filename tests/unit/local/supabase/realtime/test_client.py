"""The local Realtime as the real client meets it."""

import psycopg

from tests.conftest import eventually
from xnovu.local.supabase.realtime import RunningRealtime

from .conftest import ACME, Clients, insert


async def test_tells_of_an_insert(connection: psycopg.AsyncConnection, clients: Clients) -> None:
    listener = await clients.listener().listen().subscribe()
    assert listener.states == ["SUBSCRIBED"]
    assert listener.system == ["Subscribed to PostgreSQL"]
    await insert(connection, 1, text="a", amount="1.50", done=True, tags=["x", "y"])
    await eventually(lambda: listener.changes)
    (change,) = listener.changes
    data = change["data"]
    assert (data["schema"], data["table"], data["type"]) == ("notify", "note", "INSERT")
    assert data["errors"] is None
    assert data["record"] == {
        "id": 1,
        "enterprise_id": ACME,
        "text": "a",
        "amount": 1.5,
        "done": True,
        "tags": ["x", "y"],
        "data": None,
        "at": None,
    }
    assert data["columns"][0] == {"name": "id", "type": "int8"}


async def test_reconnects_after_every_close_code(
    running: RunningRealtime, connection: psycopg.AsyncConnection, clients: Clients
) -> None:
    listener = await clients.listener().listen().subscribe()
    for number, code in enumerate((1000, 1001, 1002, 1006, 1008, 1011, 1012, 1013, 4000)):
        running.realtime.drop(code)
        await eventually(lambda number=number: len(listener.system) == number + 2)
        await insert(connection, number)
        await eventually(lambda number=number: len(listener.ids) == number + 1)
    assert listener.states.count("CHANNEL_ERROR") == 9
    assert listener.ids == list(range(9))
