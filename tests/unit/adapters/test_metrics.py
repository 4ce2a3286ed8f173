import asyncio

from xnovu.adapters.metrics import Metrics, Observers
from xnovu.connection import Line
from xnovu.events import Key
from xnovu.observer import Report, Unobserved
from xnovu.policy import Dead, Done, Fate, Hold, Retry

E1, E2 = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
AWAY = Hold(3.0, "Novu is away", "provider_down")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def report(*fates: Fate, stage: str = "hydrate", seconds: float = 0.02) -> Report:
    return Report(stage, [(Key(E1, n), fate) for n, fate in enumerate(fates)], seconds)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    metrics.render()
    return metrics.registry.get_sample_value(name, labels)


async def in_a_task(call) -> None:
    async def run() -> None:
        call()

    await asyncio.create_task(run())


async def test_counts_messages_by_outcome_and_code():
    metrics = Metrics()
    metrics.began("hydrate", 4)
    metrics.finished(
        report(Done(), Done(), Retry(1.0, "later", "timeout"), Dead("no", "bad_payload"))
    )
    messages = "xnovu_messages_total"
    assert value(metrics, messages, stage="hydrate", outcome="done", code="") == 2
    assert value(metrics, messages, stage="hydrate", outcome="retry", code="timeout") == 1
    assert value(metrics, messages, stage="hydrate", outcome="dead", code="bad_payload") == 1
    assert value(metrics, "xnovu_batches_total", stage="hydrate") == 1


async def test_observes_sizes_and_seconds():
    metrics = Metrics()
    metrics.began("trigger", 100)
    metrics.finished(report(Done(), stage="trigger", seconds=0.02))
    assert value(metrics, "xnovu_batch_size_sum", stage="trigger") == 100
    assert value(metrics, "xnovu_batch_seconds_bucket", stage="trigger", le="0.01") == 0
    assert value(metrics, "xnovu_batch_seconds_bucket", stage="trigger", le="0.025") == 1
    assert value(metrics, "xnovu_batch_seconds_bucket", stage="trigger", le="60.0") == 1


async def test_in_hand_rises_and_falls():
    metrics = Metrics()
    metrics.began("hydrate", 7)
    await in_a_task(lambda: metrics.began("trigger", 5))
    assert value(metrics, "xnovu_in_hand", stage="hydrate") == 7
    metrics.finished(report(*[Done()] * 7))
    assert value(metrics, "xnovu_in_hand", stage="hydrate") == 0


async def test_a_batch_whose_task_was_killed_is_in_no_hand():
    metrics = Metrics()
    await in_a_task(lambda: metrics.began("hydrate", 5))
    assert value(metrics, "xnovu_in_hand", stage="hydrate") == 0
    assert metrics.progress("hydrate") == (0, 0.0)


async def test_is_paused_while_a_batch_is_held_and_not_when_a_neighbour_finishes():
    metrics = Metrics()

    async def neighbour() -> None:
        metrics.began("trigger", 1)
        metrics.finished(report(Done(), stage="trigger"))

    metrics.began("trigger", 2)
    assert value(metrics, "xnovu_paused", stage="trigger", code="provider_down") is None
    metrics.held("trigger", 2, AWAY)
    await asyncio.create_task(neighbour())
    assert value(metrics, "xnovu_paused", stage="trigger", code="provider_down") == 1
    metrics.finished(report(Done(), Done(), stage="trigger"))
    assert value(metrics, "xnovu_paused", stage="trigger", code="provider_down") == 0
    assert value(metrics, "xnovu_holds_total", stage="trigger", code="provider_down") == 1


async def test_a_hold_for_another_reason_replaces_the_first():
    metrics = Metrics()
    metrics.began("trigger", 2)
    metrics.held("trigger", 2, AWAY)
    metrics.held("trigger", 2, Hold(1.0, "the key is bad", "bad_key"))
    assert value(metrics, "xnovu_paused", stage="trigger", code="provider_down") == 0
    assert value(metrics, "xnovu_paused", stage="trigger", code="bad_key") == 1


async def test_what_work_is_held_for_is_told_once_it_lasts_and_until_it_is_over():
    clock = Clock()
    metrics = Metrics(clock)
    metrics.began("trigger", 2)
    clock.now += 100
    assert metrics.held_for(10) is None
    metrics.held("trigger", 2, AWAY)
    clock.now += 9
    assert metrics.held_for(10) is None
    metrics.held("trigger", 2, Hold(1.0, "the key is bad", "bad_key"))
    clock.now += 2
    assert metrics.held_for(10) == "trigger: work held for 11 s (bad_key): the key is bad"
    metrics.finished(report(Done(), Done(), stage="trigger"))
    assert metrics.held_for(0) is None


def test_shows_which_checks_are_content():
    metrics = Metrics()
    metrics.ready({"broker": False, "work": True})
    assert value(metrics, "xnovu_ready", check="broker") == 0
    assert value(metrics, "xnovu_ready", check="work") == 1


async def test_silence_is_counted_from_the_last_sign_of_life():
    clock = Clock()
    metrics = Metrics(clock)
    metrics.began("trigger", 3)
    clock.now += 20
    assert metrics.progress("trigger") == (3, 20.0)
    metrics.held("trigger", 3, AWAY)
    clock.now += 3
    assert metrics.progress("trigger") == (3, 0.0)
    clock.now += 5
    assert metrics.progress("trigger") == (3, 5.0)
    metrics.finished(report(Done(), Done(), Done(), stage="trigger"))
    clock.now += 3600
    assert metrics.progress("trigger") == (0, 0.0)


async def test_a_busy_neighbour_does_not_hide_a_stuck_batch():
    clock = Clock()
    metrics = Metrics(clock)
    metrics.began("trigger", 3)
    clock.now += 50

    async def neighbour() -> None:
        metrics.began("trigger", 1)
        assert metrics.progress("trigger") == (4, 50.0)
        metrics.finished(report(Done(), stage="trigger"))

    await asyncio.create_task(neighbour())
    assert metrics.progress("trigger") == (3, 50.0)


async def test_last_progress_is_a_time_of_day():
    metrics = Metrics()
    metrics.began("hydrate", 1)
    seen = value(metrics, "xnovu_last_progress_timestamp_seconds", stage="hydrate")
    assert seen
    assert seen > 1.7e9


def test_counts_what_ingest_does():
    metrics = Metrics()
    metrics.claimed(30)
    metrics.claimed(12)
    metrics.missed_wakeups()
    metrics.missed_wakeups(2)
    metrics.backlog(17)
    assert value(metrics, "xnovu_claimed_total") == 42
    assert value(metrics, "xnovu_missed_wakeups_total") == 3
    assert value(metrics, "xnovu_backlog") == 17


async def test_renders_text_with_no_enterprise_in_it():
    metrics = Metrics()
    metrics.began("hydrate", 1)
    metrics.finished(report(Done()))
    content_type, content = metrics.render()
    assert content_type.startswith("text/plain; version=0.0.4")
    assert b'xnovu_messages_total{code="",outcome="done",stage="hydrate"} 1.0' in content
    assert b"process_resident_memory_bytes" in content
    assert E1.encode() not in content
    assert b"enterprise" not in content


async def test_two_processes_worth_of_metrics_do_not_meet():
    one, other = Metrics(), Metrics()
    one.claimed(1)
    assert value(other, "xnovu_claimed_total") == 0


class Clumsy(Unobserved):
    def began(self, stage: str, size: int) -> None:
        raise ValueError("jane@example.com")

    def finished(self, report: Report) -> None:
        raise KeyError("jane@example.com")


async def test_an_observer_that_raises_harms_nobody_and_is_logged_once(caplog):
    metrics = Metrics()
    both = Observers(Clumsy(), metrics)
    both.began("hydrate", 1)
    both.held("hydrate", 1, AWAY)
    both.finished(report(Done()))
    assert value(metrics, "xnovu_batches_total", stage="hydrate") == 1
    assert value(metrics, "xnovu_holds_total", stage="hydrate", code="provider_down") == 1
    assert "Clumsy" in caplog.text
    assert "ValueError" in caplog.text
    assert len(caplog.records) == 1
    assert "jane" not in caplog.text


def test_wake_ups_may_be_watched_anew():
    metrics, line = Metrics(), Line("hints")
    metrics.watch(lambda: Line("of old").now)
    metrics.watch(lambda: line.now)
    line.connected()
    assert value(metrics, "xnovu_wakeups_connected") == 1
