"""Wake-ups by Realtime: when they call themselves connected, what wakes, and what they tell."""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import ValidationError

from tests import realtime_fixtures as fixtures
from tests.conftest import eventually
from tests.realtime_fixtures import KEY, Listening, Text
from tests.unit.adapters.supabase.realtime_server import Realtime, running
from tests.unit.adapters.supabase.test_realtime_access import jwt
from xnovu.adapters.supabase import realtime_client
from xnovu.adapters.supabase.options import RealtimeOptions
from xnovu.connection import Link
from xnovu.errors import ConfigurationError


@pytest.fixture
async def realtime() -> AsyncIterator[Realtime]:
    async with running() as server:
        yield server


async def wakes(told: Listening, realtime: Realtime) -> None:
    before = told.ear.heard
    await realtime.change()
    await eventually(lambda: told.ear.heard > before)


@asynccontextmanager
async def listening(
    realtime: Realtime, *enterprises: str, url: Text | None = None, key: Text = lambda: KEY, **more
) -> AsyncIterator[Listening]:
    """Started; in the end stopped, with nothing left behind."""
    at = url or (lambda: realtime.url)
    async with fixtures.listening(at, key, enterprises, **more) as told:
        yield told
    await eventually(lambda: not realtime.connections)


async def test_everyone_is_listened_for_on_one_channel(realtime: Realtime) -> None:
    async with listening(realtime) as told:
        await told.connected()
        assert list(realtime.channels) == ["realtime:xnovu"]
        (payload,) = realtime.joins
        inserts, updates = payload["config"]["postgres_changes"]
        table = {"schema": "notify", "table": "ent_notification", "select": ["id"]}
        assert inserts == {"event": "INSERT", **table}
        status = "notification_status=in.(PENDING,RETRACTED)"
        assert updates == {"event": "UPDATE", "filter": status, **table}
        assert (realtime.keys, payload["access_token"]) == ([KEY], KEY)


async def test_it_is_connected_once_every_channel_is_confirmed(realtime: Realtime) -> None:
    realtime.confirms = False
    async with listening(realtime, "acme", "globex") as told:
        await eventually(lambda: len(realtime.channels) == 2)
        other = {"channel": "", "extension": "system", "status": "ok", "message": "Connected"}
        await realtime.say("system", other)
        await realtime.confirm("realtime:xnovu-acme")
        session = told.wakeups._session
        await eventually(lambda: session and session._unconfirmed == {"xnovu-globex"})
        assert (told.now.state, told.ear.heard) == (Link.CONNECTING, 0)
        await realtime.confirm("realtime:xnovu-globex")
        await told.connected()
        assert (told.ear.heard, told.now.reconnects, told.now.reason) == (1, 0, "")
        assert told.now.last_event is None


@pytest.mark.parametrize("kind", ["INSERT", "UPDATE"])
async def test_a_change_wakes(realtime: Realtime, kind: str) -> None:
    async with listening(realtime) as told:
        await told.connected()
        await realtime.change(type=kind)
        await eventually(lambda: told.ear.heard == 2)
        assert told.now.last_event


async def test_a_row_too_large_to_be_sent_wakes(realtime: Realtime) -> None:
    async with listening(realtime) as told:
        await told.connected()
        await realtime.change(errors=["Error 413: Payload Too Large"], record={})
        await eventually(lambda: told.ear.heard == 2)
        assert told.now.reconnects == 0


async def test_what_the_server_subscribed_to_anew_may_have_been_missed(realtime: Realtime) -> None:
    async with listening(realtime) as told:
        await told.connected()
        await realtime.confirm()
        await eventually(lambda: told.ear.heard == 2)
        assert told.now.reconnects == 0


async def test_an_older_server_is_asked_with_one_filter(realtime: Realtime) -> None:
    realtime.parses = False
    async with listening(realtime, "acme") as told:
        await told.connected()
        updates = realtime.joins[-1]["config"]["postgres_changes"][1]
        assert updates["filter"] == "enterprise_id=eq.acme"
        heard = told.ear.heard
        await realtime.change(type="UPDATE", record={"id": 7, "notification_status": "SENT"})
        await realtime.change(type="UPDATE", record={"id": 7, "notification_status": "RETRACTED"})
        await eventually(lambda: told.ear.heard > heard)
        await wakes(told, realtime)
        assert told.ear.heard == heard + 2


@pytest.mark.parametrize("errors", ["Error 401: Unauthorized", "Error 400: Bad Request"])
async def test_rows_it_may_not_read_are_a_loss(realtime: Realtime, errors: str) -> None:
    async with listening(realtime) as told:
        await told.connected()
        await realtime.change(errors=[errors], commit_timestamp=None, record={})
        await eventually(lambda: told.now.reconnects == 1)
        await told.connected(2)
        await wakes(told, realtime)


@pytest.mark.parametrize("event", ["system", "phx_close", "phx_error"])
async def test_the_end_of_a_channel_is_heard_in_words_nobody_knows(
    realtime: Realtime, event: str
) -> None:
    async with listening(realtime) as told:
        await told.connected()
        await realtime.say(event, ["?"])
        await told.connected(2)


async def test_what_concerns_nobody_is_ignored(realtime: Realtime) -> None:
    async with listening(realtime) as told:
        await told.connected()
        await realtime.say("presence_state", ["?"])
        await realtime.say("postgres_changes", "?")
        for connection, _ in realtime.channels.values():
            await connection.send("no JSON")
            await connection.send("[]")
        await wakes(told, realtime)
        assert told.now.reconnects == 0


async def test_a_wake_that_raises_ends_nothing_but_a_connection(realtime: Realtime) -> None:
    async with listening(realtime) as told:
        await told.connected()
        told.ear.fails = True
        await realtime.change()
        await told.connected(2)
        await wakes(told, realtime)


async def test_a_changed_key_makes_a_new_connection(realtime: Realtime) -> None:
    keys = ["first"]
    async with listening(realtime, key=lambda: keys[-1]) as told:
        await told.connected()
        keys.append("second")
        await told.connected(2)
        assert realtime.keys == keys


async def test_a_key_that_cannot_be_read_for_a_while_does_no_harm(realtime: Realtime) -> None:
    asked = 0

    def key() -> str:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise ConfigurationError("the file is gone")
        return KEY

    async with listening(realtime, key=key) as told:
        await told.connected()
        await eventually(lambda: asked > 3)
        assert told.now.state is Link.CONNECTED


async def test_no_key_is_told(realtime: Realtime) -> None:
    def key() -> str:
        raise ConfigurationError("XNOVU_SUPABASE_KEY is not set")

    async with listening(realtime, key=key) as told:
        await told.down("XNOVU_SUPABASE_KEY is not set")
        assert told.now.state is Link.CONNECTING


async def test_a_token_is_replaced_before_it_ends(realtime: Realtime) -> None:
    tokens = [jwt({"exp": time.time() + 30}), jwt({"exp": time.time() + 3600})]
    asked: list[str] = []

    def token() -> str:
        asked.append(tokens[min(len(asked), 1)])
        return asked[-1]

    async with listening(realtime, "acme", "globex", token=token) as told:
        await told.connected()
        await eventually(lambda: len(realtime.tokens) == 2)
        assert [join["access_token"] for join in realtime.joins] == [tokens[0]] * 2
        assert realtime.tokens == [tokens[1]] * 2
        assert (asked, told.now.reconnects, realtime.keys) == (tokens, 0, [KEY])


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "refuses the key (HTTP 401)"), (403, "refuses the key"), (503, "answers HTTP 503")],
)
async def test_a_handshake_that_is_refused(realtime: Realtime, status: int, reason: str) -> None:
    realtime.status = status
    async with listening(realtime) as told:
        await told.down(reason)
        realtime.status = None
        await told.connected()


async def test_a_url_that_is_none_is_told_and_asked_for_again(realtime: Realtime) -> None:
    urls = ["supabase"]
    async with listening(realtime, url=lambda: urls[-1]) as told:
        await told.down("the URL of the Supabase project must be http(s)")
        urls.append(realtime.url)
        await told.connected()


async def test_a_library_that_does_not_fit_is_told(
    realtime: Realtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(realtime_client.LEANS_ON, "channel", ("_handle_message", "_gone"))
    async with listening(realtime) as told:
        await told.down("does not fit this XNovu: AsyncRealtimeChannel has no _gone")


async def test_missed_rows_of_a_channel_that_speaks_are_no_matter(realtime: Realtime) -> None:
    async with listening(realtime, mute=3600) as told:
        told.wakeups.missed(100)
        await told.connected()
        told.wakeups.missed(2)
        await wakes(told, realtime)
        told.wakeups.missed(2)
        session = told.wakeups._session
        assert session
        assert session._mute is None
        told.wakeups.missed(1)
        assert session._mute is not None
        await wakes(told, realtime)
        assert session._mute is None


async def test_a_silent_channel_is_noticed_among_others(realtime: Realtime) -> None:
    async with listening(realtime, "acme", "globex", silence=0.3) as told:

        async def joined_anew() -> bool:
            await realtime.change("realtime:xnovu-acme")
            return "nothing was told" in "".join(told.diary.losses)

        await eventually(joined_anew)


async def test_nothing_private_is_logged(
    realtime: Realtime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    private = "ada@example.org"
    async with listening(realtime, "0b5c6a52-6d55-4f0e-8d0c-9d4c6f0e7a11") as told:
        await told.connected()
        await realtime.change(record={"id": 7, "payload": private})
        await realtime.say("postgres_changes", {"ids": [1], "data": {"record": private}})
        await realtime.say("presence_state", private)
        await wakes(told, realtime)
        realtime.refuse = f"Unauthorized: {KEY} may not read '{private}'"
        await realtime.system("error", f"no more of {private} for {KEY}")
        await told.down("the server refuses: Unauthorized …")
        assert private not in told.now.reason
        assert KEY not in told.now.reason
    said = [r for r in caplog.records if not r.name.startswith(("websockets.server", "asyncio"))]
    assert any("the server refuses" in record.getMessage() for record in said)
    assert not any(private in line or KEY in line for line in map(logging.Formatter().format, said))


def test_more_channels_than_a_connection_may_have_are_refused() -> None:
    RealtimeOptions(enterprises=frozenset(str(n) for n in range(100)))
    with pytest.raises(ValidationError, match=r"101 enterprises, and .* holds 100 channels"):
        RealtimeOptions(enterprises=frozenset(str(n) for n in range(101)))


@pytest.mark.parametrize("enterprise", ["", "a,b", "a b", "(a)", '"a"'])
def test_an_enterprise_no_filter_can_name_is_refused(enterprise: str) -> None:
    with pytest.raises(ValidationError):
        RealtimeOptions(enterprises=frozenset({enterprise}))
