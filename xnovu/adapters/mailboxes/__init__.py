"""A transport of tables: whoever has Postgres needs no broker."""

from xnovu.adapters.mailboxes.options import MailboxOptions
from xnovu.adapters.mailboxes.transport import PostgresTransport

__all__ = ["MailboxOptions", "PostgresTransport"]
