"""
The unit that travels: an event with an identity and a trace.

On the wire: the headers ``id`` (``<kind>:<enterprise>/<notification>/<generation>/<claims>…``),
``traceparent`` (W3C, where there is one) and ``express`` (where it goes before others), and the
event as JSON. The id alone says which row a
message is about, even if its body is unreadable.
"""

import hashlib
from collections.abc import Mapping
from typing import Generic, NamedTuple, TypeVar

from xnovu.errors import Permanent
from xnovu.events import KINDS, Event, Failure, Key, Rejected

NOBODY = "unknown"
"""Whose a message is that does not even say so in its headers."""

E_co = TypeVar("E_co", bound=Event, covariant=True)


class Envelope(NamedTuple, Generic[E_co]):
    """An event on its way. ``express`` ones, and what they cause, go before others that wait."""

    event: E_co
    trace: str = ""
    express: bool = False

    @property
    def id(self) -> str:
        """Deterministic: the same across redelivery, replay and a crash that repeats the work."""
        return f"{self.event.kind}:{self.event.identity}"

    @property
    def enterprise_id(self) -> str:
        return self.event.enterprise_id

    def then(self, event: Event) -> "Envelope[Event]":
        """The envelope this one causes."""
        return Envelope(event, self.trace, self.express)

    def encode(self) -> tuple[dict[str, str], bytes]:
        headers = {"id": self.id}
        if self.trace:
            headers["traceparent"] = self.trace
        if self.express:
            headers["express"] = "1"
        return headers, self.event.to_json()


def decode(headers: Mapping[str, str], body: bytes) -> Envelope[Event]:
    """
    Read an envelope.

    Raises:
        Permanent: ``unreadable``, whatever the reason; never anything else.
    """
    try:
        kind = headers["id"].split(":", 1)[0]
        event = KINDS[kind].of_json(body)
        return Envelope(event, headers.get("traceparent", ""), is_express(headers))
    except (KeyError, ValueError) as error:
        reason = f"not an XNovu message: {type(error).__name__}"
        raise Permanent(reason, code="unreadable") from error


def is_express(headers: Mapping[str, str]) -> bool:
    """Whether a message goes before others that wait."""
    return "express" in headers


def key_of(headers: Mapping[str, str]) -> Key | None:
    """Which row a message is about, read from its id alone; None if even that says nothing."""
    try:
        return Key.parse(headers["id"].split(":", 1)[1])
    except (KeyError, IndexError, ValueError):
        return None


def about(headers: Mapping[str, str], body: bytes) -> Key | None:
    """Which row a message is about: as its body says, else its id; None if neither names one."""
    try:
        return row_of(decode(headers, body).event)
    except Permanent:
        return key_of(headers)


def row_of(event: Event) -> Key | None:
    """Which row an event is about; None for a dead letter of what named none."""
    return None if isinstance(event, Rejected) and event.nameless else event.key


def dead_letter(
    headers: Mapping[str, str], body: bytes, failure: Failure, *, whole: bool = True
) -> Envelope[Event]:
    """
    An ordinary event that tells of a message given up; ``whole`` has it carry the original bytes.

    Whoever gives up the same message for the same stage names it the same.
    """
    row = about(headers, body)
    key = row or Key(NOBODY, 0, 0, 0)
    rejected = Rejected(
        **key._asdict(),
        nameless=row is None,
        digest=None if row else _digest(headers, body),
        failure=failure,
        original=body.decode(errors="replace") if whole else None,
        original_id=headers.get("id"),
    )
    return Envelope(rejected, trace=headers.get("traceparent", ""))


def _digest(headers: Mapping[str, str], body: bytes) -> str:
    """The same for the same message, however often it was delivered."""
    return hashlib.sha256(headers.get("id", "").encode() + b"\0" + body).hexdigest()


def is_dead_letter(headers: Mapping[str, str]) -> bool:
    """Whether this is one itself: rejected in its turn, it stops there."""
    return headers.get("id", "").startswith(f"{Rejected.kind}:")
