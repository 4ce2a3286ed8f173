"""What goes wrong on purpose, as the real client meets it."""

import asyncio
import math
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidMessage

from tests.conftest import eventually
from xnovu_local.postgres import EmbeddedPostgres
from xnovu_local.supabase.realtime import LocalRealtime, RunningRealtime

from .conftest import TOPIC, Clients, Notes

CODES = (1000, 1001, 1002, 1006, 1008, 1011, 1012, 1013, 4000)


@pytest.fixture
def realtime(running: RunningRealtime) -> LocalRealtime:
    return running.realtime


async def test_closes_with_every_code(realtime: LocalRealtime, clients: Clients) -> None:
    for code in CODES:
        socket = await clients.socket()
        await eventually(lambda: realtime.connections == 1)
        realtime.drop(code, "so it is")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.receive()
        got = closed.value.rcvd
        assert (got.code, got.reason) == (code, "so it is") if got else code == 1006
        await eventually(lambda: realtime.connections == 0)


@pytest.mark.parametrize("code", CODES)
async def test_the_client_comes_back_after_a_close(
    realtime: LocalRealtime, notes: Notes, clients: Clients, code: int
) -> None:
    listener = await clients.listener().listen().subscribe()
    realtime.drop(code)
    await eventually(lambda: len(listener.system) == 2)
    await notes.insert(1)
    await eventually(lambda: listener.ids == [1])
    assert listener.states == ["SUBSCRIBED", "CHANNEL_ERROR", "SUBSCRIBED"]
    assert realtime.log.count("joined") == 2


async def test_what_happens_between_a_drop_and_the_rejoin_is_lost(
    realtime: LocalRealtime, notes: Notes, clients: Clients
) -> None:
    listener = await clients.listener().listen().subscribe()
    realtime.outage(math.inf)
    await notes.insert(1)
    await eventually(lambda: realtime.log.count("change") == 1)
    realtime.outage(0)
    await listener.client.connect()
    await eventually(lambda: len(listener.system) == 2)
    await notes.insert(2)
    await eventually(lambda: listener.ids == [2])


async def test_an_outage_lets_nobody_in_until_it_is_over(
    realtime: LocalRealtime, clients: Clients
) -> None:
    socket = await clients.socket()
    realtime.outage(0.5)
    with pytest.raises(ConnectionClosed):
        await socket.receive()
    while realtime.away:
        with suppress(OSError, InvalidMessage):
            await clients.socket()
    assert (await (await clients.socket()).join())["status"] == "ok"
    assert realtime.log.count("refused") >= realtime.log.count("connected") - 2


async def test_after_a_long_outage_the_client_is_dead(
    realtime: LocalRealtime, clients: Clients
) -> None:
    listener = await clients.listener().listen().subscribe()
    realtime.outage(math.inf)
    await eventually(lambda: realtime.log.count("refused") == 5)
    realtime.outage(0)
    assert not listener.client.is_connected
    await listener.client.connect()
    await eventually(lambda: len(listener.system) == 2)


async def test_half_open_nothing_is_read_and_nothing_answered(
    realtime: LocalRealtime, notes: Notes, clients: Clients
) -> None:
    dead = await (await clients.socket()).subscribe()
    realtime.fall_silent()
    await dead.send("phoenix", "heartbeat")
    answered = await dead.connection.ping()
    alive = await (await clients.socket()).subscribe()
    assert (await alive.ask("phoenix", "heartbeat"))["status"] == "ok"
    await notes.insert(1)
    assert (await alive.change())["record"]["id"] == 1
    assert realtime.log.count("heartbeat") == 1
    assert not answered.done()
    assert realtime.connections == 2
    realtime.drop()
    with pytest.raises(ConnectionClosed):
        await dead.receive()
    answered.cancel()
    await asyncio.gather(answered, return_exceptions=True)


async def test_mute_it_answers_but_tells_nothing(
    realtime: LocalRealtime, notes: Notes, clients: Clients
) -> None:
    socket = await (await clients.socket()).subscribe()
    realtime.faults.mute = True
    await notes.insert(1)
    await eventually(lambda: realtime.log.count("change") == 1)
    assert (await socket.ask("phoenix", "heartbeat"))["status"] == "ok"
    realtime.faults.mute = False
    await notes.insert(2)
    assert (await socket.change())["record"]["id"] == 2


async def test_refuses_joins_until_told_otherwise(
    realtime: LocalRealtime, clients: Clients
) -> None:
    realtime.faults.refuse_joins = "RealtimeRestarting: Realtime is restarting, please standby"
    socket = await clients.socket()
    answer = await socket.join()
    reason = "RealtimeRestarting: Realtime is restarting, please standby"
    assert answer == {"status": "error", "response": {"reason": reason}}
    listener = await clients.listener().listen().join()
    assert listener.states == ["CHANNEL_ERROR"]
    realtime.faults.refuse_joins = ""
    await eventually(lambda: listener.system)
    assert listener.states == ["CHANNEL_ERROR", "SUBSCRIBED"]


async def test_a_refusal_takes_its_time(realtime: LocalRealtime, clients: Clients) -> None:
    realtime.change(join_error_delay=math.inf)
    realtime.faults.refuse_joins = "Unauthorized: no"
    socket = await clients.socket()
    await socket.send(TOPIC, "phx_join")
    await eventually(lambda: realtime.log.count("join_refused") == 1)
    # The server's connection does nothing else meanwhile.
    await socket.send("phoenix", "heartbeat")
    another = await clients.socket()
    assert (await another.ask("phoenix", "heartbeat"))["status"] == "ok"
    assert realtime.log.count("heartbeat") == 1


async def test_an_expired_token_closes_the_channel_for_good(
    realtime: LocalRealtime, clients: Clients
) -> None:
    listener = await clients.user().listen().subscribe()
    realtime.expire()
    await eventually(lambda: "CLOSED" in listener.states)
    assert listener.states == ["SUBSCRIBED", "CHANNEL_ERROR", "CLOSED"]
    assert listener.client.is_connected
    assert realtime.channels == []


async def test_shuts_channels_down_with_an_error(realtime: LocalRealtime, clients: Clients) -> None:
    socket = await (await clients.socket()).subscribe()
    realtime.shut_down("Too many messages per second")
    said = await socket.receive()
    assert (said["event"], said["ref"]) == ("system", None)
    assert said["payload"] == {
        "channel": "notes",
        "extension": "system",
        "status": "error",
        "message": "Too many messages per second",
    }
    closed = await socket.receive()
    assert (closed["event"], closed["topic"], closed["payload"]) == ("phx_close", TOPIC, {})
    assert (await socket.ask(TOPIC, "broadcast"))["response"] == {"reason": "unmatched topic"}


async def test_subscribed_before_the_database_listens(
    realtime: LocalRealtime, notes: Notes, clients: Clients
) -> None:
    realtime.faults.late_system = math.inf
    late = await clients.listener().listen().join()
    assert late.states == ["SUBSCRIBED"]
    realtime.faults.late_system = None
    other = await clients.listener().listen().subscribe()
    await notes.insert(1)
    await eventually(lambda: other.ids == [1])
    assert (late.ids, late.system) == ([], [])


async def test_changes_are_skipped_in_silence(
    realtime: LocalRealtime, notes: Notes, clients: Clients
) -> None:
    listener = await clients.listener().listen().subscribe()
    realtime.faults.skip = 2
    await notes.insert(1, 2, 3)
    await eventually(lambda: listener.ids == [3])
    assert realtime.log.count("skipped") == 2
    assert realtime.log.count("told") == 1


async def test_errors_instead_of_rows(
    realtime: LocalRealtime, notes: Notes, clients: Clients
) -> None:
    socket = await (await clients.socket()).subscribe()
    realtime.faults.unauthorized = True
    await notes.insert(1)
    assert (await socket.change())["errors"] == ["Error 401: Unauthorized"]
    realtime.faults.unauthorized = False
    await notes.insert(2)
    assert (await socket.change())["record"]["id"] == 2


async def test_a_lost_database_is_listened_to_again(
    postgres_server: EmbeddedPostgres, database: str, realtime: LocalRealtime, clients: Clients
) -> None:
    listener = await clients.listener().listen().subscribe()
    postgres_server.kill()
    postgres_server.start()
    await eventually(lambda: len(listener.system) == 2)
    async with Notes.connected(database) as notes:
        await notes.insert(1)
        await eventually(lambda: listener.ids == [1])
    assert listener.states == ["SUBSCRIBED"]
