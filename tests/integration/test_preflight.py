"""What the preflight says is what a stage would run into: it only asks the servers."""

import re
from collections.abc import Iterator

import psycopg
import pytest
from nats.js.api import StreamConfig
from psycopg.conninfo import make_conninfo

from tests.builders import namespace
from tests.integration.test_rights import Guarded, guarded
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.preflight import preflight as of_broker
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.topology import stream_name
from xnovu.adapters.nats.visit import visiting
from xnovu.adapters.postgres.migrations import make_roles
from xnovu.adapters.postgres.preflight import preflight as of_database
from xnovu.errors import ConfigurationError, Paused
from xnovu.finding import Finding
from xnovu.policy import Policy
from xnovu.sql.needs import NEEDS
from xnovu.sql.schema import functions
from xnovu_local.nats import EmbeddedNats

__all__ = ["guarded"]

ROLE = "xnovu_preflight"
MAILBOXES = {"hydrate": (["ingest"], Policy()), "trigger": (["hydrate"], Policy())}


def faults(found: list[Finding]) -> dict[str, str]:
    return {each.name: each.fault for each in found if each.fault}


@pytest.fixture
def stranger(migrated: str) -> Iterator[tuple[str, psycopg.Connection]]:
    """A role without any right, where XNovu's roles are, and the owner's connection."""
    make_roles(migrated)
    with psycopg.connect(migrated, autocommit=True) as owner:
        owner.execute(f"DROP ROLE IF EXISTS {ROLE}")
        owner.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD 'p'")
        owner.execute("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA notify FROM PUBLIC")
        yield make_conninfo(migrated, user=ROLE, password="p"), owner
        owner.execute(f"DROP OWNED BY {ROLE}")
        owner.execute(f"DROP ROLE {ROLE}")


async def test_the_owner_of_a_migrated_database_lacks_nothing(migrated: str) -> None:
    before = state(migrated)
    found = await of_database(migrated, NEEDS)
    assert faults(found) == {}
    assert {f"database: {stage}" for stage in NEEDS} <= {each.name for each in found}
    assert state(migrated) == before, "nothing of it stays"


def state(dsn: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as database:
        query = "SELECT count(*) FROM notify.ent_notification_audit"
        return database.execute(query).fetchall()


async def test_each_missing_right_is_named_with_its_grant(stranger) -> None:
    """The words that are printed are statements: run one by one, in the end nothing is missing."""
    dsn, owner = stranger
    for _ in range(60):
        found = await of_database(dsn, NEEDS)
        grants = [
            re.split(r"; | \(", fault.partition("GRANT ")[2])[0] for fault in faults(found).values()
        ]
        if not grants:
            break
        assert all(ROLE in fault for fault in faults(found).values())
        for grant in dict.fromkeys(grants):
            owner.execute(f"GRANT {grant}".encode())
    assert faults(await of_database(dsn, NEEDS)) == {}


async def test_only_what_the_named_stages_need_is_asked_for(stranger) -> None:
    dsn, owner = stranger
    owner.execute(f"GRANT USAGE ON SCHEMA notify TO {ROLE}")
    names = ("state", "aside", "load_rows")
    owner.execute(f"GRANT EXECUTE ON FUNCTION {', '.join(f'notify.{n}' for n in names)} TO {ROLE}")
    found = await of_database(dsn, ["hydrate", "trigger"])
    assert "notify.begin_send" in faults(found)["database: trigger"]
    assert "begin_send" not in faults(found).get("database: hydrate", "")


async def test_a_database_that_is_not_migrated_or_not_there_is_said(database: str) -> None:
    found = faults(await of_database(database, ["ingest"]))
    assert "run `xnovu migrate`" in found["database: ingest"]
    with pytest.raises(Paused, match="no database of this name"):
        await of_database(make_conninfo(database, dbname="not_there"), [])


def test_what_each_stage_needs_is_a_function_that_there_is() -> None:
    known = {function.name for function in functions()}
    assert {name for needed in NEEDS.values() for name in needed} <= known


async def test_a_broker_that_lets_do_everything_lacks_nothing(nats_server: EmbeddedNats) -> None:
    options = NatsOptions(url=nats_server.url, **namespace())
    missing = await of_broker(lambda: options.url, options, MAILBOXES)
    assert faults(missing) == {}
    assert any("xnovu provision" in each.note for each in missing)
    await provision(options.url, options, MAILBOXES)
    found = await of_broker(lambda: options.url, options, MAILBOXES)
    assert [each for each in found if each.fault or "provision" in each.note] == []
    async with visiting(options.url) as client:
        jetstream = client.jetstream()
        stream = stream_name(options.prefix, "ingest")
        assert (await jetstream.stream_info(stream)).state.messages == 0, "nothing of it stays"
        other = (await jetstream.stream_info(stream)).config
        await jetstream.update_stream(other, max_age=600)
    changed = {each.name: each.note for each in await of_broker(lambda: options.url, options, {})}
    assert "max_age 600 → 604800" in changed[stream]


@pytest.mark.parametrize(
    "subject",
    [
        "$JS.ACK.>",
        "$JS.API.CONSUMER.PAUSE.>",
        "$JS.API.CONSUMER.MSG.NEXT.>",
        "$JS.API.STREAM.INFO.>",
        "xnovu.trigger.>",
    ],
)
async def test_a_right_that_a_user_lacks_is_named(guarded: Guarded, subject: str) -> None:
    options = NatsOptions()
    await provision(guarded.url("owner"), options, MAILBOXES)
    guarded.deny(subject)
    found = await of_broker(lambda: guarded.url("mute"), options, MAILBOXES)
    fault = faults(found)["NATS rights"]
    assert subject.removesuffix(".>").lower() in fault
    assert "docs/operations.md" in fault


async def test_what_the_docs_say_that_a_user_needs_is_enough(guarded: Guarded) -> None:
    options = NatsOptions()
    await provision(guarded.url("owner"), options, MAILBOXES)
    assert faults(await of_broker(lambda: guarded.url("least"), options, MAILBOXES)) == {}


async def test_an_account_that_is_full_is_said(tmp_path) -> None:
    accounts = (
        "{a: {jetstream: {max_file: 1000000, max_streams: 8}, users: [{user: u, password: p}]}}"
    )
    with EmbeddedNats(tmp_path, settings={"accounts": accounts}) as server:
        url, options = server.url.replace("//", "//u:p@"), NatsOptions()
        async with visiting(url) as client:
            for number in range(8):
                await client.jetstream().add_stream(StreamConfig(name=f"S{number}"))
        found = await of_broker(lambda: url, options, {})
        assert "used 8 of its 8 streams" in faults(found)["NATS room"]


@pytest.mark.parametrize(
    ("user", "told"),
    [("", "no credentials were given"), ("u:wrong@", "refuses the credentials")],
)
async def test_credentials_that_are_missing_or_wrong_are_said(tmp_path, user: str, told: str):
    settings = {"authorization": "{user: u, password: p}"}
    with EmbeddedNats(tmp_path, settings=settings) as server:
        with pytest.raises(ConfigurationError, match=told) as refused:
            await of_broker(lambda: server.url.replace("//", f"//{user}"), NatsOptions(), {})
        assert "u:wrong" not in str(refused.value)
        assert "XNOVU_NATS_URL" in str(refused.value)


async def test_a_broker_without_jetstream_is_said(tmp_path) -> None:
    accounts = "{a: {users: [{user: u, password: p}]}}"
    with EmbeddedNats(tmp_path, settings={"accounts": accounts}) as server:
        url = server.url.replace("//", "//u:p@")
        with pytest.raises(ConfigurationError, match="has no JetStream for this account"):
            await of_broker(lambda: url, NatsOptions(), {})
