"""Three numbers of a queue, as the stages' policies."""

import pytest
from pydantic import ValidationError

from xnovu import QueueConfig
from xnovu.adapters.table import TableOptions
from xnovu.compose.settings import Settings, Stages
from xnovu.errors import Retryable, Unclear
from xnovu.sending import SendTimes

TIMES = SendTimes()


def stages(**numbers) -> Stages:
    return QueueConfig(**numbers).applied(Settings())["stages"]


@pytest.mark.parametrize("most", [1, 2, 5, 7, 8, 10, 11, 20, 50, 97, 100, 1000])
def test_exactly_so_many_are_sent_at_a_time(most):
    trigger = stages(max_concurrent=most).trigger
    assert trigger.slots * trigger.batch == most
    assert trigger.slots <= 8


def test_retries_come_after_the_first_try():
    chosen = stages(retry_attempts=4, retry_delay=2.0)
    for policy in (chosen.hydrate, chosen.trigger, chosen.status):
        assert (policy.attempts, policy.backoff) == (5, 2.0)
        assert 1.0 <= policy.delay(1) <= 2.0 <= policy.delay(2) <= 4.0
    assert chosen.ingest == Stages().ingest


def test_what_may_have_been_sent_is_looked_up_once_however_few_the_retries():
    chosen = stages(retry_attempts=0)
    assert (chosen.hydrate.attempts, chosen.trigger.attempts) == (1, 2)


def test_no_delay_outlasts_a_claim():
    """An attempt to send keeps it from when it begins, and is over in twice its time."""
    trigger = stages(retry_attempts=50, retry_delay=60.0).trigger
    for error in (
        Unclear("?", code="provider_unclear"),
        Retryable("cut off", code="timeout"),
        ValueError("bug"),
    ):
        waits = [trigger.judge(error, n).after for n in range(1, trigger.attempts)]
        assert max(waits) + 2 * TIMES.lease <= TIMES.hold


def test_little_is_claimed_ahead_of_a_narrow_queue():
    for most, backlog in ((1, 100), (5, 500), (1000, 5000)):
        assert QueueConfig(max_concurrent=most).applied(Settings())["ingest"].backlog == backlog
    narrow = Settings(ingest=TableOptions(backlog=7))
    assert QueueConfig().applied(narrow)["ingest"].backlog == 7


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"max_concurrent": 0}, "max_concurrent"),
        ({"max_concurrent": 2.5}, "max_concurrent"),
        ({"retry_attempts": -1}, "retry_attempts"),
        ({"retry_delay": 0}, "retry_delay"),
        ({"retry_delay": 61}, "retry_delay"),
        ({"retry_delay": float("nan")}, "retry_delay"),
        ({"max_concurent": 5}, "max_concurent"),
    ],
)
def test_what_is_wrong_is_named(wrong, named):
    with pytest.raises(ValidationError, match=named):
        QueueConfig(**wrong)


def test_it_stays_as_it_is():
    with pytest.raises(ValidationError, match="frozen"):
        QueueConfig().max_concurrent = 7
