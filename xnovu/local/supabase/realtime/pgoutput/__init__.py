"""Logical replication: what is committed to a database, told as it happens, change by change."""

from .changes import UNCHANGED, Change
from .stream import Changes, replicate

__all__ = ["UNCHANGED", "Change", "Changes", "replicate"]
