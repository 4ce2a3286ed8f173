"""Processes that share a rate, and hear of one another through NATS (not JetStream)."""

import asyncio
import json
import math
from collections.abc import Sequence
from uuid import uuid4

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from xnovu.adapters.nats.connection import Broker

PEERS = "peers"
FORGET = 2.0
"""Seconds without a word after which a process needs nothing."""


class NatsPeers:
    """
    :class:`xnovu.peers.Peers` of one ``topic``, such as what they share the rate of.

    While NATS is away what was last known stays: nobody takes more for being cut off.
    """

    def __init__(self, broker: Broker, prefix: str, topic: str) -> None:
        self._broker = broker
        self._subject = f"{prefix}.{PEERS}.{topic.replace('.', '_')}"
        self._name = uuid4().hex
        self._client: Client | None = None
        self._known: dict[str, tuple[float, float]] = {}

    @property
    def reachable(self) -> bool:
        return self._broker.client is not None

    async def tell(self, need: float) -> None:
        if not (client := self._broker.client):
            return
        said = {"id": self._name, "need": need if math.isfinite(need) else None}
        try:
            if client is not self._client:
                self._client = client
                await client.subscribe(self._subject, cb=self._heard)  # pyright: ignore[reportUnknownMemberType]
            await client.publish(self._subject, json.dumps(said).encode())
        except (NatsError, OSError, TimeoutError):
            self._client = None

    def others(self) -> Sequence[float]:
        if self.reachable:
            oldest = _now() - FORGET
            self._known = {name: said for name, said in self._known.items() if said[1] > oldest}
        return [need for need, _ in self._known.values()]

    async def _heard(self, message: Msg) -> None:
        try:
            said = json.loads(message.data)
            name, need = str(said["id"]), said["need"]
            rate = math.inf if need is None else max(float(need), 0.0)
        except (ValueError, TypeError, KeyError):
            return  # not one of ours
        if name != self._name:
            self._known[name] = (rate, _now())


def _now() -> float:
    return asyncio.get_running_loop().time()
