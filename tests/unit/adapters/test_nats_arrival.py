"""How a message is opened, without a server."""

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from xnovu.adapters.nats.arrival import delivery
from xnovu.envelope import Address
from xnovu.ports import Delivery

PLAIN = "$JS.ACK.XNOVU_INGEST.hydrate.3.71.90.1795460231801234567.0"
WITH_DOMAIN = "$JS.ACK.hub.acchash.XNOVU_INGEST.hydrate.3.71.90.1795460231801234567.0.x"


def a_message(reply: str, headers: dict[str, str] | None = None) -> Msg:
    return Msg(Client(), "xnovu.ingest.acme", reply, b"body", headers)


@pytest.mark.parametrize("reply", [PLAIN, WITH_DOMAIN])
def test_the_count_is_the_servers(reply: str):
    message = a_message(reply)
    count = message.metadata.num_delivered
    assert delivery(message) == Delivery({}, b"body", count, Address("acme", "ingest"))
    assert delivery(message).attempt == 3


def test_the_id_travels_as_jetstreams_own():
    message = a_message(PLAIN, {"Nats-Msg-Id": "ingest:a/1/0/1", "express": "1"})
    assert delivery(message).headers == {"id": "ingest:a/1/0/1", "express": "1"}


def test_a_copy_goes_on_counting():
    headers = {"id": "ingest:a/1/0/1", "attempts": "4", "Nats-Scheduler": "x", "express": "1"}
    copy = delivery(a_message(PLAIN, headers))
    assert copy[:3] == ({"id": "ingest:a/1/0/1", "express": "1"}, b"body", 7)


@pytest.mark.parametrize("said", ["", "-1", "many", "²"])
def test_a_count_that_is_none_is_nothing(said: str):
    assert delivery(a_message(PLAIN, {"attempts": said})).attempt == 3
