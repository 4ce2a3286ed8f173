"""The table as a mailbox: rows that fall due, and retractions, arrive like messages."""

from xnovu.adapters.table.options import TableOptions
from xnovu.adapters.table.source import TableSource

__all__ = ["TableOptions", "TableSource"]
