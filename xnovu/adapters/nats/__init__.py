"""NATS JetStream, by way of FastStream, with a pull loop of our own."""

from xnovu.adapters.nats.address import Access
from xnovu.adapters.nats.connection import Middleware
from xnovu.adapters.nats.options import NatsOptions
from xnovu.adapters.nats.peers import NatsPeers
from xnovu.adapters.nats.provision import provision
from xnovu.adapters.nats.transport import NatsTransport

__all__ = ["Access", "Middleware", "NatsOptions", "NatsPeers", "NatsTransport", "provision"]
