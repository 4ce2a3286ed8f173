"""What may be declared to be a consumer."""

import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from xnovu import Captured, Event, Rejected, StatusChanged, consumer
from xnovu.errors import ConfigurationError


def test_an_annotated_list_is_a_batch_and_anything_else_one_event():
    @consumer(StatusChanged, name="one")
    async def one(event: StatusChanged) -> None: ...

    @consumer(StatusChanged, Rejected, name="either")
    async def either(event: StatusChanged | Rejected) -> None: ...

    @consumer(Captured, StatusChanged, name="any")
    async def any_event(event: Event) -> None: ...

    @consumer(StatusChanged, name="bare")
    async def bare(event) -> None: ...

    @consumer(StatusChanged, name="batch")
    async def batch(events: list[StatusChanged]) -> None: ...

    @consumer(StatusChanged, Rejected, name="mixed")
    async def mixed(events: Sequence[StatusChanged | Rejected]) -> None: ...

    declared = (one, either, any_event, bare, batch, mixed)
    assert [each.batched for each in declared] == [False] * 4 + [True] * 2
    assert one.start == "now"


async def test_it_may_still_be_called_as_what_it_is():
    seen: list[Any] = []

    @consumer(Captured, name="one")
    async def one(event: Captured, more: int = 1) -> None:
        seen.append((event.notification_id, more))

    await one(Captured(notification_id=7, enterprise_id="acme", transaction_id="t"), more=2)
    assert seen == [(7, 2)]


async def takes_another(event: Captured) -> None: ...


async def takes_nothing() -> None: ...


def is_not_async(event: StatusChanged) -> None: ...


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (takes_another, r"takes_another\(\) does not take StatusChanged"),
        (takes_nothing, r"takes_nothing\(\) has no parameter"),
        (is_not_async, r"is_not_async\(\) is no async function"),
    ],
)
def test_a_function_that_cannot_be_given_the_event_is_refused_at_once(function: Any, said: str):
    with pytest.raises(ConfigurationError, match=said):
        consumer(StatusChanged, name="wrong")(function)


@pytest.mark.parametrize("start", ["tomorrow", datetime(2030, 1, 1), None])
def test_a_beginning_is_now_all_or_a_time_with_a_zone(start: Any):
    with pytest.raises(ConfigurationError, match="'now', 'all', or a time with a zone"):
        consumer(StatusChanged, name="wrong", start=start)
    consumer(StatusChanged, name="right", start=datetime(2030, 1, 1, tzinfo=UTC))


def test_a_consumer_reads_something():
    with pytest.raises(ConfigurationError, match="names no event"):
        consumer(name="wrong")


def test_to_declare_one_loads_neither_a_broker_nor_a_database():
    program = (
        "import sys, xnovu; assert 'pydantic' not in sys.modules\n"
        "from xnovu import consumer, StatusChanged, Permanent\n"
        "print([n for n in ('nats', 'faststream', 'psycopg', 'supabase') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
