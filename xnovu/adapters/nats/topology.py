"""Which subjects, streams and consumers there are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from urllib.parse import quote, unquote

from xnovu.envelope import NOBODY, Address
from xnovu.errors import ConfigurationError, Permanent
from xnovu.events import KINDS, Captured, Event, Hydrated, Rejected, Triggered
from xnovu.policy import Policy
from xnovu.ports import Start

DAY = 86_400
TOKEN_LIMIT = 512
"""A subject has to fit in the protocol's line of 4096 bytes, or the server hangs up."""
RETRY = "retry"
"""
The streams of what is to come again: each mailbox has one of its own, for its copies.

Only there can its user have the server put a message at a time, and nobody else reads it.
"""
FORMER = "later"
"""The one stream that all mailboxes had for it in 0.1."""
ADVISORY = "advisory"
"""The stream of what the server says of messages delivered as often as they may be."""
ADVISORIES = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES"
"""Where it says so: of each stream and consumer (io.nats.jetstream.advisory.v1.max_deliver)."""
FLOWING = (Captured, Hydrated, Triggered)
"""Events of which some may go before others: what leads to a notification's being sent."""
ELSEWHERE = Address(NOBODY, "?")
"""Where nothing of ours belongs: no message agrees with it."""
OURS = "a mailbox of XNovu"
"""Every consumer's description: of others' we tell nothing."""


class Lane(StrEnum):
    """What a consumer takes in: events of a kind, or the mailbox's own copies."""

    KIND = ""
    EXPRESS = "express"
    """Events of a kind that go before the others of it."""
    AT = "at"
    """Copies whose time has not come. Nobody takes them; the consumer is there to count them."""
    DUE = "due"
    ALONE = "alone"
    """Those that were in hand more than once when their worker vanished: one of them may be why."""
    ADVICE = "advice"
    """Not messages, but the server's words on those of this mailbox."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """
    A durable consumer on one stream: a subscription has one for each kind and each lane.

    ``start`` is where one that is made begins to read.
    """

    name: str
    kind: str
    policy: Policy
    lane: Lane = Lane.KIND
    start: Start = "all"

    @property
    def durable(self) -> str:
        """The consumer's name. No mailbox can be called so, and `+` parts it from its lane's."""
        beside = self.lane in {Lane.AT, Lane.ALONE, Lane.EXPRESS} or self._advises_on_copies
        return f"{self.name}+{self.lane}" if beside else self.name

    @property
    def _advises_on_copies(self) -> bool:
        return self.lane is Lane.ADVICE and self.kind != ADVISORY


UNDERTAKING = Policy(batch=20, slots=1, linger=0.0)


def boxes_of(
    name: str, kinds: Sequence[str], policy: Policy, start: Start = "all"
) -> list[Mailbox]:
    """A subscription's consumers. Raises ConfigurationError where the name cannot be one."""
    if not name or not all(c.isalnum() or c in "-_" for c in name) or not name.isascii():
        raise ConfigurationError(f"a mailbox name has letters, digits, - and _ only: {name!r}")
    single = replace(policy, batch=1, slots=1)
    lanes = {Lane.AT: policy, Lane.DUE: policy, Lane.ALONE: single}
    express = replace(policy, slots=1)
    return [
        *(Mailbox(name, kind, policy, start=start) for kind in kinds),
        *(Mailbox(name, kind, express, Lane.EXPRESS, start) for kind in kinds if flows(kind)),
        *(Mailbox(name, retries_of(name), policy, lane) for lane, policy in lanes.items()),
        *(Mailbox(name, kind, UNDERTAKING, Lane.ADVICE) for kind in (ADVISORY, retries_of(name))),
    ]


def flows(kind: str) -> bool:
    """Whether events of a kind may go before others."""
    return issubclass(KINDS.get(kind, Event), FLOWING)


def mailbox_of(durable: str) -> str:
    """Whose consumer it is."""
    return durable.partition("+")[0]


def kinds_of(mailboxes: Iterable[Mailbox]) -> Sequence[str]:
    """All that has a stream: the pipeline's kinds, what else is subscribed to, and our own."""
    return list(dict.fromkeys([*KINDS, ADVISORY, *(mailbox.kind for mailbox in mailboxes)]))


def retries_of(mailbox: str) -> str:
    """What its stream of copies holds, as a kind: no event's has a dot."""
    return f"{RETRY}.{mailbox}"


def are_retries(kind: str) -> bool:
    """Whether a kind's stream is a mailbox's, of copies."""
    return kind.startswith(f"{RETRY}.")


def stream_name(prefix: str, kind: str) -> str:
    """
    Each kind of event has a stream of its own, so that each can be kept as long as it should.

    A mailbox's copies have one that is named after it, as it is spelled.
    """
    kind, dot, mailbox = kind.partition(".")
    return f"{prefix}_{kind}".upper() + dot.replace(".", "_") + mailbox


def every_subject(prefix: str, kind: str) -> str:
    """The subject filter that takes in every enterprise."""
    return f"{prefix}.{kind}.>"


def some_subjects(
    prefix: str, kind: str, enterprise_id: str | None = None, stage: str | None = None
) -> list[str]:
    """The subject filters of a kind, of one enterprise or of one stage's dead letters."""
    stages = [token_of(stage) if stage else "*"] if kind == Rejected.kind else []
    whole = ".".join([prefix, kind, *stages, token_of(enterprise_id) if enterprise_id else ">"])
    return [whole, f"{whole}.{Lane.EXPRESS}"] if enterprise_id and flows(kind) else [whole]


def acknowledgements(stream: str, durable: str) -> str:
    """Where a consumer hears what has become of its messages."""
    return f"$JS.ACK.{stream}.{durable}"


def filters_of(prefix: str, mailbox: Mailbox) -> list[str]:
    """The subjects that a consumer takes in: of the server's words, those on its own lanes."""
    if mailbox.lane is Lane.ADVICE:
        stream = "*" if mailbox.kind == ADVISORY else stream_name(prefix, mailbox.kind)
        lanes = ("", f"+{Lane.EXPRESS if mailbox.kind == ADVISORY else Lane.ALONE}")
        return [f"{ADVISORIES}.{stream}.{mailbox.name}{lane}" for lane in lanes]
    return [filter_of(prefix, mailbox)]


def filter_of(prefix: str, mailbox: Mailbox) -> str:
    """The subjects of messages that a consumer takes in."""
    match mailbox.lane:
        case Lane.KIND:
            return f"{prefix}.{mailbox.kind}.{'*' if flows(mailbox.kind) else '>'}"
        case Lane.EXPRESS:
            return f"{prefix}.{mailbox.kind}.*.{Lane.EXPRESS}"
        case Lane.ADVICE:
            return filters_of(prefix, mailbox)[0]
        case lane:
            return every_subject(prefix, f"{mailbox.kind}.{lane}")


def subjects_of(prefix: str, kind: str) -> list[str]:
    """The subjects that a stream takes in."""
    if kind == ADVISORY:
        return [_advisories(prefix, each) for each in KINDS]
    own = [_advisories(prefix, kind)] if are_retries(kind) else []
    return [every_subject(prefix, kind), *own]


def _advisories(prefix: str, kind: str) -> str:
    return f"{ADVISORIES}.{stream_name(prefix, kind)}.>"


def subject_of(prefix: str, event: Event, *, express: bool = False) -> str:
    """
    Where an event is published: its kind, for a dead letter the stage, and its enterprise.

    One that goes before others has a word more. Raises Permanent for an enterprise that no subject
    and no header can name.
    """
    stage = [token_of(event.failure.stage)] if isinstance(event, Rejected) else []
    lane = [Lane.EXPRESS] if express and flows(event.kind) else []
    return ".".join([prefix, event.kind, *stage, token_of(event.enterprise_id), *lane])


@lru_cache(4096)
def address_of(subject: str) -> Address:
    """
    What a subject says of a message; of a copy's, only whose it is.

    The reverse of :func:`subject_of`, whatever the prefix; ELSEWHERE for any other subject.
    """
    match subject.split("."):
        case [_, kind, _, _, whose, _] if kind == RETRY:
            return Address(_text(whose))
        case [_, kind, stage, whose] if kind == Rejected.kind:
            return Address(_text(whose), kind, _text(stage))
        case [_, kind, whose] | [_, kind, whose, Lane.EXPRESS] if kind != Rejected.kind:
            return Address(_text(whose), kind)
        case _:
            return ELSEWHERE


def _text(level: str) -> str:
    return "" if level == "%" else unquote(level)


@lru_cache(4096)
def token_of(text: str) -> str:
    """One level of a subject: percent-encoded, so that no dot, space or wildcard gets through."""
    if not text.isprintable():
        raise Permanent("the enterprise's id has unprintable characters", code="unaddressable")
    token = quote(text, safe="").replace(".", "%2E") or "%"
    if len(token) > TOKEN_LIMIT:
        raise Permanent("the enterprise's id is too long for a subject", code="unaddressable")
    return token


def covers(wide: str, narrow: str) -> bool:
    """Whether a subject filter takes in all that another one does."""
    ours, theirs = wide.split("."), narrow.split(".")
    for at, word in enumerate(ours):
        if word == ">":
            return len(theirs) > at
        if at >= len(theirs) or theirs[at] == ">" or word not in ("*", theirs[at]):
            return False
    return len(ours) == len(theirs)
