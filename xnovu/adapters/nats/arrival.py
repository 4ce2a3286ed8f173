"""What a message that has arrived says of itself."""

from nats.aio.msg import Msg

from xnovu.ports import Delivery

MESSAGE_ID = "Nats-Msg-Id"
ATTEMPTS = "attempts"
"""A copy's header: how many attempts were spent before it was made."""


def delivery(message: Msg, old: int = 0) -> Delivery:
    """
    The message as the port has it; its id travels as JetStream's own.

    One up to number ``old`` of its stream may have been delivered before, whatever the count says,
    and a copy was made of one that was.
    """
    given = message.headers or {}
    headers = {name: value for name, value in given.items() if not name.startswith("Nats-")}
    if identity := given.get(MESSAGE_ID):
        headers["id"] = identity
    copied = headers.pop(ATTEMPTS, None) is not None
    attempt = attempts_before(message) + count_of(message)
    return Delivery(headers, message.data, attempt, suspect=copied or number_of(message) <= old)


def attempts_before(message: Msg) -> int:
    """The attempts that a copy's original was spent on."""
    said = (message.headers or {}).get(ATTEMPTS, "")
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
