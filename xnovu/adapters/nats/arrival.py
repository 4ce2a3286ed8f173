"""What a message that has arrived says of itself."""

from collections.abc import Mapping

from nats.aio.msg import Msg

from xnovu.adapters.nats.topology import address_of
from xnovu.ports import Delivery

MESSAGE_ID = "Nats-Msg-Id"
ATTEMPTS = "attempts"
"""A copy's header: how many attempts were spent before it was made."""


def delivery(message: Msg) -> Delivery:
    """The message as the port has it; its id travels as JetStream's own, its subject says whose."""
    headers = plain(message.headers)
    attempt = attempts_before(headers) + count_of(message)
    headers.pop(ATTEMPTS, None)
    return Delivery(headers, message.data, attempt, address_of(message.subject))


def plain(headers: Mapping[str, str] | None) -> dict[str, str]:
    """A message's headers without those that only the server understands."""
    given = headers or {}
    ours = {name: value for name, value in given.items() if not name.startswith("Nats-")}
    if MESSAGE_ID in given:
        ours["id"] = given[MESSAGE_ID]
    return ours


def attempts_before(headers: Mapping[str, str]) -> int:
    """The attempts that a copy's original was spent on."""
    said = headers.get(ATTEMPTS, "")
    return int(said) if said.isdecimal() else 0


def count_of(message: Msg) -> int:
    """How often this very message was delivered, this time included."""
    return count_and_number_of(message)[0]


def number_of(message: Msg) -> int:
    """Its number in the stream."""
    return count_and_number_of(message)[1]


def count_and_number_of(message: Msg) -> tuple[int, int]:
    """
    How often it was delivered, and its number in the stream.

    nats-py's ``Msg.metadata`` says the same and takes four times as long. The form is in ADR-15 of
    nats-io/nats-architecture-and-design: with a JetStream domain, two words more come first.
    """
    words = message.reply.split(".")
    place = 4 if len(words) == 9 else 6
    return int(words[place]), int(words[place + 1])
