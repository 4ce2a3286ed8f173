"""The life of a batch, with nothing real around it."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import captured
from tests.conftest import eventually
from xnovu.envelope import Envelope, decode
from xnovu.errors import Expired, Missing, Paused, Permanent, Retryable, Unclear
from xnovu.events import Captured, Key, Rejected, Triggered
from xnovu.policy import Dead, Done, Policy, Retry, Rule
from xnovu.ports import Delivery
from xnovu.stage import Actor


class Outlet:
    """A publisher that remembers, and refuses as its script says, call by call."""

    def __init__(self, *answers: Exception | None) -> None:
        self.sent, self.answers, self.calls = [], list(answers), 0

    async def publish(self, envelopes):
        self.calls += 1
        answer = self.answers.pop(0) if self.answers else None
        if answer is None:
            self.sent += envelopes
        return [answer] * len(envelopes)


class Scripted:
    name, accepts = "scripted", (Captured,)

    def __init__(self, script) -> None:
        self.script, self.calls = script, 0

    async def handle(self, batch):
        self.calls += 1
        return [self.script(e.event.notification_id) for e in batch]


class Watcher:
    def __init__(self) -> None:
        self.holds, self.reports, self.sizes = [], [], []

    def began(self, stage, size):
        self.sizes.append(size)

    def held(self, stage, size, hold):
        self.holds.append((size, hold))

    def finished(self, report):
        self.reports.append(report)


def sealed(envelope, attempt: int = 1) -> Delivery:
    return Delivery(*envelope.encode(), attempt)


def triggered(n: int) -> Done:
    return Done.then(Triggered(notification_id=n, enterprise_id="t", transaction_id="x"))


async def fates(script, deliveries, outlet=None, **policy):
    actor = Actor(Scripted(script), Policy(**policy), outlet or Outlet())
    return await actor(deliveries)


async def test_results_become_fates_in_order():
    script = {
        1: Done(),
        2: Permanent("no", code="x"),
        3: Retryable("busy", after=7),
        4: Expired("too late"),
    }.__getitem__
    outlet = Outlet()
    got = await fates(script, [sealed(captured(n)) for n in (1, 2, 3, 4)], outlet)
    assert got == [Done(), Dead("no", "x"), Retry(7, "busy", "retry"), Dead("too late", "expired")]
    assert [e.event.notification_id for e in outlet.sent] == [2, 4]
    assert all(isinstance(e.event, Rejected) for e in outlet.sent)


async def test_an_unreadable_message_harms_nobody_else():
    outlet = Outlet()
    bad = Delivery({"id": captured(7).id}, b"\xff{", 1)
    got = await fates(triggered, [sealed(captured(1)), bad, sealed(captured(2))], outlet)
    assert [type(f) for f in got] == [Done, Dead, Done]
    assert [e.event.kind for e in outlet.sent] == ["trigger", "dead", "trigger"]
    letter = outlet.sent[1].event
    assert letter.failure.code == "unreadable"
    assert letter.notification_id == 7
    assert letter.original == "\ufffd{"


async def test_a_message_that_says_nothing_of_itself_has_a_dead_letter_too():
    outlet = Outlet()
    watcher = Watcher()
    actor = Actor(Scripted(triggered), Policy(), outlet, watcher)
    [fate] = await actor([Delivery({}, b"?", 1)])
    assert isinstance(fate, Dead)
    assert outlet.sent[0].event.nameless
    assert watcher.reports[0].fates == [(None, fate)]
    assert outlet.sent[0].event.enterprise_id == "unknown"


async def test_dead_letters_of_messages_that_name_no_row_are_told_apart():
    """By an id each; the same message given up again is the same letter."""
    messages = [({}, b"?"), ({}, b"!"), ({"id": "x"}, b"?"), ({}, b"?")]
    outlet = Outlet()
    await fates(triggered, [Delivery(*message, 1) for message in messages], outlet)
    one, other, of_another_id, again = (envelope.id for envelope in outlet.sent)
    assert len({one, other, of_another_id}) == 3
    assert one == again
    assert decode(*outlet.sent[0].encode()).id == one


async def test_one_rotten_message_is_found_and_the_rest_go_on():
    def script(n):
        if n == 3:
            raise ZeroDivisionError
        return triggered(n)

    got = await fates(script, [sealed(captured(n), attempt=8) for n in range(1, 6)])
    assert [type(f) for f in got] == [Done, Done, Dead, Done, Done]


async def test_finding_the_rotten_one_is_cheap():
    def script(n):
        if n == 37:
            raise ZeroDivisionError
        return Done()

    stage = Scripted(script)
    got = await Actor(stage, Policy(), Outlet())([sealed(captured(n)) for n in range(100)])
    assert [type(f) for f in got].count(Done) == 99
    assert stage.calls <= 15


async def test_a_strangers_message_is_never_repeated():
    def script(n):
        raise ValueError("key=sk_live_secret to=ada@example.com")

    outlet = Outlet()
    [fate] = await fates(script, [sealed(captured(1), attempt=8)], outlet)
    assert "secret" not in fate.reason and "ada" not in fate.reason
    assert "ValueError" in outlet.sent[0].event.failure.message


async def test_a_batch_out_of_time_is_given_back():
    class Stuck(Scripted):
        async def handle(self, batch):
            await asyncio.Event().wait()

    rules = {"timeout": Rule(backoff=60)}
    actor = Actor(Stuck(None), Policy(timeout=0.05, rules=rules), Outlet())
    got = await actor([sealed(captured(n)) for n in (1, 2)])
    assert [f.code for f in got] == ["timeout", "timeout"]
    assert all(30 <= f.after <= 60 for f in got)


async def test_when_the_world_is_down_the_batch_waits_as_one():
    def down(n):
        raise Retryable("db", after=3)

    stage = Scripted(down)
    got = await Actor(stage, Policy(), Outlet())([sealed(captured(n)) for n in range(5)])
    assert got == [Retry(3, "db", "retry")] * 5
    assert stage.calls == 1


async def test_what_is_paused_stays_in_hand_and_costs_no_attempt():
    answers = [Paused("down"), Paused("down"), Done()]
    watcher = Watcher()
    stage = Scripted(lambda n: answers.pop(0))
    actor = Actor(stage, Policy(backoff=0.001, attempts=1), Outlet(), watcher)
    assert await actor([sealed(captured(1))]) == [Done()]
    assert [size for size, _ in watcher.holds] == [1, 1]
    assert len(watcher.reports) == 1


async def test_what_is_done_is_told_while_its_neighbour_is_held():
    outlet, held = Outlet(), True
    stage = Scripted(lambda n: Paused("wait", after=0.001) if n == 2 and held else triggered(n))
    actor = Actor(stage, Policy(backoff=0.001), outlet)
    task = asyncio.create_task(actor([sealed(captured(n)) for n in (1, 2, 3)]))
    await eventually(lambda: stage.calls > 1)
    assert [e.event.notification_id for e in outlet.sent] == [1, 3]
    held = False
    assert [type(f) for f in await task] == [Done] * 3
    assert [e.event.notification_id for e in outlet.sent] == [1, 3, 2]


async def test_held_work_is_given_back_at_once_when_stopping():
    watcher = Watcher()
    actor = Actor(Scripted(lambda n: Paused("down", after=3600)), Policy(), Outlet(), watcher)
    task = asyncio.create_task(actor([sealed(captured(1))]))
    await eventually(lambda: watcher.holds)
    actor.stopping.set()
    assert await task == [Retry(0.0, "given back", "stopping", spent=False)]


async def test_work_that_is_done_is_published_until_it_is_safe_and_never_repeated():
    outlet = Outlet(Retryable("no answer"), Paused("away"), None)
    stage = Scripted(triggered)
    got = await Actor(stage, Policy(backoff=0.001), outlet)([sealed(captured(1))])
    assert got == [triggered(1)]
    assert (stage.calls, outlet.calls) == (1, 3)


async def test_work_that_is_done_but_untold_is_given_back_at_once_when_stopping():
    """Whoever has it next is told by the send record that it was sent."""
    outlet, watcher = Outlet(*[Paused("away")] * 1000), Watcher()
    actor = Actor(Scripted(triggered), Policy(backoff=3600), outlet, watcher)
    task = asyncio.create_task(actor([sealed(captured(1))]))
    await eventually(lambda: watcher.holds)
    actor.stopping.set()
    assert await task == [Retry(0.0, "given back", "stopping", spent=False)]


async def test_a_publisher_that_raises_has_told_nothing():
    class Broken(Outlet):
        async def publish(self, envelopes):
            if not self.calls:
                self.calls += 1
                raise OSError("gone")
            return await super().publish(envelopes)

    outlet = Broken()
    got = await fates(triggered, [sealed(captured(1))], outlet, backoff=0.001)
    assert got == [triggered(1)]
    assert len(outlet.sent) == 1


@given(rotten=st.sets(st.integers(0, 11), max_size=3))
async def test_a_publisher_that_raises_for_some_harms_no_other(rotten):
    class Broken(Outlet):
        async def publish(self, envelopes):
            if rotten & {each.event.notification_id for each in envelopes}:
                raise ValueError
            return await super().publish(envelopes)

    outlet, watcher = Broken(), Watcher()
    actor = Actor(Scripted(triggered), Policy(backoff=60), outlet, watcher)
    task = asyncio.create_task(actor([sealed(captured(n)) for n in range(12)]))
    await eventually(lambda: watcher.holds or task.done())
    assert {each.event.notification_id for each in outlet.sent} == set(range(12)) - rotten
    assert [size for size, _ in watcher.holds] == ([len(rotten)] if rotten else [])
    actor.stopping.set()
    await task


async def test_what_can_never_be_published_kills_its_cause():
    outlet = Outlet(Permanent("9 MB, the broker takes 8", code="too_large"), None)
    [fate] = await fates(triggered, [sealed(captured(1))], outlet)
    assert fate == Dead("9 MB, the broker takes 8", "too_large")
    assert outlet.sent[0].event.failure.code == "too_large"


async def test_a_dead_letter_too_large_goes_without_the_original():
    outlet = Outlet(Permanent("too large", code="too_large"), None)
    [fate] = await fates(lambda n: Permanent("no", code="x"), [sealed(captured(1))], outlet)
    assert fate == Dead("no", "x")
    letter = outlet.sent[0].event
    assert (letter.original, letter.original_id) == (None, captured(1).id)


async def test_what_nobody_can_be_told_of_is_not_held_for_ever():
    """An enterprise that no subject can name must not keep the slot from all the others."""
    outlet = Outlet(*[Permanent("no subject can name it", code="unaddressable")] * 9)
    [fate] = await fates(triggered, [sealed(captured(1))], outlet, backoff=0.001)
    assert fate == Dead("no subject can name it", "unaddressable")
    assert outlet.calls == 3


async def test_a_rejected_rejection_stops_there():
    outlet = Outlet()
    await fates(lambda n: Permanent("no", code="x"), [sealed(captured(1))], outlet)
    again = Outlet()
    [fate] = await fates(lambda n: Permanent("no", code="x"), [sealed(outlet.sent[0])], again)
    assert isinstance(fate, Dead)
    assert again.sent == []


async def test_a_stage_that_miscounts_is_a_bug_not_a_loss():
    class Short(Scripted):
        async def handle(self, batch):
            return []

    got = await Actor(Short(None), Policy(), Outlet())([sealed(captured(n)) for n in (1, 2)])
    assert [isinstance(f, Retry) and f.after > 0 for f in got] == [True, True]


async def test_the_same_work_always_tells_the_same():
    outlet = Outlet()
    for attempt in (1, 2):
        await fates(triggered, [sealed(captured(1), attempt)], outlet)
    assert len({e.id for e in outlet.sent}) == 1


async def test_the_observer_is_told_of_every_batch():
    watcher = Watcher()
    actor = Actor(Scripted(triggered), Policy(), Outlet(), watcher)
    await actor([sealed(captured(n)) for n in (1, 2)])
    [report] = watcher.reports
    assert watcher.sizes == [2]
    assert [(key.notification_id, type(fate)) for key, fate in report.fates] == [
        (1, Done),
        (2, Done),
    ]


results = st.sampled_from(
    [Done(), triggered(1), Permanent("p", code="x"), Retryable("r", after=1.0), ValueError("bug")]
)


@given(st.lists(results, min_size=1, max_size=12), st.integers(1, 9))
async def test_always_one_fate_per_delivery(script, attempt):
    deliveries = [sealed(captured(n), attempt) for n in range(len(script))]
    got = await fates(script.__getitem__, deliveries)
    assert len(got) == len(script)
    for result, fate in zip(script, got, strict=True):
        if isinstance(result, Done):
            assert fate == result
        else:
            assert isinstance(fate, Retry | Dead)


async def test_what_is_not_its_fault_is_never_given_up():
    patient = Retryable("a part was accepted, then Novu went away", after=30.0, bounded=False)
    unclear = Unclear("no answer", code="provider_unclear")
    for error, kind in ((patient, Retry), (Missing("not there"), Retry), (unclear, Dead)):
        assert isinstance(Policy(attempts=8).judge(error, 8), kind)


def test_an_envelope_survives_the_wire():
    sent = captured(5, trace="00-a-b-01")._replace(express=True)
    assert decode(*sent.encode()) == sent
    assert decode(*captured(5).encode()) == captured(5)


def test_what_an_envelope_causes_is_of_its_trace_and_as_express():
    cause = captured(5, trace="00-a-b-01")._replace(express=True)
    [event] = triggered(5).events
    assert cause.then(event) == Envelope(event, "00-a-b-01", express=True)


def test_what_a_header_says_of_a_deadline_is_not_heeded():
    """A worker's clock never decides: the database's does, when it is about to be sent."""
    headers, body = captured(5).encode()
    late = {**headers, "expires": "2020-01-01T00:00:00+00:00"}
    assert decode(late, body) == captured(5)


@given(st.text(min_size=1), st.integers(0), st.integers(0))
def test_a_key_can_be_read_back_whatever_the_enterprise_is_called(enterprise, row, claims):
    key = Key(enterprise, row, 0, claims)
    assert Key.parse(f"{key}/SENT") == key
