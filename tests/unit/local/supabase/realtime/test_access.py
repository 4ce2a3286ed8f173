"""Who is let in, and who is told what."""

import json
import time

import jwt
import pytest
from websockets.exceptions import InvalidStatus

from tests.conftest import eventually
from xnovu.testing.contract.store_bench import ACME, GLOBEX
from xnovu_local.supabase import Keys
from xnovu_local.supabase.realtime import RunningRealtime

from .conftest import TOPIC, Clients, Notes


@pytest.mark.parametrize("key", ["", "sb_secret_unknown", "eyJ.not.one"])
async def test_a_wrong_key_does_not_get_as_far_as_a_websocket(clients: Clients, key: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await clients.socket(key)
    assert refused.value.response.status_code == 401
    said = json.loads(refused.value.response.body or b"")["message"]
    assert said == ("Invalid API key" if key else "No API key found in request")


async def test_both_kinds_of_keys_let_in_until_they_are_revoked(
    clients: Clients, keys: Keys
) -> None:
    for key in (keys.anon, keys.service_role, keys.publishable, keys.secret):
        await clients.socket(key)
        keys.revoke(key)
        with pytest.raises(InvalidStatus):
            await clients.socket(key)


async def test_each_is_told_of_the_rows_that_its_token_may_see(
    notes: Notes, clients: Clients
) -> None:
    service = await clients.listener().listen("*").subscribe()
    acme = await clients.user(ACME).listen("*").subscribe()
    globex = await clients.user(GLOBEX).listen("*").subscribe()
    await notes.insert(1)
    await notes.insert(2, enterprise_id=GLOBEX)
    await notes.insert(3, enterprise_id=None)
    await notes.insert(4)
    await eventually(lambda: len(service.ids) == 4)
    await eventually(lambda: acme.ids == [1, 4])
    assert globex.ids == [2]
    await notes.execute(f"UPDATE notify.note SET enterprise_id = '{GLOBEX}' WHERE id = 4")
    await eventually(lambda: globex.ids == [2, 4])
    assert acme.ids == [1, 4]


async def test_of_a_deleted_row_everyone_is_told_the_key(notes: Notes, clients: Clients) -> None:
    globex = await clients.user(GLOBEX).listen("*").subscribe()
    await notes.insert(1)
    await notes.execute("DELETE FROM notify.note")
    await eventually(lambda: globex.told)
    assert globex.told[0]["old_record"] == {"id": 1}


async def test_columns_that_a_role_may_not_read_are_not_told(
    notes: Notes, clients: Clients
) -> None:
    await notes.execute("REVOKE SELECT ON notify.note FROM authenticated")
    await notes.execute("GRANT SELECT (id, enterprise_id) ON notify.note TO authenticated")
    listener = await clients.user().listen().subscribe()
    await notes.insert(1, text="a")
    await eventually(lambda: listener.told)
    assert listener.told[0]["record"] == {"id": 1, "enterprise_id": ACME}
    assert [column["name"] for column in listener.told[0]["columns"]] == ["id", "enterprise_id"]


def nothing_but(error: str, **more: object) -> dict[str, object]:
    """What is told instead of a row."""
    said = {"schema": "notify", "table": "note", "type": "INSERT", "errors": [error]}
    return said | {"commit_timestamp": None, "columns": [], "record": {}} | more


async def test_who_may_not_read_the_key_is_told_that_alone(notes: Notes, clients: Clients) -> None:
    await notes.execute("GRANT USAGE ON SCHEMA notify TO anon")
    socket = await (await clients.socket(clients.keys.anon)).subscribe()
    listener = await clients.listener(clients.keys.publishable).listen().subscribe()
    await notes.insert(1)
    assert await socket.change() == nothing_but("Error 401: Unauthorized")
    await notes.execute("GRANT SELECT ON notify.note TO anon")
    await notes.execute("CREATE POLICY all_of_them ON notify.note FOR SELECT TO anon USING (true)")
    await notes.insert(2)
    assert (await socket.change())["record"]["id"] == 2
    await eventually(lambda: listener.told)
    assert listener.ids == [2]  # the client drops what has no commit time


async def test_a_table_without_a_key_is_told_that_alone(notes: Notes, clients: Clients) -> None:
    await notes.execute("ALTER TABLE notify.note DROP CONSTRAINT note_pkey")
    socket = await (await clients.socket()).subscribe()
    await notes.insert(1)
    assert await socket.change() == nothing_but("Error 400: Bad Request, no primary key")


async def test_a_policy_that_fails_is_told_that_alone(notes: Notes, clients: Clients) -> None:
    await notes.execute(
        "CREATE POLICY rotten ON notify.note FOR SELECT TO authenticated USING (1 / (id - 1) > 0)"
    )
    token = clients.keys.user_token(GLOBEX)
    socket = await clients.socket(clients.keys.anon)
    await socket.send(TOPIC, "access_token", access_token=token)
    assert (await socket.receive())["payload"]["response"] == {"reason": "unmatched topic"}
    config = {"postgres_changes": [{"event": "*", "schema": "notify"}]}
    assert (await socket.ask(TOPIC, "phx_join", config=config, access_token=token))["status"] == (
        "ok"
    )
    await socket.receive()
    await notes.insert(1)
    assert await socket.change() == nothing_but(
        "Error 500: Internal Server Error, RLS policy evaluation failed"
    )
    await notes.insert(2)
    assert (await socket.change())["record"]["id"] == 2


def signed(secret: str, **claims: object) -> str:
    return jwt.encode(claims, secret)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("InvalidJWTToken", r"Token has expired \d+ seconds ago"),
        ("InvalidJWTToken", "Fields `role` and `exp` are required in JWT"),
        ("JwtSignatureError", "Failed to validate JWT signature"),
        ("MalformedJWT", "The token provided is not a valid JWT"),
    ],
)
async def test_a_bad_token_is_refused_in_the_servers_words(
    running: RunningRealtime, clients: Clients, keys: Keys, code: str, text: str
) -> None:
    soon = time.time() + 60
    token = {
        r"Token has expired \d+ seconds ago": keys.user_token(ACME, exp=1),
        "Fields `role` and `exp` are required in JWT": signed(keys.jwt_secret, role="anon"),
        "Failed to validate JWT signature": signed("x" * 32, role="anon", exp=soon),
        "The token provided is not a valid JWT": "rubbish",
    }[text]
    socket = await clients.socket()
    answer = await socket.ask(TOPIC, "phx_join", access_token=token)
    assert answer["status"] == "error"
    with pytest.raises(AssertionError, match=f"^{code}: {text}$"):
        raise AssertionError(answer["response"]["reason"])
    assert running.realtime.log.count("join_refused") == 1


async def test_private_channels_are_nobodys(clients: Clients) -> None:
    socket = await clients.socket()
    answer = await socket.ask(TOPIC, "phx_join", config={"private": True})
    reason = "Unauthorized: You do not have permissions to read from this Channel topic: notes"
    assert answer == {"status": "error", "response": {"reason": reason}}


async def test_a_new_token_is_heeded(notes: Notes, clients: Clients) -> None:
    acme = await clients.user(ACME).listen().subscribe()
    service = await clients.listener().listen().subscribe()
    await notes.insert(1)
    await eventually(lambda: acme.ids == [1])
    await acme.client.set_auth(clients.keys.user_token(GLOBEX))
    await eventually(lambda: len(acme.system) == 2)
    await notes.insert(2)
    await notes.insert(3, enterprise_id=GLOBEX)
    await eventually(lambda: service.ids == [1, 2, 3])
    await eventually(lambda: acme.ids == [1, 3])
    assert acme.states == ["SUBSCRIBED"]


async def test_what_is_no_new_token_changes_nothing(
    running: RunningRealtime, notes: Notes, clients: Clients
) -> None:
    listener = await clients.user(ACME).listen().subscribe()
    same = listener.client.access_token
    for token in (None, clients.keys.secret, same):
        await listener.client.set_auth(token)
    await notes.insert(1)
    await eventually(lambda: listener.ids == [1])
    assert running.realtime.log.count("access_token") == 0
    assert listener.system == ["Subscribed to PostgreSQL"]


async def test_a_bad_new_token_ends_the_channel(clients: Clients) -> None:
    listener = await clients.user(ACME).listen().subscribe()
    await listener.client.set_auth(clients.keys.user_token(ACME, exp=1))
    await eventually(lambda: "CLOSED" in listener.states)
    assert listener.client.is_connected


async def test_the_channel_ends_with_its_token(running: RunningRealtime, clients: Clients) -> None:
    listener = await clients.user(ACME).listen().subscribe()
    await listener.client.set_auth(clients.keys.user_token(ACME, exp=int(time.time()) + 2))
    await eventually(lambda: "CLOSED" in listener.states)
    assert listener.states == ["SUBSCRIBED", "CHANNEL_ERROR", "CLOSED"]
    (entry,) = [entry for entry in running.realtime.log if entry.what == "shut_down"]
    assert entry.detail == "Token has expired 0 seconds ago"
