"""After the 201: fan-out, duplicates dropped late, the window for cancelling, the look-up."""

from xnovu_local.novu import Step, Workflow

from .conftest import Stand, event


async def test_drops_a_late_duplicate(stand: Stand) -> None:
    await stand.trigger()
    stand.clock.advance()
    again = await stand.trigger()
    assert again.json()["data"]["status"] == "processed"
    book = await stand.settled()
    assert (book["asked"], book["accepted"], book["dropped"], book["notified"]) == (2, 2, 1, 1)


async def test_drops_a_duplicate_within_one_bulk(stand: Stand) -> None:
    await stand.bulk(event("t1"), event("t1", to="bob"), event("t2"))
    assert (await stand.settled())["subscribers"] == {"ada": 1}
    assert (await stand.settled("t2"))["notified"] == 1


async def test_delivers_two_copies_whose_gaps_overlap(stand: Stand) -> None:
    stand.novu.change(fan_out_delay=1.0, dedupe_gap=0.5)
    await stand.trigger()
    stand.clock.advance(0.4)
    await stand.trigger()
    stand.clock.advance(2)
    assert (await stand.settled())["subscribers"] == {"ada": 2}
    assert stand.novu.ledger.doubled() == ["t1"]
    assert stand.novu.ledger.shown_totals()["doubled"] == 1


async def test_drops_a_copy_that_comes_after_the_gap(stand: Stand) -> None:
    stand.novu.change(fan_out_delay=1.0, dedupe_gap=0.5)
    await stand.trigger()
    stand.clock.advance(0.6)
    await stand.trigger()
    stand.clock.advance(2)
    assert (await stand.settled())["subscribers"] == {"ada": 1}
    assert stand.novu.ledger.doubled() == []


async def test_counts_each_person(stand: Stand) -> None:
    stand.novu.change(dedupe_gap=1.0)
    await stand.bulk(event("t1", to=["ada", "bob"]), event("t1", to=["bob", "eve"]))
    stand.clock.advance(1)
    book = await stand.settled()
    assert book["subscribers"] == {"ada": 1, "bob": 2, "eve": 1}
    assert (book["notified"], book["fanOuts"]) == (4, 2)


async def test_two_copies_for_different_persons_double_nobody(stand: Stand) -> None:
    stand.novu.change(dedupe_gap=1.0)
    await stand.bulk(event("t1", to="ada"), event("t1", to="bob"))
    stand.clock.advance(1)
    assert (await stand.settled())["notified"] == 2
    assert stand.novu.ledger.doubled() == []


async def test_cannot_cancel_before_the_fan_out(stand: Stand) -> None:
    stand.novu.change(fan_out_delay=5.0)
    stand.register(Workflow("welcome", steps=(Step("email", delay=10),)))
    await stand.trigger()
    assert await stand.cancel("t1") is False
    stand.clock.advance(5)
    assert await stand.cancel("t1") is True
    assert await stand.cancel("t1") is False
    stand.clock.advance(100)
    book = await stand.settled()
    assert (book["notified"], book["cancelled"]) == (0, True)


async def test_cannot_cancel_what_has_gone_out_or_never_came(stand: Stand) -> None:
    stand.register(Workflow("welcome", steps=(Step("email", delay=10),)))
    await stand.trigger()
    stand.clock.advance(10)
    assert await stand.cancel("t1") is False
    assert await stand.cancel("unknown") is False
    assert (await stand.settled())["notified"] == 1


async def test_a_cancelled_id_stays_used(stand: Stand) -> None:
    stand.register(Workflow("welcome", steps=(Step("email", delay=10),)))
    await stand.trigger()
    stand.clock.advance()
    await stand.cancel("t1")
    await stand.trigger()
    stand.clock.advance(100)
    book = await stand.settled()
    assert (book["notified"], book["dropped"]) == (0, 1)


async def test_cancels_only_the_steps_still_to_come(stand: Stand) -> None:
    steps = (Step("in_app"), Step("push"), Step("email", delay=10), Step("sms", delay=5))
    stand.register(Workflow("welcome", steps=steps))
    await stand.trigger()
    stand.clock.advance(10)
    assert [one.channels for one in stand.novu.inbox.latest(9)] == [("email",), ("in_app", "push")]
    assert await stand.cancel("t1") is True
    stand.clock.advance(100)
    assert len(stand.novu.inbox) == 2
    assert (await stand.settled())["notified"] == 1


async def test_finds_a_transaction_only_after_its_fan_out(stand: Stand) -> None:
    stand.novu.change(fan_out_delay=5.0, dedupe_gap=1.0)
    await stand.trigger(event("t1", to=["ada", "bob"]))
    assert (await stand.seen("t1"))["data"] == []
    stand.clock.advance(5)
    assert (await stand.seen("t1"))["data"] == []
    stand.clock.advance(1)
    found = await stand.seen("t1")
    assert [one["subscriber"]["subscriberId"] for one in found["data"]] == ["ada", "bob"]
    assert (await stand.seen("unknown"))["data"] == []


async def test_tells_how_far_each_step_has_got(stand: Stand) -> None:
    steps = (Step("in_app"), Step("email", delay=10), Step("sms", delay=5))
    stand.register(Workflow("welcome", steps=steps))
    await stand.bulk(event("t1"), event("t2"))
    stand.clock.advance()
    assert await jobs(stand, "t1") == "in_app completed, delay delayed, email pending, " + (
        "delay pending, sms pending"
    )
    stand.clock.advance(10)
    await stand.cancel("t1")
    assert await jobs(stand, "t1") == "in_app completed, delay completed, email completed, " + (
        "delay canceled, sms canceled"
    )
    stand.clock.advance(10)
    assert "sms completed" in await jobs(stand, "t2")
    assert "sms canceled" in await jobs(stand, "t1")


async def jobs(stand: Stand, transaction: str) -> str:
    [found] = (await stand.seen(transaction))["data"]
    trigger, *steps = (f"{job['type']} {job['status']}" for job in found["jobs"])
    assert trigger == "trigger completed"
    return ", ".join(steps)


async def test_turns_the_pages_of_a_look_up(stand: Stand) -> None:
    await stand.trigger(event("t1", to=[f"user-{number}" for number in range(25)]))
    stand.clock.advance()
    pages = [await stand.seen("t1", page=page) for page in range(3)]
    assert [len(page["data"]) for page in pages] == [10, 10, 5]
    assert [page["hasMore"] for page in pages] == [True, True, False]
    assert len({one["_id"] for page in pages for one in page["data"]}) == 25
    assert len((await stand.seen("t1", limit=20))["data"]) == 20
    for page in ("-1", "one", "inf"):
        wrong = await stand.client.get("/v1/notifications", params={"page": page})
        assert wrong.status_code == 400


async def test_lists_the_recent_without_a_transaction(stand: Stand) -> None:
    await stand.bulk(event("t1"), event("t2"))
    stand.clock.advance()
    found = (await stand.client.get("/v1/notifications")).json()
    assert [one["transactionId"] for one in found["data"]] == ["t2", "t1"]


async def test_takes_messages_back(stand: Stand) -> None:
    stand.register(Workflow("welcome", steps=(Step("in_app"), Step("email"))))
    await stand.trigger()
    stand.clock.advance()
    path = "/v1/messages/transaction/t1"
    answer = await stand.client.delete(path, params={"channel": "in_app"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert stand.novu.inbox.latest(1)[0].taken_back == ("in_app",)
    await stand.client.delete(path)
    assert stand.novu.inbox.latest(1)[0].taken_back == ("in_app", "email")
    assert (await stand.client.delete(path, params={"channel": "pigeon"})).status_code == 400
    assert (await stand.client.delete("/v1/messages/transaction/unknown")).status_code == 204


async def test_a_reset_calls_off_what_is_under_way(stand: Stand) -> None:
    stand.novu.change(fan_out_delay=1.0)
    await stand.trigger()
    stand.novu.reset()
    stand.clock.advance(10)
    assert stand.novu.ledger.shown_totals()["transactions"] == 0
    await stand.trigger()
    stand.clock.advance(10)
    assert (await stand.settled())["notified"] == 1
