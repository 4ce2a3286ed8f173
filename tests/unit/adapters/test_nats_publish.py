"""Of what the broker and its client say: what is nobody's fault, and what is one message's."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from nats import errors
from nats.js.errors import APIError, NoStreamResponseError

from tests.builders import captured
from xnovu.adapters.nats.declare import Streams
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.publish import JetStreamPublisher
from xnovu.adapters.nats.replies import Answer
from xnovu.adapters.nats.send import Parcel, Sender
from xnovu.adapters.nats.transport import NatsTransport
from xnovu.envelope import Envelope
from xnovu.errors import Paused, Permanent, Retryable
from xnovu.events import Captured

OPTIONS = NatsOptions()
NOBODYS: dict[str, Exception] = {
    "no confirmation": TimeoutError(),
    "no stream": NoStreamResponseError(),
    "no leader": APIError(503, "JetStream system temporarily unavailable", 10008),
    "no JetStream": APIError(503, "JetStream not enabled for account", 10039),
    "offline": APIError(500, "stream is offline", 10118),
    "insufficient resources": APIError(503, "insufficient resources", 10023),
    "the account's limit": APIError(400, "resource limits exceeded for account", 10002),
    "maximum bytes": APIError(503, "maximum bytes exceeded", 10077),
    "maximum messages": APIError(503, "maximum messages exceeded", 10077),
    "too busy": APIError(429, "too many requests", 10167),
    "closed": errors.ConnectionClosedError(),
    "reconnecting": errors.ConnectionReconnectingError(),
    "draining": errors.ConnectionDrainingError(),
    "too much on its way": errors.OutboundBufferLimitError(),
    "reset": ConnectionResetError(),
}
ONES_OWN: dict[str, Exception] = {
    "over the stream's limit": APIError(400, "message size exceeds maximum allowed", 10054),
    "over the store's limit": APIError(503, "message size exceeds maximum allowed", 10077),
    "an impossible schedule": APIError(400, "message schedules pattern is invalid", 10189),
    "refused": APIError(400, "expected stream does not match", 10060),
    "an answer that is none": ValueError("Ada Lovelace"),
    "a bug": KeyError("Ada Lovelace"),
}


class Told(Sender):
    """Sends nothing, and answers each as told, by its place."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.answers = answers

    async def send(self, parcels: Sequence[Parcel]) -> list[Answer]:
        return list(self.answers)


def publisher(*answers: Answer) -> JetStreamPublisher:
    broker = NatsTransport(OPTIONS).broker
    return JetStreamPublisher(broker, Told(answers), Streams(OPTIONS), OPTIONS)


@given(said=st.lists(st.sampled_from([None, *NOBODYS.values(), *ONES_OWN.values()]), max_size=9))
async def test_each_message_has_its_own_answer_and_there_is_no_third_kind(said: list[Answer]):
    answers = await publisher(*said).publish([captured(n) for n in range(len(said))])
    for answer, told in zip(answers, said, strict=True):
        match told:
            case None:
                assert answer is None
            case _ if told in NOBODYS.values():
                assert isinstance(answer, Paused | Retryable)
            case _:
                assert isinstance(answer, Permanent)
                assert "Ada" not in str(answer)


async def test_headers_that_cannot_be_written_are_their_messages_own():
    strange = Envelope(captured(1).event, trace="\ud800")
    first, wrong, last = await publisher(None, None).publish([captured(0), strange, captured(2)])
    assert (first, last) == (None, None)
    assert isinstance(wrong, Permanent)
    assert wrong.code == "unpublishable"


async def test_an_event_that_cannot_be_written_is_its_own():
    broken = Captured.model_construct(
        notification_id=1, enterprise_id="acme", transaction_id="\ud800"
    )
    first, wrong = await publisher(None).publish([captured(0), Envelope(broken)])
    assert first is None
    assert isinstance(wrong, Permanent)
