"""The protocol of Phoenix channels, spoken by hand."""

import pytest
from websockets.exceptions import ConnectionClosed

from tests.conftest import eventually
from xnovu_local.supabase.realtime import RunningRealtime
from xnovu_local.supabase.realtime.filters import Filter, parsed
from xnovu_local.supabase.realtime.frames import Frame, decoded

from .conftest import ASKED, TOPIC, Clients, Notes


async def test_a_join_is_answered_with_what_was_asked_for(clients: Clients) -> None:
    socket = await clients.socket()
    asked = [ASKED, {"event": "*", "schema": "notify", "table": "note", "filter": "id=gt.1"}]
    answer = await socket.ask(TOPIC, "phx_join", config={"postgres_changes": asked})
    assert answer["status"] == "ok"
    listed = answer["response"]["postgres_changes"]
    numbers = [each.pop("id") for each in listed]
    assert listed == asked
    assert len({*numbers, 0}) == 3
    said = await socket.receive()
    assert said == {
        "topic": TOPIC,
        "event": "system",
        "ref": None,
        "payload": {
            "channel": "notes",
            "extension": "postgres_changes",
            "status": "ok",
            "message": "Subscribed to PostgreSQL",
        },
    }


async def test_a_join_that_asks_for_no_changes_is_told_of_none(clients: Clients) -> None:
    socket = await clients.socket()
    answer = await socket.ask(TOPIC, "phx_join")
    assert answer == {"status": "ok", "response": {"postgres_changes": []}}
    assert (await socket.ask("phoenix", "heartbeat")) == {"status": "ok", "response": {}}


async def test_a_second_join_replaces_the_first(notes: Notes, clients: Clients) -> None:
    socket = await (await clients.socket()).subscribe()
    assert (await socket.join())["status"] == "ok"
    closed = await socket.receive()
    assert (closed["event"], closed["ref"]) == ("phx_close", "1")
    assert (await socket.receive())["event"] == "system"
    await notes.insert(1)
    await notes.insert(2)
    assert [(await socket.change())["record"]["id"] for _ in range(2)] == [1, 2]


async def test_who_has_left_is_told_no_more(
    running: RunningRealtime, notes: Notes, clients: Clients
) -> None:
    socket = await (await clients.socket()).subscribe()
    assert await socket.ask(TOPIC, "phx_leave") == {"status": "ok", "response": {}}
    closed = await socket.receive()
    assert (closed["event"], closed["ref"]) == ("phx_close", "1")
    await notes.insert(1)
    await eventually(lambda: running.realtime.log.count("change") == 1)
    await socket.subscribe()
    await notes.insert(2)
    assert (await socket.change())["record"]["id"] == 2
    assert running.realtime.log.count("left") == 1


@pytest.mark.parametrize("topic", ["realtime:", "room", "room:1"])
async def test_a_topic_needs_a_name(clients: Clients, topic: str) -> None:
    answer = await (await clients.socket()).ask(topic, "phx_join")
    assert answer["response"]["reason"] == "TopicNameRequired: You must provide a topic name"


@pytest.mark.parametrize("text", ["rubbish", "[]", '{"topic": 1}'])
async def test_what_is_no_message_ends_the_connection(clients: Clients, text: str) -> None:
    socket = await clients.socket()
    await socket.connection.send(text)
    with pytest.raises(ConnectionClosed) as closed:
        await socket.receive()
    assert closed.value.rcvd
    assert closed.value.rcvd.code == 1011


def test_a_frame_goes_out_with_a_ref_and_without_a_join_ref() -> None:
    text = Frame("t", "e", {"ä": 1}, None, "1").encoded()
    assert text == '{"topic":"t","event":"e","payload":{"ä":1},"ref":null}'
    assert decoded(text) == Frame("t", "e", {"ä": 1})


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("", []),
        (" ", []),
        ("id=eq.1", [Filter("id", "eq", "1")]),
        ("a=eq.x=y.z", [Filter("a", "eq", "x=y.z")]),
        ("a=in.(1,2),b=not.eq.3", [Filter("a", "in", "{1,2}"), Filter("b", "eq", "3", True)]),
        ('a=eq."x,y",b=lt.1', [Filter("a", "eq", "x,y"), Filter("b", "lt", "1")]),
        ('a=in.("x,(y",z)', [Filter("a", "in", '{"x,(y",z}')]),
        (r'a=eq."x\"y\\z"', [Filter("a", "eq", r"x\"y\z".replace(r"\"", '"'))]),
        ('a=eq.x"y', [Filter("a", "eq", 'x"y')]),
        ("a=is.null", [Filter("a", "is", "null")]),
    ],
)
def test_reads_filters(text: str, filters: list[Filter]) -> None:
    assert list(parsed(text)) == filters


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("undefined", r'\["undefined"\]'),
        ("a=foo.hey", r'\["foo", "hey"\]'),
        ("a=eq", r'\["eq"\]'),
        ("a=eq.1,,b=eq.2", "empty segments"),
        ("a=in.1", "wrapped by parentheses"),
        ("a=is.nil", "must be null, true, false, or unknown"),
    ],
)
def test_complains_of_filters(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parsed(text)
