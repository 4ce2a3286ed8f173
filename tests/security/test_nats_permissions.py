"""
configs/nats-secure.conf on a real server: each stage can do its work, and nothing of the others'.

Where a right is missing, the stage says which subject, which user, and what to do.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import nats
import psycopg
import pytest
from nats.aio.client import Client

from tests.builders import a_notification
from tests.conftest import eventually
from tests.integration.pipeline import World
from xnovu import Notification, Retryable, own_stage
from xnovu.adapters.nats.address import Access, access_of
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.adapters.novu import NovuOptions
from xnovu.cli.run import PARTS
from xnovu.cli.setup import mailboxes
from xnovu.compose.broker import peers_of
from xnovu.compose.house import House
from xnovu.compose.kit import Kit
from xnovu.compose.pipeline import Pipeline
from xnovu.compose.secrets import DATABASE_URL, NOVU_KEY
from xnovu.compose.settings import HealthOptions, Settings
from xnovu.consuming import analytics
from xnovu.consuming.app import part_of
from xnovu.envelope import Envelope
from xnovu.events import Hydrated
from xnovu_local.nats import EmbeddedNats
from xnovu_local.novu import running_novu

CONF = Path(__file__).parents[2] / "configs/nats-secure.conf"
EVERYBODY = PARTS | {analytics.part.name: analytics.part}
USERS = (*EVERYBODY, "setup", "operator")
WRITES = {
    "ingest": ["ingest", "retract"],
    "hydrate": ["hydrate", "dead.hydrate"],
    "trigger": ["trigger", "dead.trigger"],
    "status": ["status", "dead.status"],
    "retract": ["status", "dead.retract"],
    "analytics": ["dead.analytics"],
}
SUBJECTS = sorted({subject for subjects in WRITES.values() for subject in subjects})


def accounts() -> str:
    return CONF.read_text().partition("\naccounts ")[2]


@pytest.fixture
def passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    for user in USERS:
        monkeypatch.setenv(f"XNOVU_NATS_{user.upper()}_PASSWORD", f"word-of-{user}")


@dataclass(frozen=True, slots=True)
class Guarded:
    """A server with the users of the file, and their ways in."""

    server: EmbeddedNats

    def options(self, user: str) -> NatsOptions:
        return NatsOptions(url=self.server.url, inbox_prefix=f"_INBOX_{user}")

    def access(self, user: str) -> Access:
        reached = access_of(self.server.url, self.options(user))
        return replace(reached, user=lambda: user, password=lambda: f"word-of-{user}")

    async def provision(self) -> None:
        policies = {
            part.name: (part.kinds, Settings().policy(part.name))
            for part in EVERYBODY.values()
            if not part.from_table
        }
        await provision(self.access("setup"), self.options("setup"), policies)

    @asynccontextmanager
    async def client(self, user: str) -> AsyncIterator[tuple[Client, list[str]]]:
        """As that user, with what the server has refused it."""
        refused: list[str] = []

        async def heard(error: Exception) -> None:
            refused.append(str(error))

        client = await nats.connect(
            self.server.url,
            user=user,
            password=f"word-of-{user}",
            inbox_prefix=f"_INBOX_{user}",
            error_cb=heard,
        )
        try:
            yield client, refused
        finally:
            await client.close()


@pytest.fixture
def secure(tmp_path: Path, passwords: None) -> Iterator[Callable[..., Guarded]]:
    """A server with the file as it is, or as ``changed``."""
    del passwords
    started: list[EmbeddedNats] = []

    def start(changed: Callable[[str], str] = str) -> Guarded:
        server = EmbeddedNats(tmp_path / "nats", settings={"accounts": changed(accounts())})
        server.start()
        started.append(server)
        return Guarded(server)

    yield start
    for server in started:
        server.stop()


@asynccontextmanager
async def house_of(guarded: Guarded, name: str, around: Settings) -> AsyncIterator[House]:
    """One stage in a process of its own, as far as NATS can tell."""
    settings = around.model_copy(update={"transport": guarded.options(name)})
    transport = NatsTransport(settings.transport, guarded.access(name))
    kit = Kit(settings, name, peers=peers_of(settings, transport))
    house = House((EVERYBODY[name],), kit, transport)
    await house.open()
    await transport.start()
    await house.begin()
    try:
        yield house
    finally:
        await house.finish()
        await transport.stop()
        await house.close()


async def test_the_whole_pipeline_with_a_user_for_each_stage(
    migrated: str, secure: Callable[..., Guarded], monkeypatch: pytest.MonkeyPatch
):
    """Sent, refused, tried again, held, and taken back; and nobody is ever refused a right."""
    guarded = secure()
    await guarded.provision()
    monkeypatch.setenv(DATABASE_URL, migrated)
    monkeypatch.setenv(NOVU_KEY, "local")
    async with AsyncExitStack() as stack:
        novu = await stack.enter_async_context(running_novu())
        around = Settings(
            provider=NovuOptions(url=novu.url, settle=0.1, timeout=5.0),
            health=HealthOptions(enabled=False),
        )
        here = World(migrated, guarded.server.url, novu.novu, around)
        here.register()
        houses = [
            await stack.enter_async_context(house_of(guarded, name, around)) for name in EVERYBODY
        ]
        sent, refused = here.insert(), here.insert(workflow="unknown")
        assert (await here.ended(sent))["notification_status"] == "SENT"
        assert (await here.ended(refused))["error_details"]["code"] == "workflow_not_found"
        novu.novu.change(api_key="another")
        held = here.insert()
        trigger = houses[list(EVERYBODY).index("trigger")].transport
        await eventually(lambda: trigger.paused("trigger"))
        assert "paused in the whole fleet" in str(await trigger.ready())
        novu.novu.change(api_key="local")
        assert (await here.ended(held))["notification_status"] == "SENT"
        await eventually(lambda: not_paused(trigger))
        with psycopg.connect(migrated, autocommit=True) as connection:
            query = "UPDATE notify.ent_notification SET notification_status = 'RETRACTED'"
            connection.execute(f"{query} WHERE id = {sent}".encode())
        await eventually(lambda: here.row(sent)["retraction_outcome"], 60.0)
        for house in houses:
            assert (house.kit.name, await house.transport.ready()) == (house.kit.name, None)
            assert house.transport.broker.denials == {}  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


async def not_paused(transport: NatsTransport) -> bool:
    return not await transport.paused("trigger")


@pytest.mark.parametrize("name", EVERYBODY)
async def test_a_stage_speaks_for_itself_alone(name: str, secure: Callable[..., Guarded]):
    """Whatever another stage says, or whatever is to come again to another, is refused."""
    guarded = secure()
    await guarded.provision()
    others = [subject for subject in SUBJECTS if subject not in WRITES[name]]
    aimed = [f"xnovu.{subject}.acme" for subject in others]
    aimed += [f"xnovu.retry.{other}.due.acme.x" for other in EVERYBODY if other != name]
    aimed += ["$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.XNOVU_INGEST.hydrate"]
    async with guarded.client(name) as (client, refused):
        for subject in aimed:
            await client.publish(subject, b"forged")
        await eventually(lambda: len(refused) == len(aimed))
        for subject in WRITES[name]:
            await client.publish(f"xnovu.{subject}.acme", b"its own")
        await client.flush()
        assert len(refused) == len(aimed)


@pytest.mark.parametrize("name", EVERYBODY)
async def test_a_stage_hears_what_is_its_own_alone(name: str, secure: Callable[..., Guarded]):
    """Neither from others' consumers, nor at their addresses, nor by one of its own making."""
    guarded = secure()
    await guarded.provision()
    other = [each for each in EVERYBODY.values() if each.name not in (name, "ingest")]
    asked = [
        f"$JS.API.CONSUMER.MSG.NEXT.XNOVU_{kind.upper()}.{part.name}"
        for part in other
        for kind in (*part.kinds, "advisory")
    ]
    asked += [f"$JS.ACK.XNOVU_{part.kinds[0].upper()}.{part.name}.1.1.1.1.1" for part in other]
    asked += [
        "$JS.API.CONSUMER.CREATE.XNOVU_HYDRATE",
        "$JS.API.STREAM.DELETE.XNOVU_HYDRATE",
        "$JS.API.STREAM.PURGE.XNOVU_HYDRATE",
        "$JS.API.STREAM.MSG.DELETE.XNOVU_HYDRATE",
    ]
    read = "hydrate" if name != "trigger" else "ingest"
    asked += [f"$JS.API.STREAM.MSG.GET.XNOVU_{read.upper()}"]
    for part in other:
        copies = f"XNOVU_RETRY_{part.name}"
        asked += [f"$JS.API.CONSUMER.MSG.NEXT.{copies}.{part.name}"]
        asked += [
            f"$JS.API.CONSUMER.PAUSE.{copies}.{part.name}",
            f"$JS.API.STREAM.MSG.GET.{copies}",
        ]
    heard = ["xnovu.>", "xnovu.hydrate.>", "_INBOX.>", "_INBOX_setup.>", "$JS.EVENT.>"]
    async with guarded.client(name) as (client, refused):
        for subject in asked:
            await client.publish(subject, b"{}")
        for subject in heard:
            await client.subscribe(subject)  # pyright: ignore[reportUnknownMemberType]
        await client.flush()
        await eventually(lambda: len(refused) == len(asked) + len(heard))


@pytest.mark.parametrize("name", [each for each in EVERYBODY if each != "ingest"])
async def test_the_server_puts_nothing_into_anothers_lane(
    name: str, secure: Callable[..., Guarded]
):
    """Wherever a message that is to come in time is aimed, and whatever it is to be a copy of."""
    guarded = secure()
    await guarded.provision()
    own, stream = f"xnovu.retry.{name}", f"XNOVU_RETRY_{name}"
    others = [each for each in EVERYBODY if each not in (name, "ingest")]
    aims = [f"xnovu.retry.{other}.{lane}.acme.x" for other in others for lane in ("due", "alone")]
    aims += [f"xnovu.{subject}.acme" for subject in SUBJECTS]
    async with guarded.client(name) as (client, _):
        for at, aim in enumerate(aims):
            headers = {"Nats-Schedule": AT_ONCE, "Nats-Schedule-Target": aim}
            headers["Nats-Schedule-Source"] = f"xnovu.retry.{others[0]}.at.acme.x"
            for source in (True, False):
                given = headers if source else {**headers, "Nats-Schedule-Source": ""}
                given = {key: value for key, value in given.items() if value}
                asked = f"{own}.at.acme.{at}{source}"
                answer = await client.request(asked, b"forged", headers=given)
                assert "error" in json.loads(answer.data), (aim, answer.data)
        mine = {"Nats-Schedule": AT_ONCE, "Nats-Schedule-Target": f"{own}.due.acme.x"}
        answer = await client.request(f"{own}.at.acme.mine", b"its own", headers=mine)
        assert json.loads(answer.data)["stream"] == stream
        due = await client.request(f"$JS.API.STREAM.INFO.{stream}", b'{"subjects_filter": ">"}')
        assert set(json.loads(due.data)["state"]["subjects"]) <= {f"{own}.{at}" for at in MINE}


AT_ONCE = "@at 2026-01-01T00:00:00Z"
MINE = ("at.acme.mine", "due.acme.x")
MISSING = (
    '"xnovu.hydrate.*"',
    '"$JS.API.CONSUMER.MSG.NEXT.XNOVU_INGEST.hydrate"',
    '"$JS.ACK.XNOVU_INGEST.hydrate.>"',
    '"$JS.API.CONSUMER.INFO.XNOVU_INGEST.hydrate"',
    '"$JS.API.STREAM.INFO.*"',
    '"_INBOX_hydrate.>"',
)


def without(right: str, text: str) -> str:
    """The file, where hydrate lacks that right."""
    before, rest = text.split("user: hydrate,")
    block, after = re.split(r"(?=      # Reads what is to be sent)", rest, maxsplit=1)
    assert right in block
    return f"{before}user: hydrate,{block.replace(right, chr(34) + 'nothing' + chr(34), 1)}{after}"


@pytest.mark.parametrize("right", MISSING)
async def test_a_right_that_is_missing_is_named_with_who_lacks_it_and_what_to_do(
    right: str,
    migrated: str,
    secure: Callable[..., Guarded],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    guarded = secure(lambda text: without(right, text))
    await guarded.provision()
    monkeypatch.setenv(DATABASE_URL, migrated)
    around = Settings(health=HealthOptions(enabled=False))
    said = Hydrated(notification_id=1, enterprise_id="acme", notification=a_notification(1))
    async with house_of(guarded, "hydrate", around) as house:
        publishing = asyncio.create_task(house.transport.publish([Envelope(said)]))
        await eventually(lambda: named(right, caplog.text), within=30.0)
        assert await house.transport.ready()
        await asyncio.wait([publishing])
    assert "word-of" not in caplog.text


def named(right: str, said: str) -> bool:
    """Whether the log says which subject, who lacks it, and the way out."""
    subject = right.strip('"').removesuffix(".>").removesuffix(".*")
    lines = [line for line in said.splitlines() if subject in line]
    return any("user 'hydrate'" in line and "nats-secure.conf" in line for line in lines)


def rights(user: str) -> Sequence[str]:
    block = accounts().split(f"user: {user},")[1].partition("subscribe")[0]
    return re.findall(r'"(.+)"', block)


@pytest.mark.parametrize("name", EVERYBODY)
def test_nobody_has_a_right_that_reaches_further_than_a_stream(name: str):
    for right in rights(name):
        assert right != ">"
        assert not right.startswith(("$JS.API.>", "$JS.ACK.>", "xnovu.>", "$SYS"))


def with_a_stage_of_ones_own(text: str) -> str:
    """The file as docs/extending.md says, for a stage called enrich."""
    before, rest = text.split("      # Reads what is to be sent, says what was.")
    name = "{\n        user: hydrate,"
    own = name + before.partition(name)[2]
    own = own.replace("hydrate", "enrich").replace("NATS_HYDRATE", "NATS_ENRICH")
    own = own.replace("XNOVU_INGEST", "XNOVU_HYDRATE")
    trigger, others = rest.split("      # Reads what was sent or given up")
    trigger = trigger.replace("XNOVU_HYDRATE", "XNOVU_ENRICH")
    remove = "$JS.API.CONSUMER.DELETE.XNOVU_HYDRATE.trigger"
    create = '"$JS.API.STREAM.CREATE.*"'
    others = others.replace(
        create, f'{create}\n            "{remove}"\n            "{remove}+express"'
    )
    return "".join([before, own, "      # Trigger.", trigger, "      # Status.", others])


ENRICHED: list[int] = []


@own_stage(name="enrich")
async def enrich(notification: Notification) -> Notification:
    if notification.payload.get("away") and not ENRICHED:
        ENRICHED.append(notification.id)
        raise Retryable("try again")
    return notification.model_copy(update={"payload": {"enriched": True}})


async def test_a_stage_of_ones_own_needs_the_rights_that_are_documented(
    migrated: str, secure: Callable[..., Guarded], monkeypatch: pytest.MonkeyPatch
):
    """Put in beside a trigger that read what hydrate tells; and nobody is ever refused a right."""
    monkeypatch.setenv("XNOVU_NATS_ENRICH_PASSWORD", "word-of-enrich")
    monkeypatch.setenv(DATABASE_URL, migrated)
    monkeypatch.setenv(NOVU_KEY, "local")
    monkeypatch.setitem(EVERYBODY, "enrich", part_of(enrich))
    guarded = secure(with_a_stage_of_ones_own)
    async with AsyncExitStack() as stack:
        novu = await stack.enter_async_context(running_novu())
        around = Settings(
            pipeline=Pipeline(between=("enrich",)),
            provider=NovuOptions(url=novu.url, settle=0.1, timeout=5.0),
            health=HealthOptions(enabled=False),
        )
        access, options = guarded.access("setup"), guarded.options("setup")
        before = mailboxes(Settings(), PARTS.values())
        await provision(access, options, before)
        after = mailboxes(around, EVERYBODY.values())
        done = await provision(access, options, after)
        assert "removed consumer trigger of stream XNOVU_HYDRATE" in done
        here = World(migrated, guarded.server.url, novu.novu, around)
        here.register()
        houses = [
            await stack.enter_async_context(house_of(guarded, name, around)) for name in EVERYBODY
        ]
        sent = here.insert(payload={"away": True})
        assert (await here.ended(sent))["notification_status"] == "SENT"
        for house in houses:
            assert (house.kit.name, await house.transport.ready()) == (house.kit.name, None)
            assert house.transport.broker.denials == {}  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    assert [sent] == ENRICHED
