"""
Streams and consumers brought to what the configuration says.

The one place that changes them; what is missing, a running stage makes as well (``declare``, from
the same configurations). Nothing that has not been settled is ever thrown away here.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, StreamConfig, StreamInfo
from nats.js.errors import NotFoundError

from xnovu.adapters.nats import removal
from xnovu.adapters.nats.address import Access, access_of
from xnovu.adapters.nats.client import jetstream_of
from xnovu.adapters.nats.configuration import consumer_config, stream_config
from xnovu.adapters.nats.connection import require_new_enough, takes_batches
from xnovu.adapters.nats.consumer import unsettled
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.topology import (
    ADVISORIES,
    ADVISORY,
    Mailbox,
    boxes_of,
    covers,
    kinds_of,
    stream_name,
)
from xnovu.adapters.nats.visit import visiting
from xnovu.errors import ConfigurationError
from xnovu.policy import Policy
from xnovu.ports import Start

STREAM_FIELDS = (
    "subjects",
    "max_age",
    "max_bytes",
    "duplicate_window",
    "num_replicas",
    "allow_batched",
)
STREAM_FIXED = ("retention", "storage")
CONSUMER_FIELDS = (
    "description",
    "filter_subject",
    "filter_subjects",
    "ack_wait",
    "max_deliver",
    "max_ack_pending",
    "backoff",
)
CONSUMER_FIXED = ("deliver_policy", "ack_policy", "deliver_subject")

Needed = tuple[Sequence[str], Policy] | tuple[Sequence[str], Policy, Start]
Mailboxes = Mapping[str, Needed]
"""By name: what each reads, how, and where one begins that is new."""


async def provision(
    url: str | Callable[[], str] | Access, options: NatsOptions, mailboxes: Mailboxes
) -> list[str]:
    """
    Create what is missing, update what differs, and say of each what was done.

    Safe to repeat. A mailbox that is to read another kind from now on reads the former one no more;
    rows whose messages wait there are claimed anew. Raises ConfigurationError where a change would
    lose something: another retention or storage, subjects given up, or less room in a stream that
    still holds messages nobody has settled. Raises Paused if NATS cannot be reached.
    """
    boxes = boxes_for(mailboxes)
    async with visiting(access_of(url, options)) as client:
        require_new_enough(client)
        jetstream = jetstream_of(client)
        batches = takes_batches(client)
        configs = [stream_config(options, kind, batches=batches) for kind in kinds_of(boxes)]
        streams = [await _stream(jetstream, config) for config in configs]
        consumers = [await _consumer(jetstream, options, box) for box in boxes]
        displaced = await removal.StreamMailboxes(client, options).displaced(boxes)
        return [*streams, *consumers, *(f"removed {title}" for title in displaced)]


def boxes_for(mailboxes: Mailboxes) -> list[Mailbox]:
    """Their consumers. Raises ConfigurationError where a name cannot be one."""
    return [
        box
        for name, (kinds, policy, *start) in mailboxes.items()
        for box in boxes_of(name, kinds, policy, *start)
    ]


async def _stream(jetstream: JetStreamContext, wanted: StreamConfig) -> str:
    name = wanted.name or ""
    try:
        info = await jetstream.stream_info(name)
    except NotFoundError:
        await jetstream.add_stream(wanted)  # pyright: ignore[reportUnknownMemberType]
        return f"created stream {name}"
    wanted = _hearing_on(info.config, wanted)
    _refuse(f"stream {name}", info.config, wanted, STREAM_FIXED)
    drift = _drift(info.config, wanted, STREAM_FIELDS)
    if not drift:
        return f"unchanged stream {name}"
    await _refuse_loss(jetstream, info, wanted)
    changed = {field: getattr(wanted, field) for field in drift}
    await jetstream.update_stream(info.config, **changed)  # pyright: ignore[reportUnknownMemberType]
    return f"updated stream {name}: {_spoken(drift)}"


async def _consumer(jetstream: JetStreamContext, options: NatsOptions, box: Mailbox) -> str:
    wanted, stream = consumer_config(options, box), stream_name(options.prefix, box.kind)
    title = f"consumer {box.durable} of stream {stream}"
    try:
        found = (await jetstream.consumer_info(stream, box.durable)).config
    except NotFoundError:
        await jetstream.add_consumer(stream, wanted)  # pyright: ignore[reportUnknownMemberType]
        return f"created {title}"
    _refuse(title, found, wanted, CONSUMER_FIXED)
    drift = _drift(found, wanted, CONSUMER_FIELDS)
    if not drift:
        return f"unchanged {title}"
    await jetstream.add_consumer(stream, wanted)  # pyright: ignore[reportUnknownMemberType]
    return f"updated {title}: {_spoken(drift)}"


def _hearing_on(found: StreamConfig, wanted: StreamConfig) -> StreamConfig:
    """
    What is wanted; ADVISORY goes on to hear of each stream of ours that it has ever heard of.

    The stream of a stage of one's own that has left still holds messages, and who reads it.
    """
    name, ours = wanted.name or "", wanted.subjects or []
    advisories = f"{ADVISORIES}.{name.removesuffix(ADVISORY.upper())}"
    there = [s for s in found.subjects or () if s in ours or s.startswith(advisories)]
    subjects = [*there, *(each for each in ours if each not in there)]
    return wanted.evolve(subjects=subjects)  # pyright: ignore[reportUnknownMemberType]


def stream_drift(found: StreamConfig, wanted: StreamConfig) -> str:
    """In what a stream is not as it is wanted, in words; empty if in nothing."""
    return _spoken(_drift(found, _hearing_on(found, wanted), (*STREAM_FIXED, *STREAM_FIELDS)))


Drift = dict[str, tuple[Any, Any]]


def _drift(
    found: StreamConfig | ConsumerConfig,
    wanted: StreamConfig | ConsumerConfig,
    fields: Sequence[str],
) -> Drift:
    pairs = {field: (getattr(found, field), getattr(wanted, field)) for field in fields}
    return {field: (was, is_) for field, (was, is_) in pairs.items() if was != is_}


def _spoken(drift: Drift) -> str:
    pairs = drift.items()
    return ", ".join(f"{field} {_plain(was)} → {_plain(is_)}" for field, (was, is_) in pairs)


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _refuse(title: str, found: Any, wanted: Any, fixed: Sequence[str]) -> None:
    if drift := _drift(found, wanted, fixed):
        raise ConfigurationError(
            f"{title} was made otherwise ({_spoken(drift)});"
            " that can only be changed by deleting it, which is not done here: stop the stages,"
            " delete it (`nats stream rm`, `nats consumer rm`), and provision; rows are fed anew"
        )


async def _refuse_loss(jetstream: JetStreamContext, info: StreamInfo, wanted: StreamConfig) -> None:
    """Less room is only made where nothing falls out, or every consumer has settled all."""
    found = info.config
    ours = wanted.subjects or ()
    given_up = {s for s in found.subjects or () if not any(covers(each, s) for each in ours)}
    if given_up:
        raise ConfigurationError(
            f"stream {found.name} also takes {', '.join(sorted(given_up))}: give these a stream of"
            " their own"
        )
    if not await _would_be_cut(jetstream, info, wanted):
        return
    consumers = await jetstream.consumers_info(found.name or "")
    left = max(map(unsettled, consumers), default=0)
    if left:
        raise ConfigurationError(
            f"stream {found.name} would be cut, and {left} of its messages are not settled yet:"
            " let the stages run until they are, or keep more (transport.retention_days, max_bytes)"
        )


async def _would_be_cut(
    jetstream: JetStreamContext, info: StreamInfo, wanted: StreamConfig
) -> bool:
    """Whether messages that are there now do not fit into what is wanted."""
    state = info.state
    if wanted.max_bytes and 0 < wanted.max_bytes < state.bytes:
        return True
    if not wanted.max_age or not state.messages:
        return False
    try:
        oldest = await jetstream.get_msg(wanted.name or "", seq=state.first_seq)
    except NotFoundError:  # it went just now
        return True
    return not oldest.time or (datetime.now(UTC) - oldest.time).total_seconds() > wanted.max_age
