"""
What goes over the socket: messages of Phoenix channels, serializer 1.0.0.

Source: https://hexdocs.pm/phoenix/writing_a_channels_client.html
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
Payload = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Frame:
    """One message, either way. ``ref`` ties an answer to what it answers."""

    topic: str
    event: str
    payload: Payload
    ref: str | None = None
    join_ref: str | None = None

    def encoded(self) -> str:
        """As the server sends it: always with a ``ref``, never with a ``join_ref``."""
        return _encoder.encode(
            {"topic": self.topic, "event": self.event, "payload": self.payload, "ref": self.ref}
        )

    def answered(self, status: str, response: Payload) -> "Frame":
        """The answer to this frame."""
        return Frame(self.topic, "phx_reply", {"status": status, "response": response}, self.ref)


def decoded(text: str) -> Frame:
    """A frame that a client has sent; raises ValueError."""
    match json.loads(text):
        case {"topic": str(topic), "event": str(event), **rest}:
            payload: Payload = rest.get("payload") or {}
            return Frame(topic, event, payload, rest.get("ref"), rest.get("join_ref"))
        case _:
            raise ValueError("not a Phoenix message")


def system(topic: str, extension: str, status: str, message: str) -> Frame:
    """The server's word on how a channel fares."""
    channel = topic.removeprefix("realtime:")
    said = {"channel": channel, "extension": extension, "status": status, "message": message}
    return Frame(topic, "system", said)
