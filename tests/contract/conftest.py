"""The fixtures of the contract suites: one module per port."""

from tests.contract.transport_fixtures import bench, mailbox, transport
from tests.supabase_fixtures import postgrest_program

__all__ = ["bench", "mailbox", "postgrest_program", "transport"]
