"""How envelopes get onto their streams, and what it means if one does not."""

import re
from collections.abc import Sequence

from nats.errors import Error as NatsError
from nats.js.errors import APIError, NoStreamResponseError

from xnovu.adapters.nats.arrival import MESSAGE_ID
from xnovu.adapters.nats.connection import Broker
from xnovu.adapters.nats.declare import Streams
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.rights import beginning
from xnovu.adapters.nats.send import Answer, Parcel, Sender, too_large, unpublishable
from xnovu.adapters.nats.topology import stream_name, subject_of
from xnovu.envelope import Envelope
from xnovu.errors import Paused, Retryable, XNovuError, describe
from xnovu.events import Event

STREAM_LIMIT = 10054
"""JetStream's error code for a message over the stream's own limit."""
FULL = {10002, 10023, 10028, 10047, 10077}
"""JetStream's error codes where the account, the server's disk or the stream has no more room."""
NOBODYS = {408, 429, 500, 503}
"""Statuses of what is no message's fault: no leader, no quorum, no JetStream just now, too busy."""

TOO_LARGE = re.compile("message (size )?(exceeds|too large)")
"""What the server's store says of one message, under a code that it has for much else."""

Published = tuple[Envelope[Event], Answer]


class JetStreamPublisher:
    """The publishing half of the transport."""

    def __init__(
        self, broker: Broker, sender: Sender, streams: Streams, options: NatsOptions
    ) -> None:
        self._broker = broker
        self._sender = sender
        self._streams = streams
        self._prefix = options.prefix
        self._timeout = options.publish_timeout

    async def publish(self, envelopes: Sequence[Envelope[Event]]) -> Sequence[XNovuError | None]:
        """See :meth:`xnovu.ports.Publisher.publish`."""
        packed = [self._packed(envelope) for envelope in envelopes]
        sent = iter(await self._sender.send([one for one in packed if isinstance(one, Parcel)]))
        answers = [next(sent) if isinstance(one, Parcel) else one for one in packed]
        published = list(zip(envelopes, answers, strict=True))
        missing = await self._made_anew(published)
        return [self._translated(envelope, answer, missing) for envelope, answer in published]

    def _packed(self, envelope: Envelope[Event]) -> Parcel | XNovuError:
        try:
            headers, body = envelope.encode()
            subject = subject_of(self._prefix, envelope.event, express=envelope.express)
            stream = stream_name(self._prefix, envelope.event.kind)
            parcel = Parcel(subject, body, {MESSAGE_ID: headers.pop("id"), **headers}, stream)
            parcel.require_writable()
        except XNovuError as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this one message's
            return unpublishable(f"it cannot be written: {describe(error)}")
        return parcel

    async def _made_anew(self, published: Sequence[Published]) -> dict[str, str]:
        """Make streams that are missing; says of each kind what is to be told of it."""
        return {
            kind: await self._about(kind)
            for kind in {e.event.kind for e, a in published if isinstance(a, NoStreamResponseError)}
        }

    async def _about(self, kind: str) -> str:
        try:
            await self._streams.ensure(self._broker, kind)
        except (XNovuError, NatsError, TimeoutError) as error:
            return f"stream {stream_name(self._prefix, kind)} does not answer: {describe(error)}"
        return f"stream {stream_name(self._prefix, kind)} was missing"

    def _translated(
        self, envelope: Envelope[Event], answer: Answer, missing: dict[str, str]
    ) -> XNovuError | None:
        """Nobody's fault, and waited for, or this message's own: there is no third."""
        kind = envelope.event.kind
        match answer:
            case None | XNovuError():
                return answer
            case NoStreamResponseError():
                return Retryable(missing[kind], code="broker")
            case APIError() as error:
                return self._refused(kind, error)
            case TimeoutError():
                return self._unanswered(kind)
            case NatsError() | OSError():
                return Paused(f"NATS: {type(answer).__name__}", code="broker_unavailable")
            case error:
                return unpublishable(describe(error))

    def _unanswered(self, kind: str) -> XNovuError:
        """The server does not answer to what it does not let in: it says so beside."""
        if denied := self._broker.denials.pop(beginning(f"{self._prefix}.{kind}"), None):
            return Paused(denied, code="broker_permission")
        return Paused(f"NATS did not confirm within {self._timeout:g} s", code="broker")

    def _refused(self, kind: str, error: APIError) -> XNovuError:
        said = f"{error.description} ({error.err_code})"
        if error.err_code == STREAM_LIMIT or TOO_LARGE.search(error.description or ""):
            return too_large("more than its stream takes")
        if error.err_code in FULL:
            stream = stream_name(self._prefix, kind)
            return Paused(f"no room in stream {stream}: {said}", code="broker_full")
        if error.code in NOBODYS:
            return Paused(f"NATS: {said}", code="broker_unavailable")
        return unpublishable(f"NATS refuses it: {said}")
