"""Every store passes this part of the suite of ``xnovu.testing``."""

from tests.contract.store_fixtures import bench
from xnovu.testing.contract.store_limits import (
    TestConcurrency,
    TestExpress,
    TestLimits,
    TestRate,
    TestWaiting,
    TestWeight,
    TestWorkflow,
    TestWorkflows,
)

__all__ = [
    "TestConcurrency",
    "TestExpress",
    "TestLimits",
    "TestRate",
    "TestWaiting",
    "TestWeight",
    "TestWorkflow",
    "TestWorkflows",
    "bench",
]
