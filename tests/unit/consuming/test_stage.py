"""What becomes of events that a consumer's function is given, on the memory transport."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from faststream import Context, Depends

import xnovu
from tests.conftest import eventually
from xnovu import Paused, Permanent, Rejected, Retryable, Status, StatusChanged, consumer
from xnovu.adapters.memory.transport import MemoryTransport
from xnovu.compose.house import House
from xnovu.compose.kit import Kit
from xnovu.compose.settings import HealthOptions, Settings
from xnovu.consuming.app import part_of
from xnovu.consuming.consumer import Consumer
from xnovu.envelope import Envelope
from xnovu.errors import ConfigurationError
from xnovu.policy import Policy

POLICY = Policy(attempts=2, backoff=0.01, backoff_max=0.01, pause_max=0.01, timeout=1.0)


def changed(id: int, status: Status = Status.SENT, enterprise: str = "acme") -> StatusChanged:
    return StatusChanged(
        notification_id=id,
        enterprise_id=enterprise,
        status=status,
        previous=Status.PROCESSING,
        at=datetime(2030, 1, 1, tzinfo=UTC),
    )


@asynccontextmanager
async def at_work(
    *consumers: Consumer[...], policy: Policy = POLICY
) -> AsyncIterator[MemoryTransport]:
    """These consumers, and the dead letters in ``letters``."""
    settings = Settings(
        health=HealthOptions(enabled=False),
        consumers={each.name: policy for each in consumers},
    )
    transport = MemoryTransport()
    house = House([part_of(each) for each in consumers], Kit(settings, "test"), transport)
    await house.open()
    await transport.start()
    yield transport
    await house.finish()
    await transport.stop()
    await house.close()


async def publish(transport: MemoryTransport, *events: Any) -> None:
    assert not any(await transport.publish([Envelope(event) for event in events]))


def letters_of() -> tuple[Consumer[...], list[Rejected]]:
    found: list[Rejected] = []

    @consumer(Rejected, name="letters")
    async def letters(letter: Rejected) -> None:
        found.append(letter)

    return letters, found


async def test_one_events_trouble_is_its_own():
    calls: list[int] = []
    letters, found = letters_of()

    @consumer(StatusChanged, name="greeter")
    async def greet(event: StatusChanged) -> None:
        calls.append(event.notification_id)
        match event.notification_id:
            case 1:
                raise Permanent("nobody is called so", code="no_name")
            case 2:
                raise Retryable("not yet")
            case 3:
                raise ZeroDivisionError("a secret")

    async with at_work(greet, letters) as transport:
        await publish(transport, *(changed(n) for n in range(6)))
        await eventually(lambda: len(found) == 3)
        failures = {each.notification_id: each.failure for each in found}
        assert {n: (each.code, each.attempts) for n, each in failures.items()} == {
            1: ("no_name", 1),
            2: ("exhausted", 2),
            3: ("exhausted", 2),
        }
        assert {each.stage for each in failures.values()} == {"greeter"}
        assert sorted(calls) == [0, 1, 2, 2, 3, 3, 4, 5]


async def test_an_error_is_told_by_its_type_and_its_line_and_never_by_its_text(
    caplog: pytest.LogCaptureFixture,
):
    letters, found = letters_of()

    @consumer(StatusChanged, name="greeter")
    async def greet(event: StatusChanged) -> None:
        int("a secret")

    @consumer(StatusChanged, name="batches")
    async def batches(events: list[StatusChanged]) -> None:
        {}["a secret"]

    async with at_work(greet, batches, letters) as transport:
        await publish(transport, changed(1))
        await eventually(lambda: len(found) == 2)
    told = {each.failure.stage: each.failure.message for each in found}
    assert "ValueError at test_stage.py:" in told["greeter"]
    assert "KeyError at test_stage.py:" in told["batches"]
    assert "greeter: ValueError at test_stage.py:" in caplog.text
    assert "secret" not in caplog.text + str(found)


async def test_a_batch_that_fails_is_halved_until_the_culprit_is_alone():
    sizes: list[int] = []
    letters, found = letters_of()

    @consumer(StatusChanged, name="greeter")
    async def greet(events: list[StatusChanged]) -> None:
        sizes.append(len(events))
        if any(event.notification_id == 5 for event in events):
            raise Permanent("number five", code="five")

    async with at_work(greet, letters) as transport:
        await publish(transport, *(changed(n) for n in range(8)))
        await eventually(lambda: found)
    assert sizes == [8, 4, 4, 2, 1, 1, 2]
    assert [each.notification_id for each in found] == [5]


async def test_paused_work_waits_and_spends_no_attempt():
    calls: list[int] = []
    letters, found = letters_of()

    @consumer(StatusChanged, name="greeter")
    async def greet(event: StatusChanged) -> None:
        calls.append(event.notification_id)
        if len(calls) < 5:
            raise Paused("the post office is closed")

    async with at_work(greet, letters) as transport:
        await publish(transport, changed(1))
        await eventually(lambda: len(calls) == 5)
    assert not found


async def test_who_is_slow_is_told_so_and_holds_nobody_up():
    done: list[int] = []
    letters, found = letters_of()

    @consumer(StatusChanged, name="greeter")
    async def greet(event: StatusChanged) -> None:
        if event.notification_id == 1:
            await asyncio.Event().wait()
        done.append(event.notification_id)

    policy = Policy(attempts=1, timeout=0.5)
    async with at_work(greet, letters, policy=policy) as transport:
        await publish(transport, *(changed(n) for n in range(4)))
        await eventually(lambda: found)
    assert sorted(done) == [0, 2, 3]  # and none of them twice
    assert "took longer than 0.45 s" in found[0].failure.message


async def test_the_events_of_one_notification_come_in_order_and_those_of_others_beside_them():
    seen: list[tuple[int, str]] = []
    others = asyncio.Event()

    @consumer(StatusChanged, name="greeter")
    async def greet(event: StatusChanged) -> None:
        if event.notification_id == 2:
            others.set()
        if event.status is Status.SENT:
            await others.wait()
        seen.append((event.notification_id, event.status))

    async with at_work(greet) as transport:
        first, last = changed(1, Status.SENT), changed(1, Status.RETRACTED)
        await publish(transport, first, last, changed(2))
        await eventually(lambda: len(seen) == 3)
    assert [status for number, status in seen if number == 1] == ["SENT", "RETRACTED"]


async def test_depends_and_context_work():
    seen: list[tuple[Any, ...]] = []
    state: list[str] = []

    @asynccontextmanager
    async def opened(settings: Annotated[Settings, Context()]) -> AsyncIterator[dict[str, object]]:
        assert settings.consumers["greeter"] == POLICY
        state.append("open")
        yield {"client": "a client"}
        state.append("closed")

    async def greeting(client: Annotated[str, Context()]) -> str:
        return f"hello by {client}"

    @consumer(StatusChanged, name="greeter", lifespan=opened)
    async def greet(
        event: StatusChanged,
        text: Annotated[str, Depends(greeting)],
        envelope: Annotated[Envelope[StatusChanged], Context()],
    ) -> None:
        seen.append((event.notification_id, text, envelope.id, *state))

    async with at_work(greet) as transport:
        await publish(transport, changed(1))
        await eventually(lambda: seen)
    assert seen == [(1, "hello by a client", "status:acme/1/0/1/SENT", "open")]
    assert state == ["open", "closed"]


async def test_what_it_does_not_read_is_a_letter_and_never_given_to_it():
    """Such as a copy that waited for it while it read more kinds of event than it does now."""
    letters, found = letters_of()

    @consumer(StatusChanged, name="greeter")
    async def greet(event: StatusChanged) -> None:
        assert isinstance(event, StatusChanged)

    async with at_work(greet, letters) as transport:
        rejected = Rejected.model_validate(
            {
                "notification_id": 1,
                "enterprise_id": "acme",
                "failure": {
                    "code": "x",
                    "stage": "s",
                    "message": "m",
                    "attempts": 1,
                    "at": "2030-01-01T00:00:00Z",
                },
            }
        )
        headers, body = Envelope(rejected).encode()
        headers["id"] = "status:acme/1/0/1/SENT"
        transport.deliver("status", headers, body)
        await eventually(lambda: found)
    assert found[0].failure.stage == "greeter"


def test_a_consumer_that_is_named_twice_is_one():
    @consumer(StatusChanged, name="greeter")
    async def greet(event: StatusChanged) -> None: ...

    assert len(xnovu.app(greet, greet, settings=Settings()).broker.subscribers) == len(
        xnovu.app(greet, settings=Settings()).broker.subscribers
    )


def test_two_of_one_name_and_a_stages_name_are_refused():
    @consumer(StatusChanged, name="same")
    async def one(event: StatusChanged) -> None: ...

    @consumer(StatusChanged, name="trigger")
    async def stage(event: StatusChanged) -> None: ...

    @consumer(StatusChanged, name="a name with spaces")
    async def unnamed(event: StatusChanged) -> None: ...

    def house(*of: Consumer[...]) -> House:
        return House([part_of(each) for each in of], Kit(Settings(), "x"), MemoryTransport())

    with pytest.raises(ConfigurationError, match="two called 'same'"):
        house(one, one)
    with pytest.raises(ConfigurationError, match="that is a stage's name"):
        house(stage)
