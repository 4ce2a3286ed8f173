"""Logical replication: what is committed to a database, change by change."""

from .changes import UNCHANGED, Change
from .slot import Slot, slotted

__all__ = ["UNCHANGED", "Change", "Slot", "slotted"]
