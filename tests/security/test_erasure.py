"""What docs/operations.md says of erasing one person from the streams, on a real server."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from tests.builders import a_notification, namespace
from xnovu.adapters.nats.configuration import stream_config
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.topology import (
    Lane,
    retries_of,
    stream_name,
    subject_of,
)
from xnovu.envelope import Envelope, dead_letter
from xnovu.events import Failure, Hydrated
from xnovu_local.nats import EmbeddedNats

DOCS = Path(__file__).parent.parent.parent / "docs" / "operations.md"
PURGES = re.findall(r"nats stream purge (\S+) --subject '(\S+)'", DOCS.read_text())
ACME, OTHER = "acme co.", "other"
KINDS = ("hydrate", "dead", retries_of("trigger"))


@pytest.fixture
async def options() -> NatsOptions:
    return NatsOptions(**namespace())


@pytest.fixture
async def streams(
    nats_server: EmbeddedNats, options: NatsOptions
) -> AsyncIterator[JetStreamContext]:
    """Of each kind that holds payloads: what two enterprises have there."""
    client = await nats.connect(nats_server.url)
    jetstream = client.jetstream()
    for kind in KINDS:
        await jetstream.add_stream(stream_config(options, kind, batches=False))
    for enterprise in (ACME, OTHER):
        await fill(jetstream, options.prefix, enterprise)
    yield jetstream
    for kind in KINDS:
        await jetstream.delete_stream(stream_name(options.prefix, kind))
    await client.close()


async def fill(jetstream: JetStreamContext, prefix: str, enterprise: str) -> None:
    row = a_notification(7, enterprise_id=enterprise)
    event = Hydrated(notification_id=7, enterprise_id=enterprise, notification=row)
    headers, body = Envelope(event).encode()
    at = "2026-01-01T00:00:00Z"
    failure = Failure(code="x", stage="trigger", message="no", attempts=1, at=at)
    letter = dead_letter(headers, body, failure).event
    subject = subject_of(prefix, event)
    for each in (subject, subject_of(prefix, event, express=True), subject_of(prefix, letter)):
        await jetstream.publish(each, body)
    for lane in (Lane.DUE, Lane.ALONE):
        copy = f"{prefix}.{KINDS[-1]}.{lane}.{subject.split('.')[-1]}.hydrate-1-1"
        await jetstream.publish(copy, body)


async def left(jetstream: JetStreamContext, options: NatsOptions) -> dict[str, int]:
    """How many messages of each subject there are."""
    found: dict[str, int] = {}
    for kind in KINDS:
        info = await jetstream.stream_info(stream_name(options.prefix, kind), subjects_filter=">")
        found |= info.state.subjects or {}
    return found


async def test_all_that_an_enterprise_has_in_the_streams_can_be_taken_out(
    streams: JetStreamContext, options: NatsOptions
) -> None:
    """By the subjects of the docs, as `nats stream purge` asks for it; others keep theirs."""
    assert len(await left(streams, options)) == 10
    for stream, subject in PURGES:
        name = stream.replace("XNOVU", options.prefix.upper())
        ours = subject.replace("xnovu.", f"{options.prefix}.", 1)
        ours = ours.replace("<enterprise>", "acme%20co%2E")
        await streams.purge_stream(name, subject=ours)
    there = await left(streams, options)
    assert len(there) == 5
    assert all("other" in subject for subject in there)


async def test_a_single_message_can_be_taken_out(
    streams: JetStreamContext, options: NatsOptions
) -> None:
    """As `nats stream rmm` asks for it, whose request the docs name."""
    stream = stream_name(options.prefix, "hydrate")
    client = streams._nc
    asked = json.dumps({"seq": 1}).encode()
    answer = await client.request(f"$JS.API.STREAM.MSG.DELETE.{stream}", asked)
    assert json.loads(answer.data)["success"]
    with pytest.raises(NotFoundError):
        await streams.get_msg(stream, 1)


def test_the_docs_name_every_stream_that_holds_a_payload() -> None:
    named = {stream for stream, _ in PURGES}
    assert named == {"XNOVU_HYDRATE", "XNOVU_DEAD", "XNOVU_RETRY_trigger"}
