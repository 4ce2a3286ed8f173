"""
What tests of consumers, stages, providers and transports are written with.

The suites that every provider, transport and store must pass are in :mod:`xnovu.testing.contract`.
"""

from xnovu.testing.builders import (
    ENTERPRISE,
    WORKFLOW,
    a_failure,
    a_notification,
    a_row,
    captured,
    changed,
    hydrated,
    rejected,
    triggered,
)
from xnovu.testing.clock import Clock
from xnovu.testing.pipeline import Ended, MemoryPipeline, memory_pipeline
from xnovu.testing.waiting import eventually

__all__ = [
    "ENTERPRISE",
    "WORKFLOW",
    "Clock",
    "Ended",
    "MemoryPipeline",
    "a_failure",
    "a_notification",
    "a_row",
    "captured",
    "changed",
    "eventually",
    "hydrated",
    "memory_pipeline",
    "rejected",
    "triggered",
]
