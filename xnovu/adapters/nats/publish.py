"""How envelopes get onto their streams, and what it means if one does not."""

from collections.abc import Sequence

from nats.errors import Error as NatsError
from nats.js.errors import APIError, NoStreamResponseError

from xnovu.adapters.nats.arrival import MESSAGE_ID
from xnovu.adapters.nats.connection import Broker
from xnovu.adapters.nats.declare import Streams
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.send import Answer, Parcel, Sender, too_large
from xnovu.adapters.nats.topology import stream_name, subject_of
from xnovu.envelope import Envelope
from xnovu.errors import Paused, Retryable, XNovuError, describe
from xnovu.events import Event

STREAM_LIMIT = 10054
"""JetStream's error code for a message over the stream's own limit."""
FULL = {10023, 10047, 10077}
"""JetStream's error codes where the account, the server's disk or the stream has no more room."""

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
        headers, body = envelope.encode()
        try:
            subject = subject_of(self._prefix, envelope.event, express=envelope.express)
        except XNovuError as error:
            return error
        stream = stream_name(self._prefix, envelope.event.kind)
        return Parcel(subject, body, {MESSAGE_ID: headers.pop("id"), **headers}, stream)

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
        match answer:
            case None | XNovuError():
                return answer
            case NoStreamResponseError():
                return Retryable(missing[envelope.event.kind], code="broker")
            case APIError() as error:
                return self._refused(envelope.event.kind, error)
            case TimeoutError():
                waited = f"NATS did not confirm within {self._timeout:g} s"
                return Retryable(waited, code="broker")
            case error:
                return Retryable(f"NATS: {type(error).__name__}", code="broker")

    def _refused(self, kind: str, error: APIError) -> XNovuError:
        said = f"{error.description} ({error.err_code})"
        if error.err_code == STREAM_LIMIT:
            return too_large("more than its stream takes")
        if error.err_code in FULL:
            stream = stream_name(self._prefix, kind)
            return Paused(f"no room in stream {stream}: {said}", code="broker_full")
        return Retryable(f"NATS refuses it: {said}", code="broker")
