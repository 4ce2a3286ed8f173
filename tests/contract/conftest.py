"""The fixtures of the contract suites: one module per port."""

from tests.contract.transport_fixtures import bench, mailbox, transport

__all__ = ["bench", "mailbox", "transport"]
