"""The transport on Postgres, beyond what every transport promises."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.conftest import eventually
from xnovu.adapters.mailboxes import MailboxOptions, PostgresTransport
from xnovu.adapters.mailboxes.archive import MessageArchive, MessageMailboxes, MessageRecipient
from xnovu.adapters.mailboxes.box import LAST
from xnovu.adapters.mailboxes.calls import Calls, Nothing, Taken
from xnovu.adapters.postgres.preflight import preflight
from xnovu.adapters.postgres.store import PostgresFunctions, PostgresOptions
from xnovu.adapters.postgres.wakeups import NotifyHints
from xnovu.archive import Replay, Selection, Target
from xnovu.cli.operate import consumers, dead, letters, replay
from xnovu.compose.operating import paused
from xnovu.compose.secrets import DATABASE_URL
from xnovu.compose.settings import load
from xnovu.envelope import Envelope, decode
from xnovu.errors import ConfigurationError
from xnovu.events import Failure, Rejected
from xnovu.policy import Done, Fate, Policy, Retry
from xnovu.ports import Delivery
from xnovu.testing.builders import captured
from xnovu.testing.contract.transport_bench import Recorder, number, published, running, settled

LEASE = 1.0
OPTIONS = MailboxOptions(lease=LEASE, poll=0.1)
POLICY = Policy(batch=10, slots=1)


def transport(dsn: str, *, hints: bool = True, pooled: bool = False) -> PostgresTransport:
    functions = PostgresFunctions(dsn, PostgresOptions(transaction_pooler=pooled))
    return PostgresTransport(functions, OPTIONS, NotifyHints(dsn) if hints else None)


@pytest.fixture
async def functions(migrated: str) -> AsyncIterator[PostgresFunctions]:
    functions = PostgresFunctions(migrated)
    await functions.open()
    yield functions
    await functions.close()


@pytest.fixture
async def calls(functions: PostgresFunctions) -> Calls:
    calls = Calls(functions)
    await calls.open("box", ["ingest"])
    return calls


@asynccontextmanager
async def publisher(dsn: str) -> AsyncIterator[PostgresTransport]:
    """Somebody who reads nothing."""
    told = transport(dsn)
    await told.start()
    try:
        yield told
    finally:
        await told.stop()


async def vanish(dsn: str, calls: Calls, lease: float = 0.0) -> list[int]:
    """Take what there is as somebody who is never heard of again."""
    taken = await calls.take("box", str(uuid4()), 10, lease)
    assert not isinstance(taken, Nothing)
    return [number(one.delivery) for one in taken]


async def test_what_was_in_hand_of_one_that_vanished_comes_again_alone(
    migrated: str, calls: Calls
) -> None:
    async with publisher(migrated) as told:
        await published(told, 1, 2, 3)
    assert await vanish(migrated, calls) == [1, 2, 3]
    handler = Recorder()
    async with running(transport(migrated), "box", handler, POLICY):
        await eventually(lambda: len(handler.seen) == 3)
    assert sorted(handler.seen) == [(1, 2), (2, 2), (3, 2)]
    assert handler.batches == [1, 1, 1]


async def test_what_takes_every_worker_with_it_is_a_dead_letter(
    migrated: str, calls: Calls, functions: PostgresFunctions
) -> None:
    async with publisher(migrated) as told:
        await published(told, 7)
    for _ in range(LAST):
        assert await vanish(migrated, calls) == [7]
    handler = Recorder()
    async with running(transport(migrated), "box", handler, POLICY) as _:
        await eventually_empty(calls)
    assert handler.seen == []
    [kept] = [each async for each in MessageArchive(functions).read(Selection(kind="dead"))]
    event = decode(kept.headers, kept.body, kept.address).event
    assert isinstance(event, Rejected)
    failure = event.failure
    assert (failure.code, failure.stage, failure.attempts) == ("crashed", "box", LAST)


async def eventually_empty(calls: Calls) -> None:
    async def empty() -> bool:
        [state] = await calls.states(["box"])
        return state.backlog.unsettled == 0

    await eventually(empty)


async def test_an_answer_that_was_lost_is_given_again(migrated: str, calls: Calls) -> None:
    async with publisher(migrated) as told:
        await published(told, *range(5))
    token = str(uuid4())
    first = await calls.take("box", token, 3, LEASE)
    assert not isinstance(first, Nothing)
    assert await calls.take("box", token, 3, LEASE) == first
    other = await calls.take("box", str(uuid4()), 3, LEASE)
    assert [number(one.delivery) for one in taken_of(other)] == [3, 4]


def taken_of(found: Sequence[Taken] | Nothing) -> Sequence[Taken]:
    assert not isinstance(found, Nothing)
    return found


async def test_whose_lease_has_lapsed_settles_nothing(migrated: str, calls: Calls) -> None:
    async with publisher(migrated) as told:
        await published(told, 1)
    slow, quick = str(uuid4()), str(uuid4())
    late = taken_of(await calls.take("box", slow, 1, 0.0))
    now = taken_of(await calls.take("box", quick, 1, LEASE))
    await calls.settle("box", slow, late, [Done()])
    await calls.settle("box", slow, late, [Retry(0.0)])
    [state] = await calls.states(["box"])
    assert (state.backlog.unsettled, state.backlog.queued) == (1, 0)
    await calls.settle("box", quick, now, [Done()])
    [state] = await calls.states(["box"])
    assert state.backlog.unsettled == 0


async def test_without_hints_a_mailbox_is_looked_into(migrated: str) -> None:
    """As behind a pooler by transaction."""
    handler = Recorder()
    pooled = transport(migrated, hints=False, pooled=True)
    async with running(pooled, "box", handler, POLICY):
        await published(pooled, 1)
        await eventually(lambda: handler.seen)


async def test_a_hint_comes_at_once(migrated: str) -> None:
    handler = Recorder()
    options = OPTIONS.model_copy(update={"poll": 60.0})
    slow = PostgresTransport(PostgresFunctions(migrated), options, NotifyHints(migrated))
    async with publisher(migrated) as told, running(slow, "box", handler, POLICY):
        for n in range(3):
            await published(told, n)
            await eventually(lambda n=n: (n, 1) in handler.seen)


async def test_tables_that_were_emptied_are_filled_again(migrated: str) -> None:
    handler = Recorder()
    one = transport(migrated)
    async with running(one, "box", handler, POLICY):
        await published(one, 1)
        await eventually(lambda: handler.seen)
        execute(
            migrated,
            "TRUNCATE notify.xnovu_message, notify.xnovu_delivery, notify.xnovu_mailbox",
        )
        await published(one, 2)
        await eventually(lambda: (2, 1) in handler.seen)
        assert await one.ready() is None


def execute(dsn: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        done = connection.execute(query.encode())
        return done.fetchall() if done.description else []


async def test_all_that_is_old_is_forgotten_however_much_it_is(
    migrated: str, calls: Calls, functions: PostgresFunctions
) -> None:
    async with publisher(migrated) as told:
        await published(told, *range(25))
        execute(migrated, "UPDATE notify.xnovu_message SET published_at = now() - interval '2 d'")
        await published(told, 99)
    assert await calls.tidy(86_400.0, most=4) == 25
    assert await MessageArchive(functions).count(Selection(kind="ingest")) == 1


async def test_a_batch_that_was_forgotten_meanwhile_holds_nothing_up(
    migrated: str, calls: Calls
) -> None:
    """What comes after it, under the same token, is settled all the same."""
    handler = Recorder()
    async with publisher(migrated) as told:
        await published(told, 1, 2)
        execute(migrated, "DELETE FROM notify.xnovu_message")
        await published(told, 3)
    async with running(transport(migrated), "box", handler, Policy(batch=2, slots=1)):
        await eventually(lambda: handler.seen == [(3, 1)])
        await eventually_empty(calls)
    assert handler.seen == [(3, 1)]


async def test_what_is_old_is_forgotten_settled_or_not(
    migrated: str, calls: Calls, functions: PostgresFunctions
) -> None:
    async with publisher(migrated) as told:
        await published(told, 1, 2)
        execute(migrated, "UPDATE notify.xnovu_message SET published_at = now() - interval '2 d'")
        await published(told, 3)
    await calls.tidy(86_400.0)
    assert await MessageArchive(functions).count(Selection(kind="ingest")) == 1
    assert await vanish(migrated, calls) == [3]


async def test_a_mailbox_that_is_new_begins_where_it_was_told(migrated: str, calls: Calls) -> None:
    async with publisher(migrated) as told:
        await published(told, 1)
        await calls.open("from now", ["ingest"], "now")
        await calls.open("all", ["ingest"])
        await calls.open("since", ["ingest"], datetime.now(UTC) + timedelta(hours=1))
        await published(told, 2)
    states = {each.name: each.backlog.unsettled for each in await calls.states(None)}
    assert states == {"box": 2, "from now": 1, "all": 2, "since": 1}


async def test_a_mailbox_that_reads_another_kind_leaves_the_former_one(
    migrated: str, calls: Calls
) -> None:
    async with publisher(migrated) as told:
        await published(told, 1)
    await calls.open("box", ["status"])
    assert [each.backlog.unsettled for each in await calls.states(["box"])] == [0]
    await calls.open("box", ["ingest", "status"])
    assert [each.backlog.unsettled for each in await calls.states(["box"])] == [1]


async def test_no_message_is_missed_or_doubled_by_a_mailbox_that_is_made_meanwhile(
    migrated: str, calls: Calls
) -> None:
    async with publisher(migrated) as told:
        many = [told.publish([captured(n)]) for n in range(60)]
        opened = [calls.open(f"box {n}", ["ingest"]) for n in range(10)]
        await asyncio.gather(*many, *opened)
    assert {each.backlog.unsettled for each in await calls.states(None)} == {60}


async def test_what_is_kept_is_read_replayed_and_taken_out(
    migrated: str, calls: Calls, functions: PostgresFunctions
) -> None:
    handler, archive = Recorder(), MessageArchive(functions)
    one = transport(migrated)
    async with running(one, "box", handler, POLICY):
        await one.publish([captured(n, enterprise_id="acme" if n % 2 else "b") for n in range(450)])
        await eventually(lambda: len(handler.seen) == 450)
        await settled(one, "box")
        of_acme = Selection(kind="ingest", enterprise_id="acme")
        assert await archive.count(of_acme) == 225
        told: list[int] = []
        recipient = MessageRecipient(functions, Target(stage="box"))
        again = Replay(archive, recipient, 100, 0.0)
        assert await again.run(of_acme, told.append) == 225
        await eventually(lambda: len(handler.seen) == 675)
        assert told[-1] == 225
    numbers = [kept.number async for kept in archive.read(of_acme)]
    assert len(numbers) == 225
    assert await archive.remove("ingest", numbers) == 225
    assert await archive.count(Selection(kind="ingest")) == 225
    assert {
        kept.address.enterprise_id async for kept in archive.read(Selection(kind="ingest"))
    } == {"b"}


async def test_mailboxes_are_listed_and_one_that_is_gone_is_taken_away(
    migrated: str, functions: PostgresFunctions
) -> None:
    mailboxes = MessageMailboxes(functions)
    one = transport(migrated)

    async def is_read() -> bool:
        return [each.running for each in await mailboxes.all()] == [True]

    async def is_left() -> bool:
        return [each.running for each in await mailboxes.all()] == [False]

    async def busy(deliveries: Sequence[Delivery]) -> Sequence[Fate]:
        return [Retry(60.0)] * len(deliveries)

    async with running(one, "greeter", busy, POLICY):
        await published(one, 1)
        await eventually(is_read)
        with pytest.raises(ConfigurationError, match="runs: stop it first"):
            await mailboxes.left_by("greeter")
    await eventually(is_left)
    assert await mailboxes.left_by("greeter") == 1
    await mailboxes.remove("greeter")
    assert await mailboxes.all() == []
    with pytest.raises(ConfigurationError, match="no consumer"):
        await mailboxes.left_by("greeter")


@pytest.fixture
def configured(migrated: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """As commands find it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(DATABASE_URL, migrated)
    monkeypatch.setenv("XNOVU_TRANSPORT__KIND", "postgres")
    return migrated


async def test_commands_find_their_way_to_the_tables(
    configured: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`replay`, `dead`, `consumers` and `show`, as on NATS."""
    one, handler = transport(configured), Recorder()
    async with running(one, "hydrate", handler, POLICY):
        await published(one, 1, 2)
        await one.publish([rejected()])
        await eventually(lambda: len(handler.seen) == 2)
        wanted = replay.Wanted(kind="ingest")
        assert await replay.replay(wanted, yes=True, who="me", as_json=True) == 0
        await eventually(lambda: len(handler.seen) == 4)
        assert told(capsys) == {"messages": 2, "to": "stage hydrate", "replayed": 2}
        with pytest.raises(ConfigurationError, match="subjects are NATS'"):
            elsewhere = replay.Wanted(kind="ingest", to="rebuild.all")
            await replay.replay(elsewhere, yes=True, who="me", as_json=True)
        await consumers.tell_all(as_json=True)
        [box] = told(capsys)
        assert (box["name"], box["kinds"], box["running"]) == ("hydrate", ["ingest"], True)
        await one.pause("hydrate", 60.0, "the provider is away")
        assert await paused(load()) == {"hydrate": "the provider is away"}
        assert "the provider is away" in str(await one.ready())
    await dead.tell_all(letters.Wanted(), as_json=True, each=False)
    [letter] = told(capsys)
    assert (letter["notification_id"], letter["failure"]["stage"]) == (9, "hydrate")
    thrown = letters.Wanted(numbers=(letter["number"],))
    assert await dead.discard(thrown, "a test", yes=True, who="me", as_json=True) == 0
    assert told(capsys) == {"letters": 1, "thrown_away": 1}


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def rejected() -> Envelope[Rejected]:
    at = datetime.now(UTC)
    failure = Failure(code="bad", stage="hydrate", message="no", attempts=1, at=at)
    return Envelope(Rejected(notification_id=9, enterprise_id="acme", failure=failure))


@pytest.mark.parametrize("command", ["replay", "dead"])
async def test_a_transport_that_keeps_nothing_says_so(
    command: str, configured: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XNOVU_TRANSPORT__KIND", "memory")
    with pytest.raises(ConfigurationError, match=r'transport\.kind is "memory"'):
        if command == "replay":
            wanted = replay.Wanted(kind="ingest")
            await replay.replay(wanted, yes=True, who="me", as_json=True)
        else:
            await dead.tell_all(letters.Wanted(), as_json=True, each=False)


async def test_what_is_needed_of_the_database_is_tried_beforehand(configured: str) -> None:
    found = await preflight(configured, ["transport"])
    assert [each.fault for each in found if each.fault] == []
    execute(configured, "DROP FUNCTION notify.take_messages")
    [fault] = [each.fault for each in await preflight(configured, ["transport"]) if each.fault]
    assert "notify.take_messages" in fault
    assert "xnovu migrate" in fault
