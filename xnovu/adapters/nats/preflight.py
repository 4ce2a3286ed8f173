"""What NATS lets its user do, tried before a message needs it; nothing of it is kept."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nats.js import JetStreamContext
from nats.js.api import AccountInfo
from nats.js.errors import NotFoundError

from xnovu.adapters.nats.address import Access, Url
from xnovu.adapters.nats.client import caught_up, jetstream_of
from xnovu.adapters.nats.configuration import stream_config
from xnovu.adapters.nats.connection import API_TIMEOUT, require_new_enough, takes_batches
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.peers import PEERS
from xnovu.adapters.nats.provision import Mailboxes, boxes_for, stream_drift
from xnovu.adapters.nats.rights import PROBE
from xnovu.adapters.nats.topology import (
    ADVISORY,
    Mailbox,
    acknowledgements,
    are_retries,
    kinds_of,
    stream_name,
)
from xnovu.adapters.nats.visit import Visitor, visiting
from xnovu.finding import Finding

NOWHERE = {"Nats-Expected-Stream": "XNOVU_NOWHERE"}
"""A message that no stream takes: what is published so is refused, and only the right is tried."""
NO_JSON = b"{"
"""A request that JetStream refuses as it is: only the right is tried."""
FULL = 0.9
"""Part of a limit from which on there is no room to speak of."""
PEER = "xnovu-check"


async def preflight(
    where: Url | Access, options: NatsOptions, mailboxes: Mailboxes
) -> Sequence[Finding]:
    """
    What these mailboxes' stages will need of the broker, a finding each.

    Raises:
        ConfigurationError: it refuses, is too old or has no JetStream.
        Paused: it cannot be reached.
    """
    boxes = boxes_for(mailboxes)
    async with visiting(where) as client:
        require_new_enough(client)
        jetstream = jetstream_of(client, API_TIMEOUT)
        rights = await _rights(client, options, boxes)
        if rights.fault:  # what follows would only wait in vain
            return [Finding("NATS"), rights]
        return [
            Finding("NATS"),
            rights,
            await _room(jetstream),
            await _clock(client, options),
            *[await _stream(client, jetstream, options, kind) for kind in kinds_of(boxes)],
        ]


async def _rights(client: Visitor, options: NatsOptions, boxes: Sequence[Mailbox]) -> Finding:
    inbox = client.new_inbox()
    subscription = await client.subscribe(f"{options.prefix}.{PEERS}.{PEER}")  # pyright: ignore[reportUnknownMemberType]
    await client.subscribe(inbox)  # pyright: ignore[reportUnknownMemberType]
    for subject, body, headers in _probes(options, boxes):
        await client.publish(subject, body, reply=inbox, headers=headers)
    await caught_up(client)
    await subscription.unsubscribe()
    if not client.denials:
        return Finding("NATS rights")
    denied = ", ".join(sorted(client.denials))
    return Finding(
        "NATS rights",
        f"this user may not use {denied} (as the server writes them): grant these"
        " (docs/operations.md lists what a user needs)",
    )


Probe = tuple[str, bytes, dict[str, str] | None]


def _probes(options: NatsOptions, boxes: Sequence[Mailbox]) -> Iterator[Probe]:
    """Each right once, in a form that does nothing."""
    prefix = options.prefix
    for kind in kinds_of(boxes):
        if kind != ADVISORY:
            yield f"{prefix}.{kind}.{PEER}", b"", NOWHERE
        yield f"$JS.API.STREAM.INFO.{stream_name(prefix, kind)}", b"", None
        if are_retries(kind):
            yield f"$JS.API.STREAM.MSG.GET.{stream_name(prefix, kind)}", NO_JSON, None
    yield f"{prefix}.{PEERS}.{PEER}", b"", None
    for box in boxes:
        stream = stream_name(prefix, box.kind)
        yield acknowledgements(stream, box.durable) + PROBE, b"+WPI", None
        yield f"$JS.API.CONSUMER.INFO.{stream}.{box.durable}", b"", None
        yield f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{box.durable}", NO_JSON, None
        yield f"$JS.API.CONSUMER.PAUSE.{stream}.{box.durable}", NO_JSON, None
    yield "$JS.API.INFO", b"", None


async def _room(jetstream: JetStreamContext) -> Finding:
    info = await jetstream.account_info()
    faults = list(_full(info))
    room = info.limits.max_storage
    note = f"{info.storage:,} of {room:,} bytes used" if room > 0 else "the account has no limit"
    return Finding("NATS room", "; ".join(faults) or None, "" if faults else note)


def _full(info: AccountInfo) -> Iterator[str]:
    limits = info.limits
    pairs = (
        ("bytes", info.storage, limits.max_storage),
        ("streams", info.streams, limits.max_streams),
        ("consumers", info.consumers, limits.max_consumers),
    )
    for what, used, most in pairs:
        if most and most > 0 and used >= FULL * most:
            yield (
                f"the account has used {used:,} of its {most:,} {what}: raise its limit"
                f"{', or lower transport.max_bytes' if what == 'bytes' else ''}"
            )


async def _clock(client: Visitor, options: NatsOptions) -> Finding:
    before = datetime.now(UTC)
    subject = f"$JS.API.STREAM.INFO.{stream_name(options.prefix, ADVISORY)}"
    answer = await client.request(subject, timeout=API_TIMEOUT)
    told: Mapping[str, Any] = json.loads(answer.data)
    middle = before + (datetime.now(UTC) - before) / 2
    if not (at := told.get("ts")):
        return Finding("NATS clock", note="told once its streams are there")
    seconds = (datetime.fromisoformat(at) - middle).total_seconds()
    much = f"{abs(seconds):,.0f} s {'ahead of' if seconds > 0 else 'behind'} this machine's"
    note = f"{much}: nothing here depends on it, but compare logs with care"
    return Finding("NATS clock", note="" if abs(seconds) < 1.0 else note)


async def _stream(
    client: Visitor, jetstream: JetStreamContext, options: NatsOptions, kind: str
) -> Finding:
    name = stream_name(options.prefix, kind)
    try:
        found = (await jetstream.stream_info(name)).config
    except NotFoundError:
        made = "it is missing: `xnovu provision` makes it, or the first stage that needs it"
        return Finding(name, note=made)
    drift = stream_drift(found, stream_config(options, kind, batches=takes_batches(client)))
    return Finding(name, note=f"{drift}: `xnovu provision` changes it" if drift else "")
