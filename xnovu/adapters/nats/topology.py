"""Which subjects, streams and consumers there are, and how each is configured."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from urllib.parse import quote, unquote

from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from xnovu.adapters.nats.options import NatsOptions
from xnovu.envelope import NOBODY, Address
from xnovu.errors import ConfigurationError, Permanent
from xnovu.events import KINDS, Captured, Event, Hydrated, Rejected, Triggered
from xnovu.policy import Policy
from xnovu.ports import Start

DAY = 86_400
CRASH_ALLOWANCE = 4
"""Deliveries beyond the policy's attempts: for workers that died holding a message."""
LAST_TRIES = 3
"""Deliveries of a message that is handled alone: if its worker vanishes each time, it is why."""
PROCESSES = 64
"""As many processes of one stage always have room to work."""
TOKEN_LIMIT = 512
"""A subject has to fit in the protocol's line of 4096 bytes, or the server hangs up."""
LATER = "later"
"""The stream of the messages that are to come again, each as a copy for one mailbox alone."""
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
    """What a consumer takes in: events of a kind, or the mailbox's own copies in LATER."""

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
        beside = self.lane in {Lane.AT, Lane.ALONE, Lane.EXPRESS}
        return f"{self.name}+{self.lane}" if beside else self.name


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
        *(Mailbox(name, LATER, policy, lane) for lane, policy in lanes.items()),
        Mailbox(name, ADVISORY, UNDERTAKING, Lane.ADVICE),
    ]


def flows(kind: str) -> bool:
    """Whether events of a kind may go before others."""
    return issubclass(KINDS.get(kind, Event), FLOWING)


def mailbox_of(durable: str) -> str:
    """Whose consumer it is."""
    return durable.partition("+")[0]


def kinds_of(mailboxes: Iterable[Mailbox]) -> Sequence[str]:
    """All that has a stream: the pipeline's kinds, what else is subscribed to, and our own."""
    return list(dict.fromkeys([*KINDS, *(mailbox.kind for mailbox in mailboxes), LATER, ADVISORY]))


def stream_name(prefix: str, kind: str) -> str:
    """Each kind of event has a stream of its own, so that each can be kept as long as it should."""
    return f"{prefix}_{kind}".upper()


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
        lanes = ("", f"+{Lane.EXPRESS}", f"+{Lane.ALONE}")
        return [f"{ADVISORIES}.*.{mailbox.name}{lane}" for lane in lanes]
    return [filter_of(prefix, mailbox)]


def filter_of(prefix: str, mailbox: Mailbox) -> str:
    """The subjects of messages that a consumer takes in."""
    match mailbox.lane:
        case Lane.KIND:
            return f"{prefix}.{mailbox.kind}.{'*' if flows(mailbox.kind) else '>'}"
        case Lane.EXPRESS:
            return f"{prefix}.{mailbox.kind}.*.{Lane.EXPRESS}"
        case Lane.ADVICE:
            return f"{ADVISORIES}.*.{mailbox.name}"
        case lane:
            return every_subject(prefix, f"{LATER}.{lane}.{mailbox.name}")


def subjects_of(prefix: str, kind: str) -> list[str]:
    """The subjects that a stream takes in."""
    if kind == ADVISORY:
        return [f"{ADVISORIES}.{stream_name(prefix, each)}.>" for each in (*KINDS, LATER)]
    return [every_subject(prefix, kind)]


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
        case [_, kind, _, _, whose, _] if kind == LATER:
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


def stream_config(options: NatsOptions, kind: str, *, batches: bool) -> StreamConfig:
    """
    LIMITS, so that it can be replayed, and so that a restart does not forget duplicates.

    ``batches``: whether the server knows of them.
    """
    return StreamConfig(
        name=stream_name(options.prefix, kind),
        subjects=subjects_of(options.prefix, kind),
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        max_age=options.retention_days * DAY,
        max_bytes=options.max_bytes or -1,
        duplicate_window=options.duplicate_window,
        num_replicas=options.replicas,
        allow_direct=True,
        allow_msg_schedules=kind == LATER or None,
        allow_batched=(batches and kind in KINDS) or None,
    )


def consumer_config(options: NatsOptions, mailbox: Mailbox) -> ConsumerConfig:
    """How a mailbox's messages are given out."""
    filters = filters_of(options.prefix, mailbox)
    config = ConsumerConfig(
        name=mailbox.durable,
        durable_name=mailbox.durable,
        description=OURS,
        filter_subject=filters[0] if len(filters) == 1 else None,
        filter_subjects=filters if len(filters) > 1 else None,
        deliver_policy=_beginning(mailbox.start),
        opt_start_time=mailbox.start if isinstance(mailbox.start, datetime) else None,
        ack_policy=AckPolicy.NONE,
        max_deliver=-1,
    )
    return config if mailbox.lane is Lane.AT else _leased(config, options, mailbox)


def _beginning(start: Start) -> DeliverPolicy:
    match start:
        case "all":
            return DeliverPolicy.ALL
        case "now":
            return DeliverPolicy.NEW
        case _:
            return DeliverPolicy.BY_START_TIME


def _leased(config: ConsumerConfig, options: NatsOptions, mailbox: Mailbox) -> ConsumerConfig:
    """No ``backoff``: the server would add it to the delay that a retry asks for."""
    policy = mailbox.policy
    return replace(
        config,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=options.lease,
        max_deliver=_deliveries(mailbox),
        max_ack_pending=policy.batch * policy.slots * PROCESSES,
    )


def _deliveries(mailbox: Mailbox) -> int:
    match mailbox.lane:
        case Lane.ALONE:
            return LAST_TRIES
        case Lane.ADVICE:
            return -1
        case _:
            rules = mailbox.policy.rules.values()
            attempts = [mailbox.policy.attempts, *(rule.attempts or 0 for rule in rules)]
            return max(attempts) + CRASH_ALLOWANCE


def covers(wide: str, narrow: str) -> bool:
    """Whether a subject filter takes in all that another one does."""
    ours, theirs = wide.split("."), narrow.split(".")
    for at, word in enumerate(ours):
        if word == ">":
            return len(theirs) > at
        if at >= len(theirs) or theirs[at] == ">" or word not in ("*", theirs[at]):
            return False
    return len(ours) == len(theirs)
