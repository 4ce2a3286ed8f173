"""How envelopes get onto their streams: many at once, each with an answer of its own."""

import asyncio
from collections.abc import Sequence

from nats import errors as nats_errors
from nats.js import JetStreamContext
from nats.js import errors as jetstream_errors
from nats.js.api import PubAck

from xnovu.adapters.nats.connection import Broker
from xnovu.adapters.nats.consumer import missing_stream
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.settle import MESSAGE_ID
from xnovu.adapters.nats.topology import stream_name, subject_of
from xnovu.envelope import Envelope
from xnovu.errors import Paused, Permanent, Retryable, XNovuError
from xnovu.events import Event

WINDOW = 256
"""Messages sent before their answers are waited for."""
WINDOWS = 8
"""Windows at a time: together they stay below the 4000 at which nats-py blocks for good."""
STREAM_LIMIT = 10054
"""JetStream's error code for a message over the stream's own limit."""

Sent = asyncio.Future[PubAck] | XNovuError


class JetStreamPublisher:
    """The publishing half of the transport."""

    def __init__(self, broker: Broker, options: NatsOptions) -> None:
        self._broker = broker
        self._prefix = options.prefix
        self._timeout = options.publish_timeout
        self._windows = asyncio.Semaphore(WINDOWS)

    async def publish(self, envelopes: Sequence[Envelope[Event]]) -> Sequence[XNovuError | None]:
        """See :meth:`xnovu.ports.Publisher.publish`."""
        answers: list[XNovuError | None] = []
        for start in range(0, len(envelopes), WINDOW):
            async with self._windows:
                answers += await self._window(envelopes[start : start + WINDOW])
        return answers

    async def _window(self, envelopes: Sequence[Envelope[Event]]) -> list[XNovuError | None]:
        deadline = asyncio.get_running_loop().time() + self._timeout
        sent: list[Sent] = []
        try:
            for envelope in envelopes:
                answer = await self._sent(envelope, deadline)
                sent.append(answer)
            futures = [answer for answer in sent if isinstance(answer, asyncio.Future)]
            if futures:
                left = deadline - asyncio.get_running_loop().time()
                await asyncio.wait(futures, timeout=max(left, 0.0))
        finally:
            answers = [_settled(answer) for answer in sent]
        return [
            self._translated(envelope, answer)
            for envelope, answer in zip(envelopes, answers, strict=True)
        ]

    async def _sent(self, envelope: Envelope[Event], deadline: float) -> Sent:
        if asyncio.get_running_loop().time() > deadline:
            return Retryable("NATS does not keep up", code="broker")
        try:
            return await self._send(self._broker.jetstream, envelope)
        except XNovuError as error:
            return error
        except (nats_errors.Error, OSError, TimeoutError) as error:
            return self._unsent(error)

    async def _send(
        self, jetstream: JetStreamContext, envelope: Envelope[Event]
    ) -> asyncio.Future[PubAck]:
        subject = subject_of(self._prefix, envelope.event)
        headers, body = envelope.encode()
        headers = {MESSAGE_ID: headers.pop("id"), **headers}
        self._check_size(headers, body)
        return await jetstream.publish_async(subject, body, headers=headers)  # pyright: ignore[reportUnknownMemberType]

    def _check_size(self, headers: dict[str, str], body: bytes) -> None:
        """The server hangs up on a message over its limit, headers and all."""
        client = self._broker.client
        size = len(body) + 12 + sum(len(k) + len(v.encode()) + 4 for k, v in headers.items())
        if client and size > client.max_payload:
            raise _too_large(f"{size} bytes, and NATS takes {client.max_payload} (max_payload)")

    def _unsent(self, error: Exception) -> XNovuError:
        return Paused(f"NATS: {type(error).__name__}", code="broker_unavailable")

    def _translated(
        self, envelope: Envelope[Event], answer: BaseException | None
    ) -> XNovuError | None:
        match answer:
            case None | XNovuError():
                return answer
            case jetstream_errors.NoStreamResponseError():
                stream = stream_name(self._prefix, envelope.event.kind)
                return Retryable(missing_stream(stream), code="broker")
            case jetstream_errors.APIError(err_code=code, description=said):
                if code == STREAM_LIMIT:
                    return _too_large("more than its stream takes")
                return Retryable(f"NATS refuses it: {said} ({code})", code="broker")
            case TimeoutError():
                waited = f"NATS did not confirm within {self._timeout:g} s"
                return Retryable(waited, code="broker")
            case error:
                return Retryable(f"NATS: {type(error).__name__}", code="broker")


def _too_large(how: str) -> Permanent:
    return Permanent(f"the message is too large: {how}", code="too_large")


def _settled(sent: Sent) -> BaseException | None:
    """The answer; what is still unanswered is called off, or the client would wait for ever."""
    if isinstance(sent, XNovuError):
        return sent
    if sent.done():
        return sent.exception()
    sent.cancel()
    return TimeoutError()
