"""One change of one row, as the write-ahead log tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Literal

Kind = Literal["INSERT", "UPDATE", "DELETE"]


class Unchanged(Enum):
    """The mark of :data:`UNCHANGED`."""

    UNCHANGED = "unchanged"


UNCHANGED = Unchanged.UNCHANGED
"""A large (TOASTed) value that an update left alone: the log does not repeat it."""

Value = str | None | Unchanged
"""A column's value as Postgres prints it, None for NULL."""


@dataclass(frozen=True, slots=True)
class Change:
    """
    One row inserted, updated or deleted.

    ``columns`` is the row as it is now; empty where there is none any more. ``old`` is what the log
    keeps of the row before, by the table's REPLICA IDENTITY: by default the primary key, and of an
    update only where that has changed; else None. ``commit_time`` and ``transaction`` (its id, 32
    bits) are the same for all changes of a transaction.
    """

    kind: Kind
    schema: str
    table: str
    columns: Mapping[str, Value]
    old: Mapping[str, str | None] | None
    commit_time: datetime
    transaction: int
