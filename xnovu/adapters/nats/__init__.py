"""NATS JetStream, by way of FastStream, with a pull loop of our own."""

from xnovu.adapters.nats.address import Access
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.peers import NatsPeers
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.transport import NatsTransport

__all__ = ["Access", "NatsOptions", "NatsPeers", "NatsTransport", "provision"]
