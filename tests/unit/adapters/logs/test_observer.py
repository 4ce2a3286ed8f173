import asyncio

from tests.conftest import eventually
from tests.unit.adapters.logs.conftest import Log
from xnovu.adapters.logs import LogObserver
from xnovu.adapters.logs.observer import EXAMPLES, LINES
from xnovu.events import Key
from xnovu.observer import Report
from xnovu.policy import Dead, Done, Fate, Hold, Policy, Retry

ENTERPRISE = "11111111-1111-4111-8111-111111111111"
AWAY = Hold(2.0, "Novu is away", "provider_down")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def report(*fates: tuple[str, int, Fate], stage: str = "hydrate", seconds: float = 0.5) -> Report:
    pairs = [(Key(enterprise, number), fate) for enterprise, number, fate in fates]
    return Report(stage, pairs, seconds)


async def test_many_batches_are_one_line(log: Log):
    observer = LogObserver(interval=3600)
    for number in range(0, 300, 3):
        observer.began("hydrate", 3)
        observer.finished(report(*[(ENTERPRISE, number + n, Done()) for n in range(3)]))
    assert log.text == ""
    observer.flush()
    [line] = log.lines
    del line["timestamp"]
    assert line == {
        "level": "info",
        "event": "batch",
        "logger": "xnovu",
        "stage": "hydrate",
        "enterprise": ENTERPRISE,
        "outcome": "done",
        "count": 300,
        "notification": 0,
        "batches": 100,
        "seconds": 50.0,
        "slowest": 0.5,
    }


async def test_outcomes_and_codes_have_lines_of_their_own_the_worst_first(log: Log):
    observer = LogObserver(interval=3600)
    fates = [
        ("acme", 1, Done()),
        ("acme", 2, Retry(1.0, "slow", "timeout")),
        ("acme", 3, Retry(1.0, "slow", "timeout")),
        ("acme", 4, Retry(1.0, "busy", "publish")),
        ("acme", 5, Dead("no workflow", "no_workflow")),
        ("other", 6, Done()),
    ]
    observer.finished(report(*fates))
    observer.flush()
    told = [
        (line["level"], line["enterprise"], line.get("code"), line["count"], line["notification"])
        for line in log.lines
        if line["event"] == "batch"
    ]
    assert told == [
        ("error", "acme", "no_workflow", 1, 5),
        ("warning", "acme", "timeout", 2, 2),
        ("warning", "acme", "publish", 1, 4),
        ("info", "acme", None, 1, 1),
        ("info", "other", None, 1, 6),
    ]


async def test_a_few_dead_are_told_one_by_one(log: Log):
    observer = LogObserver(interval=3600)
    dead = Dead("no workflow for jane.doe@example.com", "no_workflow")
    for _ in range(2):
        observer.finished(report(*[("acme", n, dead) for n in range(500)]))
        observer.flush()
    examples = [line for line in log.lines if line["event"] == "dead"]
    assert len(examples) == 2 * EXAMPLES
    assert examples[0]["reason"].startswith("no workflow for ")
    assert (examples[0]["enterprise"], examples[0]["notification"]) == ("acme", 0)
    assert sum(line["count"] for line in log.lines if line["event"] == "batch") == 1000
    assert "jane" not in log.text


async def test_a_bug_is_told_with_its_type_and_its_line_and_no_value(log: Log):
    """The code alone would say nothing of where to look."""

    def handle() -> None:
        raise KeyError("jane.doe@example.com")

    observer = LogObserver(interval=3600)
    try:
        handle()
    except KeyError as error:
        retry = Policy().judge(error, 1)
    assert isinstance(retry, Retry)
    observer.finished(report(*[("acme", n, retry) for n in range(500)]))
    examples = [line for line in log.lines if line["event"] == "unexpected"]
    assert len(examples) == EXAMPLES
    line = handle.__code__.co_firstlineno + 1
    assert examples[0]["reason"] == f"KeyError at logs/test_observer.py:{line}"
    assert "jane" not in log.text


async def test_ten_thousand_enterprises_are_a_few_lines(log: Log):
    observer = LogObserver(interval=3600)
    fates = [(f"enterprise-{n}", n, Done()) for n in range(10_000)]
    dead = [(f"enterprise-{n}", n, Dead("no", "no_workflow")) for n in range(5_000)]
    observer.finished(report(*fates, *fates[:3]))
    observer.finished(report(*dead))
    observer.finished(report(*fates, stage="trigger"))
    observer.flush()
    assert len(log.lines) == EXAMPLES + LINES + 3
    sums = [line for line in log.lines if line["event"] != "dead"]
    assert sum(line["count"] for line in sums) == 25_003
    others = {(line["stage"], line["outcome"]): line for line in sums if "enterprises" in line}
    assert others["hydrate", "done"]["enterprises"] == 10_000
    assert others["hydrate", "dead"]["enterprises"] == 5_000 - LINES
    assert others["trigger", "done"]["count"] == 10_000


async def test_flushes_by_itself_and_says_nothing_when_idle(log: Log):
    observer = LogObserver(interval=0.01)
    observer.finished(report(("acme", 1, Done())))
    await eventually(lambda: len(log.lines) == 1)
    observer.finished(report(("acme", 2, Done())))
    await eventually(lambda: len(log.lines) == 2)
    observer.flush()
    observer.flush()
    assert [line["notification"] for line in log.lines] == [1, 2]


async def test_after_the_last_flush_no_timer_is_left(log: Log):
    observer = LogObserver(interval=0.01)
    observer.finished(report(("acme", 1, Done())))
    observer.flush()
    log.clear()
    other = LogObserver(interval=0.02)
    other.finished(report(("acme", 2, Done())))
    await eventually(lambda: log.text)
    assert [line["notification"] for line in log.lines] == [2]


def holds(log: Log) -> list[tuple[str, str]]:
    return [(line["event"], line["code"]) for line in log.lines]


async def test_tells_when_work_is_held_and_when_it_goes_on(log: Log):
    clock = Clock()
    observer = LogObserver(interval=3600, clock=clock)
    observer.began("trigger", 5)
    for _ in range(1000):
        observer.held("trigger", 5, AWAY)
        clock.now += 2
    observer.finished(report(("acme", 1, Done()), stage="trigger"))
    first, second = log.lines
    assert (first["level"], first["event"]) == ("warning", "holding work")
    assert (first["code"], first["reason"]) == ("provider_down", "Novu is away")
    assert (first["stage"], first["count"]) == ("trigger", 5)
    assert (second["level"], second["event"]) == ("info", "no longer holding")
    assert second["seconds"] == 2000.0


async def test_work_goes_on_when_the_last_held_batch_is_over(log: Log):
    observer = LogObserver(interval=3600)
    in_hand, go_on = asyncio.Event(), asyncio.Event()

    async def neighbour() -> None:
        observer.held("trigger", 1, AWAY)
        in_hand.set()
        await go_on.wait()
        observer.finished(report(("acme", 2, Done()), stage="trigger"))

    async def passer_by() -> None:
        observer.finished(report(("acme", 3, Done()), stage="trigger"))

    running = asyncio.create_task(neighbour())
    await in_hand.wait()
    observer.held("trigger", 1, AWAY)
    await asyncio.create_task(passer_by())
    observer.finished(report(("acme", 1, Done()), stage="trigger"))
    assert holds(log) == [("holding work", "provider_down")]
    go_on.set()
    await running
    assert holds(log)[1:] == [("no longer holding", "provider_down")]


async def test_a_held_batch_that_was_killed_holds_nothing(log: Log):
    observer = LogObserver(interval=3600)

    async def killed() -> None:
        observer.held("trigger", 1, AWAY)

    await asyncio.create_task(killed())
    observer.finished(report(("acme", 1, Done()), stage="trigger"))
    assert holds(log)[1:] == [("no longer holding", "provider_down")]


async def test_comings_and_goings_are_told_once_in_an_interval(log: Log):
    clock = Clock()
    observer = LogObserver(interval=5.0, clock=clock)
    for _ in range(50):
        observer.held("trigger", 1, AWAY)
        observer.finished(report(("acme", 1, Done()), stage="trigger"))
        clock.now += 0.1
    assert len(log.lines) == 2
    clock.now += 5
    observer.held("trigger", 1, AWAY)
    assert len(log.lines) == 3


async def test_another_reason_is_told_too(log: Log):
    clock = Clock()
    observer = LogObserver(interval=5.0, clock=clock)
    observer.held("trigger", 1, AWAY)
    observer.held("trigger", 1, Hold(1.0, "the key is bad", "bad_key"))
    clock.now += 6
    observer.held("trigger", 1, Hold(1.0, "the key is bad", "bad_key"))
    assert holds(log) == [("holding work", "provider_down"), ("holding work", "bad_key")]
