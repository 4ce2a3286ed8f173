"""How a message is opened, without a server."""

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from xnovu.adapters.nats.arrival import delivery
from xnovu.adapters.nats.consumer import Consumer
from xnovu.adapters.nats.declare import Streams
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.topology import boxes_of
from xnovu.policy import Policy
from xnovu.ports import Delivery

PLAIN = "$JS.ACK.XNOVU_INGEST.hydrate.3.71.90.1795460231801234567.0"
WITH_DOMAIN = "$JS.ACK.hub.acchash.XNOVU_INGEST.hydrate.3.71.90.1795460231801234567.0.x"


def a_message(reply: str, headers: dict[str, str] | None = None) -> Msg:
    return Msg(Client(), "xnovu.ingest.acme", reply, b"body", headers)


@pytest.mark.parametrize("reply", [PLAIN, WITH_DOMAIN])
def test_the_count_is_the_servers(reply: str):
    message = a_message(reply)
    assert delivery(message) == Delivery({}, b"body", message.metadata.num_delivered)
    assert delivery(message).attempt == 3


def test_what_may_have_been_delivered_before_does_not_pass_for_new():
    first = a_message(PLAIN.replace(".3.71.", ".1.71."))
    suspects = [delivery(first, old).suspect for old in (0, 70, 71, 99)]
    assert suspects == [False, False, True, True]
    assert delivery(first, old=99).attempt == 1


def test_what_may_have_a_copy_is_looked_up_and_the_rest_is_not():
    [box, *_] = boxes_of("hydrate", ["ingest"], Policy())
    consumer = Consumer(NatsOptions(), box, Streams(NatsOptions()))
    first = a_message(PLAIN.replace(".3.71.", ".1.71."))
    consumer.old = 71
    assert not consumer.may_have_put_off(1, first)
    assert consumer.may_have_put_off(3, a_message(PLAIN))
    consumer.put_off = True
    assert consumer.may_have_put_off(1, first)
    consumer.old = 70
    assert not consumer.may_have_put_off(1, first)


def test_the_id_travels_as_jetstreams_own():
    message = a_message(PLAIN, {"Nats-Msg-Id": "ingest:a/1/0/1", "expires": "later"})
    assert delivery(message).headers == {"id": "ingest:a/1/0/1", "expires": "later"}


def test_a_copy_goes_on_counting_and_is_suspect():
    headers = {"id": "ingest:a/1/0/1", "attempts": "4", "Nats-Scheduler": "x", "expires": "later"}
    copy = delivery(a_message(PLAIN, headers))
    assert copy == Delivery({"id": "ingest:a/1/0/1", "expires": "later"}, b"body", 7, suspect=True)


@pytest.mark.parametrize("said", ["", "-1", "many", "²"])
def test_a_count_that_is_none_is_nothing(said: str):
    assert delivery(a_message(PLAIN, {"attempts": said})).attempt == 3
