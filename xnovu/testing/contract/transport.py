"""The suite that every transport must pass."""

from xnovu.testing.contract.transport_bench import Bench
from xnovu.testing.contract.transport_messages import Messages
from xnovu.testing.contract.transport_work import Work

__all__ = ["Bench", "TransportContract"]


class TransportContract(Messages, Work):
    """Subclass it in a test module, with a fixture ``bench`` of your transport's."""
