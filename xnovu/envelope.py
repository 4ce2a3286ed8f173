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
from xnovu.events import KINDS, Event, Failure, Hydrated, Key, Rejected

NOBODY = "unknown"
"""Whose a message is that does not even say so in its headers."""

E_co = TypeVar("E_co", bound=Event, covariant=True)

MISADDRESSED = "misaddressed"
"""The code of a message whose address, id and body do not agree: it is nobody's."""


class Address(NamedTuple):
    """
    Where a message came in, such as its subject: whose it is and, where that tells it, what.

    ``stage`` is that of a dead letter.
    """

    enterprise_id: str
    kind: str | None = None
    stage: str | None = None

    def agrees(self, event: Event) -> bool:
        """Whether this is where such an event belongs."""
        stage = event.failure.stage if isinstance(event, Rejected) else None
        said = Address(event.enterprise_id, event.kind, stage)
        return said == (self if self.kind else said._replace(enterprise_id=self.enterprise_id))


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


def decode(
    headers: Mapping[str, str], body: bytes, address: Address | None = None
) -> Envelope[Event]:
    """
    Read an envelope that came in at an address; None: the transport has none.

    Raises:
        Permanent: ``unreadable``, whatever the reason, or ``misaddressed``: its address, its id and
            its body are not about the same row. Never anything else.
    """
    try:
        kind = headers["id"].split(":", 1)[0]
        event = KINDS[kind].of_json(body)
    except (KeyError, ValueError) as error:
        reason = f"not an XNovu message: {type(error).__name__}"
        raise Permanent(reason, code="unreadable") from None
    if not f"{headers['id']}/".startswith(f"{kind}:{event.key}/"):
        raise _misaddressed("its id names another row than its body")
    if isinstance(event, Hydrated) and event.key[:2] != event.notification.row:
        raise _misaddressed("it carries the notification of another row")
    if address and not address.agrees(event):
        raise _misaddressed("its subject names another enterprise, kind or stage than its body")
    return Envelope(event, headers.get("traceparent", ""), is_express(headers))


def _misaddressed(why: str) -> Permanent:
    return Permanent(f"the message contradicts itself: {why}", code=MISADDRESSED)


def is_express(headers: Mapping[str, str]) -> bool:
    """Whether a message goes before others that wait."""
    return "express" in headers


def key_of(headers: Mapping[str, str], address: Address | None = None) -> Key | None:
    """Which row a message is about, read from its id alone; None if even that says nothing."""
    try:
        kind, _, rest = headers["id"].partition(":")
        key = Key.parse(rest)
    except (KeyError, ValueError):
        return None
    fits = address is None or (address.enterprise_id, address.kind or kind) == (key[0], kind)
    return key if fits else None


def about(headers: Mapping[str, str], body: bytes, address: Address | None = None) -> Key | None:
    """
    Which row a message is about: as its body says, else its id.

    None if neither names one, and for what contradicts itself.
    """
    try:
        return row_of(decode(headers, body, address).event)
    except Permanent as error:
        return None if error.code == MISADDRESSED else key_of(headers, address)


def row_of(event: Event) -> Key | None:
    """Which row an event is about; None for a dead letter of what named none."""
    return None if isinstance(event, Rejected) and event.nameless else event.key


def dead_letter(
    headers: Mapping[str, str],
    body: bytes,
    failure: Failure,
    *,
    whole: bool = True,
    address: Address | None = None,
) -> Envelope[Event]:
    """
    An ordinary event that tells of a message given up; ``whole`` has it carry the original bytes.

    Whoever gives up the same message for the same stage names it the same. One that names no row is
    filed under the enterprise at whose address the message came in.
    """
    row = about(headers, body, address)
    key = row or Key(address.enterprise_id if address else NOBODY, 0, 0, 0)
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
