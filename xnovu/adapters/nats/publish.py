"""How envelopes get onto their streams, and what it means if one does not."""

from collections.abc import Sequence

from nats.js import errors as jetstream_errors

from xnovu.adapters.nats.arrival import MESSAGE_ID
from xnovu.adapters.nats.consumer import missing_stream
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.send import Answer, Parcel, Sender, too_large
from xnovu.adapters.nats.topology import stream_name, subject_of
from xnovu.envelope import Envelope
from xnovu.errors import Retryable, XNovuError
from xnovu.events import Event

STREAM_LIMIT = 10054
"""JetStream's error code for a message over the stream's own limit."""


class JetStreamPublisher:
    """The publishing half of the transport."""

    def __init__(self, sender: Sender, options: NatsOptions) -> None:
        self._sender = sender
        self._prefix = options.prefix
        self._timeout = options.publish_timeout

    async def publish(self, envelopes: Sequence[Envelope[Event]]) -> Sequence[XNovuError | None]:
        """See :meth:`xnovu.ports.Publisher.publish`."""
        packed = [self._packed(envelope) for envelope in envelopes]
        sent = iter(await self._sender.send([one for one in packed if isinstance(one, Parcel)]))
        answers = [next(sent) if isinstance(one, Parcel) else one for one in packed]
        return [
            self._translated(envelope, answer)
            for envelope, answer in zip(envelopes, answers, strict=True)
        ]

    def _packed(self, envelope: Envelope[Event]) -> Parcel | XNovuError:
        headers, body = envelope.encode()
        try:
            subject = subject_of(self._prefix, envelope.event)
        except XNovuError as error:
            return error
        return Parcel(subject, body, {MESSAGE_ID: headers.pop("id"), **headers})

    def _translated(self, envelope: Envelope[Event], answer: Answer) -> XNovuError | None:
        match answer:
            case None | XNovuError():
                return answer
            case jetstream_errors.NoStreamResponseError():
                stream = stream_name(self._prefix, envelope.event.kind)
                return Retryable(missing_stream(stream), code="broker")
            case jetstream_errors.APIError(err_code=code, description=said):
                if code == STREAM_LIMIT:
                    return too_large("more than its stream takes")
                return Retryable(f"NATS refuses it: {said} ({code})", code="broker")
            case TimeoutError():
                waited = f"NATS did not confirm within {self._timeout:g} s"
                return Retryable(waited, code="broker")
            case error:
                return Retryable(f"NATS: {type(error).__name__}", code="broker")
