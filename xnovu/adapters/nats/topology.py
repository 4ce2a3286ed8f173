"""Which subjects, streams and consumers there are, and how each is configured."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from xnovu.adapters.nats.options import NatsOptions
from xnovu.errors import ConfigurationError, Permanent
from xnovu.events import KINDS, Event, Rejected
from xnovu.policy import Policy

DAY = 86_400
CRASH_ALLOWANCE = 4
"""Deliveries beyond the policy's attempts: for workers that died holding a message."""
PROCESSES = 16
"""As many processes of one stage always have room to work, ..."""
PARKED = 20_000
"""... beside as many messages that wait for their next try: they count as unacknowledged too."""
TOKEN_LIMIT = 512
"""A subject has to fit in the protocol's line of 4096 bytes, or the server hangs up."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A durable consumer on one stream: what a subscription has for each of its kinds."""

    name: str
    kind: str
    policy: Policy


def boxes_of(name: str, kinds: Iterable[str], policy: Policy) -> list[Mailbox]:
    """A subscription's consumers. Raises ConfigurationError where the name cannot be one."""
    if not name or not all(c.isalnum() or c in "-_" for c in name) or not name.isascii():
        raise ConfigurationError(f"a mailbox name has letters, digits, - and _ only: {name!r}")
    return [Mailbox(name, kind, policy) for kind in kinds]


def kinds_of(mailboxes: Iterable[Mailbox]) -> Sequence[str]:
    """Every kind that has a stream: those of the pipeline, and whatever else is subscribed to."""
    return list(dict.fromkeys([*KINDS, *(mailbox.kind for mailbox in mailboxes)]))


def stream_name(prefix: str, kind: str) -> str:
    """Each kind of event has a stream of its own, so that each can be kept as long as it should."""
    return f"{prefix}_{kind}".upper()


def every_subject(prefix: str, kind: str) -> str:
    """The subject filter that takes in every enterprise."""
    return f"{prefix}.{kind}.>"


def some_subjects(
    prefix: str, kind: str, enterprise_id: str | None = None, stage: str | None = None
) -> str:
    """The subject filter of a kind, of one enterprise or of one stage's dead letters."""
    stages = [_token(stage) if stage else "*"] if kind == Rejected.kind else []
    return ".".join([prefix, kind, *stages, _token(enterprise_id) if enterprise_id else ">"])


def subject_of(prefix: str, event: Event) -> str:
    """
    Where an event is published: its kind, for a dead letter the stage, and its enterprise.

    Raises Permanent for an enterprise that no subject and no header can name.
    """
    stage = [_token(event.failure.stage)] if isinstance(event, Rejected) else []
    return ".".join([prefix, event.kind, *stage, _token(event.enterprise_id)])


def _token(text: str) -> str:
    """One level of a subject: percent-encoded, so that no dot, space or wildcard gets through."""
    if not text.isprintable():
        raise Permanent("the enterprise's id has unprintable characters", code="unaddressable")
    token = quote(text, safe="").replace(".", "%2E") or "%"
    if len(token) > TOKEN_LIMIT:
        raise Permanent("the enterprise's id is too long for a subject", code="unaddressable")
    return token


def stream_config(options: NatsOptions, kind: str) -> StreamConfig:
    """LIMITS, so that it can be replayed, and so that a restart does not forget duplicates."""
    return StreamConfig(
        name=stream_name(options.prefix, kind),
        subjects=[every_subject(options.prefix, kind)],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        max_age=options.retention_days * DAY,
        max_bytes=options.max_bytes or -1,
        duplicate_window=options.duplicate_window,
        num_replicas=options.replicas,
        allow_direct=True,
    )


def consumer_config(options: NatsOptions, mailbox: Mailbox) -> ConsumerConfig:
    """No ``backoff``: the server would add it to the delay that a retry asks for."""
    policy = mailbox.policy
    attempts = [policy.attempts, *(rule.attempts or 0 for rule in policy.rules.values())]
    return ConsumerConfig(
        name=mailbox.name,
        durable_name=mailbox.name,
        filter_subject=every_subject(options.prefix, mailbox.kind),
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=options.lease,
        max_deliver=max(attempts) + CRASH_ALLOWANCE,
        max_ack_pending=policy.batch * policy.slots * PROCESSES + PARKED,
    )
