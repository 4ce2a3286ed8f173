"""How each stream and consumer is configured."""

from dataclasses import replace
from datetime import datetime

from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.topology import (
    DAY,
    OURS,
    Lane,
    Mailbox,
    are_retries,
    filters_of,
    stream_name,
    subjects_of,
)
from xnovu.events import KINDS
from xnovu.ports import Start

CRASH_ALLOWANCE = 4
"""Deliveries beyond the policy's attempts: for workers that died holding a message."""
LAST_TRIES = 3
"""Deliveries of a message that is handled alone: if its worker vanishes each time, it is why."""
PROCESSES = 64
"""As many processes of one stage always have room to work."""


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
        allow_msg_schedules=are_retries(kind) or None,
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
