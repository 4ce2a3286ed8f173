"""What a message that has arrived says of itself."""

from collections.abc import Mapping

from nats.aio.msg import Msg

from xnovu.ports import UNENDING, Delivery, Lease

MESSAGE_ID = "Nats-Msg-Id"
ATTEMPTS = "attempts"
"""A copy's header: how many attempts were spent before it was made."""


def delivery(message: Msg, old: int = 0, lease: Lease = UNENDING) -> Delivery:
    """
    The message as the port has it; its id travels as JetStream's own.

    One up to number ``old`` of its stream may have been delivered before, whatever the count says,
    and a copy was made of one that was.
    """
    headers = plain(message.headers)
    attempt = attempts_before(headers) + count_of(message)
    copied = headers.pop(ATTEMPTS, None) is not None
    suspect = copied or number_of(message) <= old
    return Delivery(headers, message.data, attempt, suspect, lease)


def plain(headers: Mapping[str, str] | None) -> dict[str, str]:
    """A message's headers without those that only the server understands."""
    given = headers or {}
    ours = {name: value for name, value in given.items() if not name.startswith("Nats-")}
    return ours | ({"id": given[MESSAGE_ID]} if MESSAGE_ID in given else {})


def attempts_before(headers: Mapping[str, str]) -> int:
    """The attempts that a copy's original was spent on."""
    said = headers.get(ATTEMPTS, "")
    return int(said) if said.isdecimal() else 0


def count_of(message: Msg) -> int:
    """
    How often this very message was delivered, this time included.

    nats-py's ``Msg.metadata`` says the same and takes four times as long. The form is in ADR-15 of
    nats-io/nats-architecture-and-design: with a JetStream domain, two words more come first.
    """
    return _word(message, 4)


def number_of(message: Msg) -> int:
    """Its number in the stream."""
    return _word(message, 5)


def _word(message: Msg, place: int) -> int:
    words = message.reply.split(".")
    return int(words[place if len(words) == 9 else place + 2])
